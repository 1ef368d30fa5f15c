"""The Euclidean and DMLI distances between embeddings, and their comparison in blocks of bounded memory."""
