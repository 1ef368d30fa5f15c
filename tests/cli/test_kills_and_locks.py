"""Killed, refused or contested commands: an output is absent, the former one or the new one, and never torn."""

from __future__ import annotations

import builtins
import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from passerby.files import exclusive
from passerby.inference.embeddings_file import read_embeddings

KILLS = 4
_DRIVER = r"""
import json, os, random, signal, sys
import pyarrow.parquet as pq
from passerby.cli import main
import passerby.inference.load, passerby.gallery.gallery, passerby.models.osnet  # once for all children

work, output, command = sys.argv[1], sys.argv[2], sys.argv[3:]


def child(last, torn=False):
    "Embed in a child that is killed at its event number `last` in the folder; return its exit status and its events."
    out, into = os.pipe()
    process = os.fork()
    if process:
        os.close(into)
        with os.fdopen(out) as said:
            events = said.read().count("e")
        return os.waitpid(process, 0)[1], events
    seen = 0

    def watch(event, arguments):
        nonlocal seen
        if event in ("open", "os.rename", "os.remove", "os.listdir", "os.scandir") and work in str(arguments[0]):
            seen += 1
            os.write(into, b"e")
            if seen == last:
                os.kill(os.getpid(), signal.SIGKILL)

    def write_half(table, where, **options):
        write(table, where, **options)
        os.truncate(where, os.path.getsize(where) // 2)
        os.kill(os.getpid(), signal.SIGKILL)

    write = pq.write_table
    if torn:
        pq.write_table = write_half
    sys.addaudithook(watch)
    sys.stdout = sys.stderr = open(os.devnull, "w")
    try:
        main(command)
    except SystemExit as end:
        os._exit(end.code or 0)
    finally:
        os._exit(99)


def state():
    content = open(output, "rb").read().hex() if os.path.exists(output) else None
    return sorted(os.listdir(work)), content


status, events = child(0)
whole = state()[1]
print(json.dumps(["whole", status, events, *state()]))
moments = sorted(random.Random(0).sample(range(1, events + 1), int(os.environ["KILLS"])))
former = {"absent": None, "former": open(os.environ["FORMER"], "rb").read()}
for n, moment in enumerate([*moments, "torn"]):
    before = "absent" if n % 2 else "former"
    if os.path.exists(output):
        os.remove(output)
    if former[before]:
        with open(output, "wb") as file:
            file.write(former[before])
    status, _ = child(-1 if moment == "torn" else moment, torn=moment == "torn")
    print(json.dumps([before, status, moment, *state()]))
status, events = child(0)
print(json.dumps(["whole", status, events, *state()]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_an_embed_that_is_killed_at_any_moment_leaves_no_torn_file(
    trained: Path, figures: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    output, former = work / "people.parquet", tmp_path / "former.parquet"
    images = work / "images"
    images.mkdir()
    for i in range(4):
        Image.effect_noise((32, 64), 50).convert("RGB").save(images / f"{i}.png")
    former.write_bytes(b"the former content, whatever it was")
    command = ["embed", trained, images, "-o", output, "--overwrite", "--device", "cpu", "--batch-size", "2"]
    environment = {**os.environ, "KILLS": str(KILLS), "FORMER": str(former), "OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, "-c", _DRIVER, str(work), str(output), *map(str, command)]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    first, *killed, last = (json.loads(line) for line in done.stdout.splitlines())
    assert len(killed) == KILLS + 1
    for _, status, _, names, content in (first, last):  # the run after all kills succeeds, and tidies up
        assert status == 0
        assert names == ["images", "people.parquet"]
        assert content == first[4]
    for before, status, moment, _, content in killed:
        assert status == 9, (moment, status)
        assert content in (None if before == "absent" else former.read_bytes().hex(), first[4]), moment
    found = read_embeddings(output).embeddings
    assert len(found) == len(list(images.iterdir()))
    assert torch.isfinite(found.embedding).all()


COMMANDS: dict[str, Callable[..., list[Any]]] = {
    "embed": lambda trained, data, place, tiny: ["embed", trained, data, "-o", place / "e.parquet"],
    "train": lambda trained, data, place, tiny: ["train", "aap_reid", "--data", data, "--run", place / "run", *tiny],
    "synthesize": lambda trained, data, place, tiny: ["data", "synthesize", place / "made", "--people", "4"],
    "reproduce": lambda trained, data, place, tiny: [
        "reproduce", "aap_reid", "table1", "--data", data, "--rows", "baseline", "--epochs", "1", "-o", place, *tiny,
    ],
    "report": lambda trained, data, place, tiny: ["report", trained, "--data", data, "-o", place / "report.html"],
}  # fmt: skip


def _refuse(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make a folder read-only for this process, which may be root's: whatever writes there fails as the system does."""

    def refused(path: object) -> bool:
        return not isinstance(path, int) and Path(os.fsdecode(path)).is_relative_to(folder)  # type: ignore[arg-type]

    def wrap(module: Any, name: str, writes: Callable[..., bool]) -> None:
        real = getattr(module, name)

        def call(path: Any, *arguments: Any, **options: Any) -> Any:
            if refused(path) and writes(*arguments, **options):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
            return real(path, *arguments, **options)

        monkeypatch.setattr(module, name, call)

    def opens_to_write(mode: Any = "r", *_: Any, **options: Any) -> bool:
        return bool(set(str(options.get("mode", mode))) & set("wax+"))

    wrap(os, "mkdir", lambda *_, **__: True)
    wrap(os, "open", lambda flags=0, *_, **__: bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)))
    for module in (io, builtins):
        wrap(module, "open", opens_to_write)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", ["in a file", "read-only"])
def test_a_folder_that_cannot_be_written_to_is_one_line(
    run, trained: Path, figures: Path, tmp_path: Path, tiny, monkeypatch: pytest.MonkeyPatch, command: str, kind: str
) -> None:
    place = tmp_path / "place"
    if kind == "in a file":
        place.write_bytes(b"kept")
    else:
        place.mkdir()
        _refuse(monkeypatch, place)
    outcome = run(*COMMANDS[command](trained, figures, place, tiny))
    assert outcome.code == 1, outcome
    lines = [line for line in outcome.err.splitlines() if line.startswith("passerby: ")]
    assert len(lines) == 1, outcome.err
    assert str(place) in lines[0]
    assert "Traceback" not in outcome.err
    assert place.read_bytes() == b"kept" if kind == "in a file" else not list(place.iterdir())


@pytest.mark.parametrize("overwrite", [False, True])
def test_two_embeds_of_one_output_are_one(run, trained: Path, figures: Path, tmp_path: Path, overwrite: bool) -> None:
    output = tmp_path / "e.parquet"
    with exclusive(output):
        outcome = run("embed", trained, figures, "-o", output, *["--overwrite"] * overwrite)
    assert outcome.code == 1
    assert "is being written by another call" in outcome.err
    assert list(tmp_path.iterdir()) == []
