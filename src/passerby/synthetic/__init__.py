"""A generator of synthetic pedestrians: a procedural re-identification dataset with exact labels."""
