"""The people of a synthetic dataset: their bodies, their clothes and their walk."""
