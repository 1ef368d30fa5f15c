"""Embeddings on disk, and the search among them."""

from passerby.data.images.open import QueryImage
from passerby.gallery.gallery import Gallery
from passerby.inference.embeddings_file import Origin, StoredEmbeddings, read_embeddings, write_embeddings

__all__ = [
    "Gallery",
    "Origin",
    "QueryImage",
    "StoredEmbeddings",
    "read_embeddings",
    "write_embeddings",
]
