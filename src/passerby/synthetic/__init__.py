"""People who do not exist, seen by cameras that do not exist: a procedural data set with exact labels."""
