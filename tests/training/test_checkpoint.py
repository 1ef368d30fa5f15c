"""Models on disk: round trips, imports, and damaged folders."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from passerby.compat import DEFAULTS
from passerby.errors import ConfigError, OutputError, UnknownNameError, WeightsError
from passerby.inference.load import load
from passerby.models.base import ReidModel
from passerby.models.keypoints.estimator import SHIPPED
from passerby.models.registry import create_model, model_card
from passerby.training.checkpoint import import_checkpoint, save_model
from passerby.training.config import PartsConfig
from passerby.training.run import RunFolder

OPTIONS: dict[str, Any] = {"backbone": "mobilenet_v2", "last_stride": 2}
SIZE = (64, 32)


def trained(name: str = "strong_baseline", **options: Any) -> ReidModel:
    """A model whose every tensor, running statistics included, differs from a fresh one's."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = create_model(name, num_classes=4, **options)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(torch.rand(tensor.shape, generator=torch.Generator().manual_seed(2)), alpha=0.1)
    return model.eval()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    save_model(folder, trained(**OPTIONS), options=OPTIONS, size=SIZE)
    return folder.path


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A checkpoint as another trainer writes one."""
    path = tmp_path / "foreign.pth"
    state = {f"module.{key}": value for key, value in trained("osnet_x0_25").state_dict().items()}
    torch.save({"state_dict": state, "epoch": 60}, path)
    return path


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def test_round_trip(run: Path) -> None:
    model, original = load(run), trained(**OPTIONS)
    assert model.size == SIZE
    assert not model.network.training
    images = torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    theirs = model.network.state_dict()
    assert theirs.keys() == original.state_dict().keys()
    assert all(torch.equal(value, theirs[key]) for key, value in original.state_dict().items())
    with torch.inference_mode():
        assert torch.equal(model.network(images).embedding, original(images).embedding)


def test_what_was_saved_is_the_model_that_was_given(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    model = trained(**OPTIONS)
    save_model(folder, model, options=OPTIONS, size=SIZE)
    saved = load_file(tmp_path / "model.safetensors")
    assert saved.keys() == model.state_dict().keys()
    assert all(torch.equal(value, saved[key]) for key, value in model.state_dict().items())
    assert json.loads((tmp_path / "model.json").read_text()) == {
        "model": "strong_baseline",
        "options": OPTIONS,
        "num_classes": 4,
        "size": [64, 32],
        "embedding_size": 1280,
        "defaults": DEFAULTS,
        "normalization": "imagenet",
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "model.safetensors"]


@pytest.mark.usefixtures("umask")
def test_files_are_as_readable_as_the_umask_says(tmp_path: Path) -> None:
    save_model(RunFolder(tmp_path), trained(**OPTIONS), options=OPTIONS, size=SIZE)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"model.json": 0o640, "model.safetensors": 0o640}


def test_import_of_a_foreign_checkpoint(foreign: Path, tmp_path: Path) -> None:
    found = import_checkpoint("osnet_x0_25", foreign, tmp_path / "deep" / "run")
    assert found.report.share == 1.0
    model, original = load(tmp_path / "deep" / "run"), trained("osnet_x0_25")
    assert model.size == model_card("osnet_x0_25").input_size == (256, 128)
    assert json.loads((tmp_path / "deep" / "run" / "model.json").read_text())["num_classes"] == 4
    expected, ours = original.state_dict(), model.network.state_dict()
    assert ours.keys() == expected.keys()
    assert all(torch.equal(value, expected[key]) for key, value in ours.items())


def test_import_takes_a_size_and_options(tmp_path: Path) -> None:
    torch.save(trained(**OPTIONS).state_dict(), tmp_path / "foreign.pth")
    import_checkpoint("strong_baseline", tmp_path / "foreign.pth", tmp_path / "run", options=OPTIONS, size=SIZE)
    assert load(tmp_path / "run").size == SIZE


@pytest.mark.parametrize("model", ["osnet_x0_5", "osnet_x0_26"])
def test_a_failed_import_leaves_nothing(model: str, foreign: Path, tmp_path: Path) -> None:
    with pytest.raises((WeightsError, UnknownNameError)):
        import_checkpoint(model, foreign, tmp_path / "run")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["foreign.pth"]


def test_an_imported_model_of_parts_cuts_images_as_its_recipe_does(tmp_path: Path) -> None:
    options = {"width": 0.25}
    torch.save(trained("attention_driven", **options).state_dict(), tmp_path / "foreign.pth")
    import_checkpoint("attention_driven", tmp_path / "foreign.pth", tmp_path / "run", options=options)
    imported = load(tmp_path / "run")
    assert imported.parts | {"keypoints": imported.options.keypoints} == PartsConfig().model_dump()


def test_import_without_a_classifier_makes_an_embedding_only_model(tmp_path: Path) -> None:
    state = {key: value for key, value in trained("osnet_x0_25").state_dict().items() if "classifier" not in key}
    torch.save(state, tmp_path / "foreign.pth")
    import_checkpoint("osnet_x0_25", tmp_path / "foreign.pth", tmp_path / "run")
    assert json.loads((tmp_path / "run" / "model.json").read_text())["num_classes"] is None
    ours = load(tmp_path / "run").network.state_dict()
    assert ours.keys() == state.keys()
    assert all(torch.equal(ours[key], value) for key, value in state.items())


def test_a_run_remembers_where_its_weights_come_from(foreign: Path, tmp_path: Path) -> None:
    import_checkpoint("osnet_x0_25", foreign, tmp_path / "run")
    about = json.loads((tmp_path / "run" / "model.json").read_text())["weights"]["imported"]
    assert about == {
        "source": str(foreign),
        "sha256": hashlib.sha256(foreign.read_bytes()).hexdigest(),
        "toolkit": "torchreid",
    }


def test_what_is_allowed_to_be_missing_is_the_same_each_time(tmp_path: Path) -> None:
    state = {f"head{k[2:]}" if k.startswith("fc.") else k: v for k, v in trained("osnet_x0_25").state_dict().items()}
    torch.save(state, tmp_path / "foreign.pth")
    with pytest.raises(WeightsError, match=r"6 missing \(fc\.0\.weight.*7 unexpected \(head\.0\.weight"):
        import_checkpoint("osnet_x0_25", tmp_path / "foreign.pth", tmp_path / "run")
    allowed = {"missing": ["fc."], "unexpected": ["head."]}
    for name in ("one", "other"):
        import_checkpoint("osnet_x0_25", tmp_path / "foreign.pth", tmp_path / name, **allowed)
    one, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "other"))
    assert one == other


FAST_REID = (("neck.", "heads.bottleneck.0."), ("classifier.weight", "heads.weight"))
MEAN = torch.tensor([123.675, 116.28, 103.53]).view(1, 3, 1, 1)
AUTHORS = (("neck.", "bottleneck."), ("backbone.", "base."))


@pytest.mark.parametrize("names", [FAST_REID, AUTHORS], ids=["fast-reid", "authors"])
def test_the_bn_neck_baselines_of_other_programs_are_read(names: tuple[tuple[str, str], ...], tmp_path: Path) -> None:
    original = trained(backbone="resnet18_half").state_dict()
    theirs = {}
    for key, value in original.items():
        ours, name = next(((o, n) for o, n in names if key.startswith(o)), ("", ""))
        theirs[name + key[len(ours) :]] = value
    torch.save({"model": theirs | {"pixel_mean": MEAN}, "iteration": 9}, tmp_path / "model.pth")
    options = {"backbone": "resnet18_half"}
    import_checkpoint("strong_baseline", tmp_path / "model.pth", tmp_path / "run", options=options)
    ours_now = load(tmp_path / "run").network.state_dict()
    assert all(torch.equal(ours_now[key], value) for key, value in original.items())


def test_import_never_overwrites(foreign: Path, run: Path) -> None:
    before = (run / "model.safetensors").read_bytes()
    with pytest.raises(ConfigError, match=r"exists.*choose a new folder"):
        import_checkpoint("osnet_x0_25", foreign, run)
    assert (run / "model.safetensors").read_bytes() == before


def test_import_where_no_folder_can_be(foreign: Path) -> None:
    with pytest.raises(OutputError, match="cannot make the folder"):
        import_checkpoint("osnet_x0_25", foreign, foreign / "run")


@pytest.mark.parametrize(
    ("folder", "message"), [("absent", "absent' does not exist"), (".", r"no finished model \(no model.json\)")]
)
def test_no_finished_model(folder: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        load(tmp_path / folder)


DAMAGED = {
    "truncated": '{"model": "strong_bas',
    "not an object": "[1, 2]",
    "not text": b"\xff\xfe\x00",
    "empty": "",
    "no size": {"size": None},
    "one side": {"size": [64]},
    "sides of letters": {"size": ["a", "b"]},
    "classes of letters": {"num_classes": "many"},
    "options not an object": {"options": 3},
    "nested": "[" * 100_000,
    "nested objects": '{"a":' * 900 + "1" + "}" * 900,
    "a side of a million": {"size": [1_000_000, 32]},
    "a side of none": {"size": [0, 32]},
    "sides of fractions": {"size": [64.5, 32]},
    "classes without end": {"num_classes": 10**12},
    "no classes": {"num_classes": 0},
    "a flag of text": {"evaluation": {"flip_tta": "no"}},
    "a flag of numbers": {"evaluation": {"normalize": 0}},
    "a million draws": {"evaluation": {"draws": 1_000_000}},
    "a seed of text": {"evaluation": {"seed": "x"}},
    "a seed of 31 digits": {"evaluation": {"seed": 10**30}},
    "sides of one pixel": {"size": [1, 1]},
    "sides of 4,096 pixels": {"size": [4096, 4096]},
    "another entry": {"evaluation": {"gamma": 3}},
    "evaluation not an object": {"evaluation": [1]},
    "parts not an object": {"parts": "pose"},
    "an overlap of text": {"parts": {"overlap": "wide"}},
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_damaged_description(damage: str | bytes | dict[str, Any], run: Path) -> None:
    if isinstance(damage, dict):
        damage = json.dumps(json.loads((run / "model.json").read_text()) | damage)
    (run / "model.json").write_bytes(damage if isinstance(damage, bytes) else damage.encode())
    with pytest.raises(ConfigError, match=r"model\.json .*export or train the model again"):
        load(run)


@pytest.mark.parametrize("key", ["model", "options", "num_classes", "size"])
def test_description_without_a_key(key: str, run: Path) -> None:
    description = json.loads((run / "model.json").read_text())
    del description[key]
    (run / "model.json").write_text(json.dumps(description))
    with pytest.raises(ConfigError, match=f"damaged .*{key}"):
        load(run)


@pytest.mark.parametrize(
    "options", [{"backbone": ["mobilenet_v2"]}, {"last_stride": {}}, {"num_classes": 3}, {"self": 1}, {"backbone": 5}]
)
def test_options_of_other_types_are_one_line(options: dict[str, Any], run: Path) -> None:
    description = json.loads((run / "model.json").read_text())
    (run / "model.json").write_text(json.dumps(description | {"options": options}))
    with pytest.raises((ConfigError, UnknownNameError)) as caught:
        load(run)
    assert "\n" not in str(caught.value)


def test_options_that_ask_for_terabytes_are_refused_before_any_memory(run: Path) -> None:
    description = json.loads((run / "model.json").read_text())
    size = {"num_classes": 9_000_000}
    (run / "model.json").write_text(json.dumps(description | size))
    with pytest.raises(ConfigError, match=r"strong_baseline would have [\d,]{14} parameters"):
        load(run)
    huge = {"model": "attention_driven", "options": {"width": 1e6}}
    (run / "model.json").write_text(json.dumps(description | huge))
    with pytest.raises(ConfigError, match=r"attention_driven would have|model\.json is damaged"):
        load(run)


def test_keypoints_for_a_model_that_asks_for_none(run: Path) -> None:
    with pytest.raises(ConfigError, match="strong_baseline sees no body parts"):
        load(run, keypoints="network")


def test_a_pose_network_is_no_model_of_people() -> None:
    with pytest.raises(ConfigError, match=r"holds a pose network.*--keypoints"):
        load(SHIPPED)


def test_description_without_weights(run: Path) -> None:
    (run / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match="no checkpoint at"):
        load(run)


def test_weights_of_another_model(run: Path) -> None:
    description = json.loads((run / "model.json").read_text())
    (run / "model.json").write_text(json.dumps(description | {"num_classes": 5}))
    with pytest.raises(WeightsError, match=r"1 reshaped \(classifier.weight\)"):
        load(run)


def test_cut_weights(run: Path) -> None:
    content = (run / "model.safetensors").read_bytes()
    (run / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match="not a readable checkpoint"):
        load(run)
