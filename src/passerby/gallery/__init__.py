"""Embeddings on disk, the search among them, and its picture."""

from passerby.gallery.figure import save_strip, strip
from passerby.gallery.gallery import Gallery
from passerby.gallery.pictures import Query
from passerby.gallery.store import Origin, StoredEmbeddings, read_embeddings, write_embeddings

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
