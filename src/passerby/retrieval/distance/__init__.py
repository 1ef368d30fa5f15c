"""Distances between embeddings: Euclidean, DMLI, and their comparison in blocks of bounded memory."""
