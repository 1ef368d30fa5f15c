"""Evaluation: a model or its embeddings against a data set, under a protocol."""
