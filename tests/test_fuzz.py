"""Two hundred damaged files of each kind end in a result or in one line of error, soon, and within bounded memory.

The seeds are fixed. To see one case again, name its number and its test:
``FUZZ_ONLY=17 pytest -s tests/test_fuzz.py -k galleries``.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import random
import resource
import shutil
import tarfile
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from passerby.cli import main
from passerby.models.backbones.registry import BACKBONES, Backbone

COUNT = int(os.environ.get("FUZZ_COUNT", "200"))
MOST_SECONDS = 10
MOST_MEMORY = 1_500_000
"""The growth of the peak memory by the files of one kind, in KiB: an image or an archive's file may take 512 MiB."""
Mutate = Callable[[bytes, random.Random], bytes]


NESTED: Any = 0
for _ in range(900):
    NESTED = [NESTED]
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 0.5, 1e308, 2**31, 2**63, 10**30, float("nan"), float("inf"), [], {}, "", "no", "-1"),
    *("x" * 10_000, "\x1b[2J\nrow", "../../etc/passwd", "/etc/passwd", "\ud800", "\0", "pedestrians:people=1000000"),
    *([1, [2, [3]]], {"a": None}, [None] * 1000, ["a", 1], NESTED),
)
"""The values that stand in for another."""
_TEXTS = ("", "-1", "0", "nan", "inf", "1e400", "9" * 30, "true", "null", "[1,2", '{"a":', "[" * 2000, "é" * 300, "a=b")
TEXTS = (
    *_TEXTS,
    "-",
    "\x1b[2J",
    "x\ny",
    "1e9",
    "100000000",
    "1000000000000000",
    "../..",
    "__class__",
    "%s{0}",
    "1,2,3",
)
_NUMBERS = [n.to_bytes(size, "little", signed=True) for n in (0, -1, 1, 2**31 - 1, 2**15) for size in (4, 8)]


def mutate_bytes(content: bytes, random_: random.Random) -> bytes:
    """Return content with one to four changes of bytes, or cut."""
    changed = bytearray(content)
    for _ in range(random_.randint(1, 4)):
        start = random_.randrange(len(changed) + 1)
        end = min(len(changed), start + int(2 ** random_.uniform(0, 8)))
        kind = random_.randrange(7)
        if kind == 0 and start < len(changed):
            changed[start] ^= 1 << random_.randrange(8)
        elif kind == 1:
            changed[start:end] = random_.randbytes(end - start)
        elif kind == 2:
            del changed[start:end]
        elif kind == 3:
            changed[start:start] = changed[start:end]
        elif kind == 4:
            number = random_.choice(_NUMBERS)
            changed[start : start + len(number)] = number
        elif kind == 5:
            changed[start:end] = bytes([random_.choice((0, 255))]) * (end - start)
        elif random_.random() < 0.3:
            del changed[start:]
    return bytes(changed)


def mutate_value(value: Any, random_: random.Random) -> Any:
    """Return a JSON value with one of its parts replaced, renamed, removed or repeated."""
    value = copy.deepcopy(value)
    spots: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        part = waiting.pop()
        keys = part.keys() if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
        for key in keys:
            spots.append((part, key))
            waiting.append(part[key])
    if not spots or random_.random() < 0.03:
        return random_.choice(ODD)
    part, key = random_.choice(spots)
    kind = random_.randrange(8)
    if kind == 0:
        del part[key]
    elif kind == 1 and isinstance(part, dict):
        part[f"{key}x"] = part.pop(key)
    elif kind == 2 and isinstance(part, list):
        part.insert(key, part[key])
    else:
        part[key] = random_.choice(ODD)
    return value


def mutate_json(content: bytes, random_: random.Random) -> bytes:
    """Return JSON, or lines of JSON, with another value, or with other bytes."""
    if random_.random() < 0.2:
        return mutate_bytes(content, random_)
    lines = [content] if content.count(b"\n{") == 0 else content.splitlines()
    place = random_.randrange(len(lines))
    lines[place] = json.dumps(mutate_value(json.loads(lines[place]), random_)).encode()
    return b"\n".join(lines)


