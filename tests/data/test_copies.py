"""Queries that find themselves: which copies in the gallery count."""

from __future__ import annotations

from pathlib import Path

import pytest

from passerby.data.copies import dataset_self_matches, self_matches
from passerby.data.dataset import Dataset
from passerby.data.source import DirectorySource
from passerby.types import Role, Sample

QUERY = Sample("q", 1, 1)
COPIES = {
    "another camera": (Sample("g", 1, 2), True, True),
    "its own camera": (Sample("g", 1, 1), False, True),
    "unknown cameras": (Sample("g", 1, None), True, True),
    "another person": (Sample("g", 2, 2), False, False),
    "junk": (Sample("g", 1, 2, Role.JUNK), False, False),
    "a distractor": (Sample("g", 1, 2, Role.DISTRACTOR), False, False),
}


@pytest.mark.parametrize(("copy", "across", "within"), COPIES.values(), ids=COPIES)
def test_a_copy_counts_as_the_protocol_counts_it(copy: Sample, *, across: bool, within: bool) -> None:
    gallery = [Sample("other", 1, 3), copy]
    contents = {"q": 7, "g": 7, "other": 8}
    for across_cameras, expected in ((True, across), (False, within)):
        found = self_matches([QUERY], gallery, lambda s: contents[s.path], across_cameras=across_cameras)
        assert found == ([(QUERY, copy)] if expected else [])


def test_files_are_copies_by_content(tmp_path: Path) -> None:
    (tmp_path / "q").write_bytes(b"one image")
    (tmp_path / "copy").write_bytes(b"one image")
    (tmp_path / "link").symlink_to("q")
    (tmp_path / "g").write_bytes(b"another")
    source = DirectorySource(tmp_path)
    for name, found in (("copy", 1), ("link", 1), ("q", 1), ("g", 0)):
        data = Dataset("mine", source, query=(QUERY,), gallery=(Sample(name, 1, 2), Sample("never read", 2, 1)))
        assert len(dataset_self_matches(data)) == found
