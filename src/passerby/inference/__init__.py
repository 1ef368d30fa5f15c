"""A trained model at work: images in, embeddings out."""