def mutate_npz(content: bytes, random_: random.Random) -> bytes:
    """Return an ``.npz`` with other bytes, or one of its arrays replaced or removed."""
    if random_.random() < 0.5:
        return mutate_bytes(content, random_)
    with np.load(io.BytesIO(content)) as loaded:
        arrays = dict(loaded)
    name = random_.choice(sorted(arrays))
    array, n = arrays[name], len(arrays[name])
    changes: list[Callable[[], Any]] = [
        lambda: array[:0],
        lambda: array[:-1],
        lambda: array[..., None],
        lambda: np.full(array.shape, np.nan),
        lambda: np.full(array.shape, 1j),
        lambda: array.astype(str),
        lambda: array.astype(object),
        lambda: np.full(n, "\ud800"),
        lambda: np.full(n, 2**64 - 1, np.uint64),
        lambda: np.full(n, -(2**63), np.int64),
        lambda: np.full(array.shape, 1e300),
        lambda: array.reshape(n, -1)[:, :0],
        lambda: np.zeros((), np.float32),
        lambda: np.zeros(n, [("a", "f4")]),
        lambda: np.zeros(array.shape, "datetime64[s]"),
    ]
    arrays[name] = np.asarray(random_.choice(changes)())
    if random_.random() < 0.1:
        del arrays[name]
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def mutate_parquet(content: bytes, random_: random.Random) -> bytes:
    """Return a Parquet file with other bytes, another value in its JSON, or another column."""
    if random_.random() < 0.4:
        return mutate_bytes(content, random_)
    table = pq.read_table(io.BytesIO(content))
    metadata = dict(table.schema.metadata or {})
    if random_.random() < 0.6 and metadata:
        key = random_.choice(sorted(metadata))
        metadata[key] = mutate_json(metadata[key], random_)
    else:
        name = random_.choice(table.column_names)
        place, n = table.column_names.index(name), len(table)
        columns: list[Callable[[], Any]] = [
            lambda: pa.nulls(n),
            lambda: pa.nulls(n, table.schema.field(name).type),
            lambda: pa.array(["\x1b[2J\n"] * n),
            lambda: pa.array([2**63 - 1] * n, pa.int64()),
            lambda: pa.array([7.5] * n),
            lambda: pa.array([[float("nan")]] * n, pa.list_(pa.float32())),
            lambda: pa.array([[]] * n, pa.list_(pa.float32())),
            lambda: pa.array([[1.0] * (i + 1) for i in range(n)], pa.list_(pa.float32())),
            lambda: pa.array([b"\xff"] * n),
            lambda: pa.array([True] * n),
        ]
        table = table.set_column(place, name, random_.choice(columns)())
        table = table.drop_columns([name]) if random_.random() < 0.1 else table
    file = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), file)
    return file.getvalue()


class Tiny(Backbone):
    """The smallest backbone, so that a run is loaded in a few milliseconds."""

    channels = 4

    def __init__(self, **_: object) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3, stride=4)

    @property
    def stages(self) -> dict[str, nn.Module]:
        return {"layer": self.layer}

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images)


@pytest.fixture(scope="module", autouse=True)
def _tiny_backbone() -> Iterator[None]:
    BACKBONES.register("fuzz_tiny")(Tiny)
    yield
    del BACKBONES._entries["fuzz_tiny"], BACKBONES._plugin_of["fuzz_tiny"]


