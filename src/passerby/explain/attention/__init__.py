"""The attention maps and weights of a model, as values."""
