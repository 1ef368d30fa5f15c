"""Attention maps of a model, as values."""
