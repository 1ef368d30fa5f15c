"""Galleries: embedded images that are kept in a file and searched."""

from passerby.gallery.gallery import Gallery

__all__ = ["Gallery"]
