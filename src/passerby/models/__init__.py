"""The models, one paper a file, and what they are built of."""
