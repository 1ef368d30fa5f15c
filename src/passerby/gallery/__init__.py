"""Galleries: embedded images that are kept in a file or a folder, and searched."""

from passerby.gallery.asking.ask import Ask
from passerby.gallery.gallery import Gallery
from passerby.gallery.store.where import Where
from passerby.gallery.stored import StoredGallery
from passerby.gallery.stored_hits import StoredHit

__all__ = ["Ask", "Gallery", "StoredGallery", "StoredHit", "Where"]
