"""``passerby gallery confirm``: record that two images of a gallery on disk show the same person."""

from __future__ import annotations

from passerby.cli.gallery_options import GalleryArgument, OtherRowArgument, RowOrImageArgument, answer
from passerby.cli.registry import command


@command("confirm", group="gallery", order=7)
def confirm(gallery: GalleryArgument, a: RowOrImageArgument, b: OtherRowArgument) -> None:
    """Record that two images show the same person; no person ID changes."""
    answer(gallery, a, b, same=True)
