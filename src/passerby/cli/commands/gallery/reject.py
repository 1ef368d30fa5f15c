"""``passerby gallery reject``: record that two images of a gallery on disk show different people."""

from __future__ import annotations

from passerby.cli.gallery_options import GalleryArgument, OtherRowArgument, RowOrImageArgument, answer
from passerby.cli.registry import command


@command("reject", group="gallery", order=8)
def reject(gallery: GalleryArgument, a: RowOrImageArgument, b: OtherRowArgument) -> None:
    """Record that two images show different people; no person ID changes."""
    answer(gallery, a, b, same=False)
