"""The files of the package beside its modules: what a wheel carries, which is all that is under version control."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "src" / "passerby"
FILES = sorted(p for p in PACKAGE.rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc"))
KINDS = {".j2", ".css", ".json", ".safetensors", ".onnx", ".md", ".typed"}
"""No image, no archive, no table: what could show a person has no place in the package."""
MOST = 17_000_000
"""The bytes that all of them may have: 12 million for the weights of people, 4 for the detector, the rest for texts."""


def test_only_what_a_program_needs_is_beside_the_modules() -> None:
    odd = [str(p.relative_to(PACKAGE)) for p in FILES if p.suffix not in KINDS and not p.name.startswith("LICENSE")]
    assert odd == []
    assert sum(p.stat().st_size for p in FILES) < MOST
    assert {"style.css", "base.html.j2", "py.typed", "canonical.json", "LICENSE-start"} <= {p.name for p in FILES}


def test_every_shipped_model_is_whole() -> None:
    folders = {p.parent for p in FILES if p.suffix == ".safetensors"}
    assert {folder.name for folder in folders} >= {"street", "street-s", "shipped"}
    for folder in folders:
        described = json.loads((folder / "model.json").read_text())
        assert "/" not in json.dumps(described.get("weights", {}))  # names of files, no paths of a machine


@pytest.mark.skipif(not (REPOSITORY / ".git").exists() or not shutil.which("git"), reason="no checkout")
def test_version_control_ignores_none_of_them() -> None:
    """A wheel is built without the files that git ignores, as weights are by default."""
    names = [str(p.relative_to(REPOSITORY)) for p in FILES]
    done = subprocess.run(["git", "-C", REPOSITORY, "check-ignore", *names], capture_output=True, text=True)
    assert done.stdout == ""
    assert done.returncode == 1  # none of them
