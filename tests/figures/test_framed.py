"""What is said below pictures."""

from __future__ import annotations

import pytest

from passerby.figures.layout import caption_lines, sample_caption
from passerby.types import Role, Sample


@pytest.mark.parametrize(
    ("pid", "camid", "role", "said"),
    [
        (7, 3, Role.PERSON, ["person 7", "camera 3"]),
        (0, 3, Role.PERSON, ["person 0", "camera 3"]),  # MSMT17 has one
        (0, 3, Role.DISTRACTOR, ["distractor", "camera 3"]),
        (-1, None, Role.JUNK, ["junk"]),
        (None, None, Role.PERSON, []),
    ],
)
def test_junk_and_distractors_are_nobody(pid: int | None, camid: int | None, role: Role, said: list[str]) -> None:
    assert caption_lines(pid, camid, role) == said
    assert sample_caption(Sample("a.jpg", pid, camid, role)) == (said or ["a.jpg"])
