"""What a generated source answers for itself, and that data needs no renderer for it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import passerby
from passerby.data.attributes.labels import read_attributes
from passerby.data.attributes.twins import twin_groups
from passerby.data.source import ATTRIBUTES, KEYPOINTS, SETTINGS, DirectorySource, open_source
from passerby.errors import DatasetLayoutError
from passerby.synthetic.dataset import PedestrianSource, open_pedestrians
from passerby.synthetic.export import write_pedestrians
from passerby.synthetic.files import described_names, mask_name, short_hash
from passerby.synthetic.settings import Settings
from passerby.synthetic.street.world import World

SMALL = Settings(people=4, cameras=2, images=2, size=(32, 16), two_outfits=True, changes={"twins": 0.8})
RENDERER = ("mannequin", "clothes", "street", "render", "people", "dataset")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> DirectorySource:
    return DirectorySource(write_pedestrians(tmp_path_factory.mktemp("set") / "people", SMALL, masks=True))


@pytest.fixture
def generated() -> PedestrianSource:
    return PedestrianSource(SMALL, cache=None)


@pytest.mark.parametrize("name", [ATTRIBUTES, KEYPOINTS, SETTINGS])
def test_label_files_are_those_of_a_written_set(
    generated: PedestrianSource, written: DirectorySource, name: str
) -> None:
    assert generated.sidecar(name) == written.read(name)
    assert name not in generated.names(), "label files are not listed"


def test_masks_are_those_of_a_written_set(generated: PedestrianSource, written: DirectorySource) -> None:
    for image in generated.names()[::5]:
        assert generated.sidecar(mask_name(image)) == written.read(mask_name(image))
    assert generated.sidecar("masks/other.png") is None
    with pytest.raises(DatasetLayoutError, match="has no file"):
        generated.read("masks/other.png")


def test_images_are_those_of_a_written_set(generated: PedestrianSource, written: DirectorySource) -> None:
    name = generated.names()[0]
    content, labels = generated.render(name)
    assert content == generated.read(name) == written.read(name)
    assert labels.parts.tolist() == generated.labels(name).parts.tolist()


def test_no_image_is_rendered_for_what_settings_say(
    generated: PedestrianSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("an image was rendered")

    monkeypatch.setattr(World, "shot", never)
    assert generated.is_synthetic
    assert generated.fingerprint() == short_hash(SMALL)
    assert generated.digest("query/a.jpg") == f"{short_hash(SMALL)} query/a.jpg".encode()
    assert all(generated.has(name) for name in (ATTRIBUTES, KEYPOINTS, SETTINGS, *generated.names()))
    assert not generated.has("notes.txt")
    assert generated.sidecar("notes.txt") is None
    assert len(read_attributes(generated).images) == len(generated.names())
    assert twin_groups(generated)
    with pytest.raises(AssertionError, match="rendered"):
        generated.sidecar(KEYPOINTS)


def test_outfits_are_those_of_the_label_file(generated: PedestrianSource, written: DirectorySource) -> None:
    assert {outfit for _, outfit in generated.outfits().values()} == {1, 2}
    table = read_attributes(written)
    assert {name: row.tolist() for name, row in read_attributes(generated).images.items()} == {
        name: row.tolist() for name, row in table.images.items()
    }


def test_files_on_disk_generate_nothing(written: DirectorySource) -> None:
    assert not written.is_generated
    with pytest.raises(NotImplementedError, match="check is_generated first"):
        written.labels(written.names()[0])
    with pytest.raises(NotImplementedError, match="check is_generated first"):
        written.outfits()


def test_a_fingerprint_is_of_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"one")
    (tmp_path / "b.jpg").write_bytes(b"two")
    first = open_source(tmp_path).fingerprint()
    assert open_source(tmp_path).fingerprint() == first
    (tmp_path / "b.jpg").write_bytes(b"three")
    second = open_source(tmp_path).fingerprint()
    (tmp_path / "b.jpg").rename(tmp_path / "c.jpg")
    assert len({first, second, open_source(tmp_path).fingerprint()}) == 3


OF_FORMER_VERSIONS = b"""{
  "people": 6, "cameras": 3, "images": 2, "size": [64, 32], "seed": 14, "preset": "easy", "two_outfits": false,
  "separate_cameras": false, "changes": {"colour": 2.0},
  "knobs": {"clothes": 1.0, "colour": 2.0, "background": 1.0, "light": 0.4, "occluder": 0.03, "passerby": 0.1,
            "crop": 0.5, "quality": 0.6, "viewpoint": 0.5, "twins": 0.0},
  "version": 1
}
"""


def test_settings_files_of_former_versions_describe_their_images() -> None:
    names = described_names(OF_FORMER_VERSIONS)
    source = open_pedestrians("people=6,cameras=3,images=2,size=64x32,seed=14,preset=easy,colour=2", cache=None)
    assert names is not None
    every = {*source.names(), *map(mask_name, source.names())}
    assert all(name in names for name in every)
    for name in sorted(every):
        folder, _, base = name.rpartition("/")
        pid, camera, time, _ = base.split("_")
        others = (f"query/{base}x", f"other/{base}", base, f"{folder}/0007_{camera}_{time}_00.jpg")
        others += (f"{folder}/{pid}_c4s1_{time}_00.jpg", f"{folder}/{pid}_{camera}_{int(time) + 1:06d}_00.jpg")
        others += (f"{folder}/{pid}_{camera}_{int(time) + 50:06d}_00.jpg",)
        assert not any(other in names for other in others if other not in every), name


def _settings(**values: Any) -> bytes:
    return json.dumps({**json.loads(OF_FORMER_VERSIONS), **values}).encode()


def test_settings_of_any_size_are_no_work(tmp_path: Path) -> None:
    """A file from elsewhere never makes the program list, or render, what it describes."""
    few = open_pedestrians("people=6,cameras=3,images=2,size=64x32,seed=14,preset=easy,colour=2", cache=None)
    (tmp_path / "query").mkdir()
    (tmp_path / few.names()[-1]).parent.mkdir(exist_ok=True)
    (tmp_path / few.names()[-1]).touch()
    (tmp_path / "settings.json").write_bytes(_settings(people=3_000_000))
    began = time.process_time()
    open_source(tmp_path).is_synthetic  # noqa: B018 - only its time matters
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "content",
    [
        _settings(people=10**12),
        _settings(people="6"),
        _settings(people=6.5),
        _settings(seed=True),
        _settings(two_outfits="no"),
        _settings(size=[64]),
        _settings(size=[64, "x"]),
        _settings(size=None),
        _settings(changes={"colour": "x"}),
        _settings(changes={"colour": float("inf")}),
        _settings(changes=[1]),
        _settings(preset=[1]),
        b"[" * 5000,
        b"[]",
        b"\xff",
        _settings() + b" " * (1 << 17),
    ],
    ids=range(16),
)
def test_settings_that_no_generator_wrote_prove_nothing(content: bytes, tmp_path: Path) -> None:
    source = open_pedestrians("people=6,cameras=3,images=2,size=64x32,seed=14,preset=easy,colour=2", cache=None)
    for number, text in enumerate((content, _settings())):
        root = tmp_path / str(number)
        image = root / source.names()[0]
        image.parent.mkdir(parents=True)
        image.touch()
        (root / "settings.json").write_bytes(text)
        assert open_source(root).is_synthetic == bool(number)


@pytest.mark.parametrize(
    "program",
    [
        "import passerby.data, passerby.data.registry",
        "from passerby.data.registry import DATASETS; list(DATASETS)",
        f"from passerby.data.registry import load; load({'{folder!r}'})",
        f"from passerby.data.source import open_source; assert open_source({'{folder!r}'}).is_synthetic",
    ],
)
def test_data_does_not_load_the_renderer(program: str, written: DirectorySource) -> None:
    listing = "import sys; print(*(name for name in sys.modules if name.startswith('passerby.synthetic.')))"
    run = subprocess.run(
        [sys.executable, "-c", f"{program.format(folder=str(written.root))}\n{listing}"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.split(".")[2] for name in run.stdout.split()}
    assert not loaded & set(RENDERER), loaded


def test_only_the_command_that_writes_a_set_imports_the_generator() -> None:
    package = Path(passerby.__file__).parent
    importing = {
        file.relative_to(package).as_posix()
        for file in package.rglob("*.py")
        if file.relative_to(package).parts[0] != "synthetic"
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("passerby.synthetic")
    }
    assert importing == {"cli/commands/data/synthesize.py"}