@pytest.fixture(scope="module", autouse=True)
def _errors_as_lines() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PASSERBY_DEBUG", raising=False)
        yield


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, _tiny_backbone: None) -> Path:
    """A folder with one good file of each kind."""
    from passerby.config import parse_override, with_overrides
    from passerby.recipes.registry import load_recipe
    from passerby.training.loop import train

    root = tmp_path_factory.mktemp("good")
    generator = np.random.default_rng(0)
    names = [f"{folder}/{pid:04d}_c{camid}s1_00000{pid}_0{n}.png" for folder, pids in
             (("bounding_box_train", (1, 2)), ("query", (3,)), ("bounding_box_test", (3, 4)))
             for pid in pids for camid in (1, 2) for n in (0, 1)]  # fmt: skip
    for name in names:
        (root / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 256, (8, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((16, 32)).save(root / "data" / name)
    Image.fromarray(pixels).resize((64, 128)).save(root / "q.jpg", progressive=True)
    Image.fromarray(pixels).resize((64, 128)).save(root / "q.png")
    with zipfile.ZipFile(root / "a.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for name in names:
            packed.write(root / "data" / name, name)
    with tarfile.open(root / "a.tar.gz", "w:gz") as tarred:
        tarred.add(root / "data", ".")
    settings = ("model.options.backbone=fuzz_tiny", "data.height=32", "data.width=16", "sampler.p=2", "sampler.k=2",
                "epochs=1", "schedule.warmup_epochs=0", f"data.train={root / 'data'}")  # fmt: skip
    config = with_overrides(load_recipe("strong_baseline"), dict(map(parse_override, settings)))
    train(config, root / "run", show_progress=False)
    _calibrate(root / "run")
    calls = (
        ("embed", root / "run", root / "data", "-o", root / "g.parquet"),
        ("evaluate", root / "run", "--data", root / "data", "--save-features", root / "f.parquet"),
    )
    for call in calls:
        assert command(*call)[0] == 0, call
    arrays = {
        f"{part}_{name}": value
        for part, n in (("query", 2), ("gallery", 4))
        for name, value in (
            ("f", generator.normal(size=(n, 3)).astype(np.float32)),
            ("pid", np.arange(n) % 2),
            ("cam", np.full(n, n)),
            ("path", np.array([f"{part}{i}.jpg" for i in range(n)])),
        )
    }
    np.savez(root / "f.npz", **arrays)
    return root


def _calibrate(run: Path) -> None:
    """Write a calibration of random embeddings, which fits the run's protocol."""
    from passerby.inference.load import load
    from passerby.metrics.calibration import write_calibration
    from passerby.metrics.held_out import calibrate_embeddings
    from passerby.types import Embeddings

    draw, pids, model = torch.Generator().manual_seed(0), torch.arange(60) % 20, load(run)
    sides = [
        Embeddings(torch.randn(60, 4, generator=draw), ("",) * 60, pids, torch.full_like(pids, camera))
        for camera in (0, 1)
    ]
    write_calibration(run, calibrate_embeddings(*sides, model.protocol, fingerprint=model.fingerprint))


def command(*arguments: object) -> tuple[int, str, str]:
    """Run the command line in this process; return exit code, stdout and stderr. A traceback is code 99."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("default")  # as a user has it
        try:
            main([str(a) for a in arguments])
        except SystemExit as stop:
            code: Any = stop.code or 0
        except BaseException:  # noqa: BLE001 - that is what is looked for
            err.write(traceback.format_exc())
            code = 99
    return code, out.getvalue(), err.getvalue()


def problem(outcome: tuple[int, str, str], seconds: float) -> str | None:
    """Return what is wrong about an outcome, if anything."""
    code, out, err = outcome
    lines = [line for line in err.splitlines() if line.startswith("passerby: ")]
    if code not in (0, 1):
        return f"exit code {code}: {err[-1500:]}"
    if "Traceback" in out + err or (err and code == 1 and not err.rstrip("\n").endswith(lines[-1] if lines else "!")):
        return f"no line of error: {err[-1500:]!r}"
    if code == 1 and not err and "Errors were found" not in out:
        return "exit code 1 without a line"
    if any(ord(letter) < 32 and letter not in "\n\t" for letter in out + err):
        return f"control characters: {(out + err)[-300:]!r}"
    return f"{seconds:.1f} s" if seconds > MOST_SECONDS else None


def fuzz(kind: str, case: Callable[[random.Random], tuple[object, ...]], count: int = COUNT) -> None:
    """Run damaged inputs of one kind, and list all that ended otherwise than they may."""
    before, found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, []
    chosen = os.environ.get("FUZZ_ONLY")
    for number in range(count) if chosen is None else [int(chosen)]:
        random_ = random.Random(f"{kind} {number}")
        arguments = case(random_)
        start = time.process_time()
        outcome = command(*arguments)
        wrong = problem(outcome, time.process_time() - start)
        if chosen is not None:
            print(outcome)  # noqa: T201 - what the developer asked for
        if wrong:
            found.append(f"{kind} {number}: {wrong}")
    assert not found, f"{len(found)} of {count}:\n" + "\n".join(found)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MEMORY


def damaged(source: Path, target: Path, mutate: Mutate, random_: random.Random) -> Path:
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(mutate(source.read_bytes(), random_))
    return target


def test_images(good: Path, tmp_path: Path) -> None:
    def case(random_: random.Random) -> tuple[object, ...]:
        name = random_.choice(("q.jpg", "q.png"))
        shutil.rmtree(tmp_path / "images", ignore_errors=True)
        file = damaged(good / name, tmp_path / "images" / name, mutate_bytes, random_)
        return random_.choice((
            ("search", good / "run", file, "--gallery", good / "g.parquet", "--json"),
            ("embed", good / "run", file.parent, "-o", tmp_path / "e.parquet", "--overwrite"),
        ))  # fmt: skip

    fuzz("image", case)


def test_archives(good: Path, tmp_path: Path) -> None:
    def case(random_: random.Random) -> tuple[object, ...]:
        name = random_.choice(("a.zip", "a.tar.gz"))
        return "data", "check", damaged(good / name, tmp_path / name, mutate_bytes, random_)

    fuzz("archive", case)


def test_features(good: Path, tmp_path: Path) -> None:
    def case(random_: random.Random) -> tuple[object, ...]:
        name, mutate = random_.choice((("f.npz", mutate_npz), ("f.parquet", mutate_parquet)))
        return "evaluate", "--features", damaged(good / name, tmp_path / name, mutate, random_)

    fuzz("features", case)


def test_galleries(good: Path, tmp_path: Path) -> None:
    def case(random_: random.Random) -> tuple[object, ...]:
        file = damaged(good / "g.parquet", tmp_path / "g.parquet", mutate_parquet, random_)
        return "search", good / "run", good / "q.png", "--gallery", file

    fuzz("gallery", case)


def test_run_folders(good: Path, tmp_path: Path) -> None:
    def copy(name: str, mutate: Mutate, random_: random.Random) -> Path:
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        run = Path(shutil.copytree(good / "run", tmp_path / "run"))
        damaged(run / name, run / name, mutate, random_)
        return run

    def case(random_: random.Random) -> tuple[object, ...]:
        names = ("model.json", "model.safetensors", "config.json", "calibration.json", "metrics.jsonl")
        name = random_.choices(names, (6, 5, 5, 5, 2))[0]  # drawing the curves takes longest
        mutate = mutate_bytes if name == "model.safetensors" else mutate_json
        run = copy(name, mutate, random_)
        if name == "metrics.jsonl":
            return "figures", "curves", run, "-o", tmp_path / "c.png"
        if name == "config.json":
            return "train", "--resume", run
        return "search", run, good / "q.png", "--gallery", good / "g.parquet"

    fuzz("run", case)


SETTINGS = ("optimizer.lr", "epochs", "model.options.backbone", "model.name", "data.height", "data.train", "sampler.p",
            "loss.triplet", "schedule.milestones", "augment.erase", "seed", "evaluation.distance")  # fmt: skip
SPECS = ("people", "images", "cameras", "size", "preset", "seed", "outfits")


def test_settings(good: Path, tmp_path: Path) -> None:
    def case(random_: random.Random) -> tuple[object, ...]:
        value = random_.choice(TEXTS)
        if random_.random() < 0.4:
            spec = f"pedestrians:people=4,{random_.choice(SPECS)}={value}"
            return "data", "check", spec, "--no-decode"
        key = random_.choice(SETTINGS) if random_.random() < 0.9 else value
        recipe = random_.choice(("strong_baseline", "aanet", "dual_attention"))
        setting = f"{key}{'=' * (random_.random() < 0.95)}{value}"
        return "train", recipe, "--data", good / "nowhere", "--run", tmp_path / "r", "--set", setting

    fuzz("settings", case)


def test_the_good_files_are_good(good: Path) -> None:
    torch.manual_seed(0)
    for call in (
        ("search", good / "run", good / "q.jpg", "--gallery", good / "g.parquet"),
        ("data", "check", good / "a.tar.gz"),
        ("data", "check", good / "a.zip"),
        ("evaluate", "--features", good / "f.npz"),
        ("evaluate", "--features", good / "f.parquet"),
        ("figures", "curves", good / "run", "-o", good / "c.png"),
        ("train", "--resume", good / "run"),
    ):
        code, _, err = command(*call)
        assert code == 0, (call, err)
