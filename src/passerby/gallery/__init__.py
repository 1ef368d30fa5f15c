"""Embeddings on disk, the search among them, and its picture."""

from passerby.data.images.open import Query
from passerby.figures.search_result import save_strip, strip
from passerby.gallery.gallery import Gallery
from passerby.inference.embeddings_file import Origin, StoredEmbeddings, read_embeddings, write_embeddings

__all__ = [
    "Gallery",
    "Origin",
    "Query",
    "StoredEmbeddings",
    "read_embeddings",
    "save_strip",
    "strip",
    "write_embeddings",
]
