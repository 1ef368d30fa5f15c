"""Files in half precision and in int8: their size, their embeddings, their own fingerprint."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from passerby.errors import ConfigError, OutputError
from passerby.export.onnx import Exported, export_onnx
from passerby.export.parity import Parity, check_parity
from passerby.export.precision import int8
from passerby.inference.load import load
from passerby.models.registry import create_model
from passerby.training.checkpoint import save_model
from passerby.training.run import RunFolder

for _package in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(_package, reason="passerby[onnx] is not installed")

Files = dict[str, tuple[Path, Exported]]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, draw_people: Callable[..., Path]) -> Path:
    return draw_people(tmp_path_factory.mktemp("people") / "data", people=12, cameras=3, images=3, size=(48, 24))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose batch statistics are those of its maps."""
    folder = tmp_path_factory.mktemp("run") / "run"
    folder.mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = create_model("strong_baseline", num_classes=3, backbone="resnet18_half")
        network.train()(torch.randn(32, 3, 64, 32))
    save_model(RunFolder(folder), network, options={"backbone": "resnet18_half"}, size=(64, 32))
    return folder


@pytest.fixture(scope="module")
def files(run: Path, people: Path, tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder, model = tmp_path_factory.mktemp("files"), load(run, device="cpu")
    return {
        precision: (
            folder / f"{precision}.onnx",
            export_onnx(model, folder / f"{precision}.onnx", crops=str(people), precision=precision),
        )
        for precision in ("float32", "float16", "int8")
    }


def about(file: Path) -> dict[str, object]:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    found: dict[str, object] = json.loads(session.get_modelmeta().custom_metadata_map["passerby"])
    return found


def test_files_are_smaller_and_say_their_precision(files: Files) -> None:
    sizes = {precision: file.stat().st_size for precision, (file, _) in files.items()}
    assert sizes["float16"] < 0.55 * sizes["float32"]
    assert sizes["int8"] < 0.4 * sizes["float32"]
    assert {precision: about(file)["precision"] for precision, (file, _) in files.items()} == {
        precision: precision for precision in files
    }


def test_embeddings_agree_as_the_precision_has_to(files: Files, run: Path) -> None:
    images = [*np.random.default_rng(0).integers(0, 256, (5, 90, 40, 3), dtype=np.uint8)]
    ours = load(run, device="cpu").embed(images).embedding
    for precision, (file, exported) in files.items():
        cosine = torch.nn.functional.cosine_similarity(load(file).embed(images).embedding, ours)
        least = 0.97 if precision == "int8" else 0.9999
        assert cosine.min() >= least, precision
        assert exported.parity.cosine >= least
    int8_cosine = files["int8"][1].parity.cosine
    assert int8_cosine < 0.99999, "it is computed in int8"


def test_openvino_reads_the_same_files(files: Files, run: Path) -> None:
    openvino = pytest.importorskip("openvino", reason="passerby[openvino] is not installed")
    images = np.random.default_rng(0).integers(0, 256, (4, 64, 32, 3), dtype=np.uint8)
    ours = load(run, device="cpu").embed([*images]).embedding
    for precision, (file, _) in files.items():
        network = openvino.Core().read_model(str(file))
        network.reshape([-1, 64, 32, 3])  # with an open size the first inference is wrong (docs/export.md)
        compiled = openvino.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        found = torch.from_numpy(compiled(images)["embedding"])
        least = 0.97 if precision == "int8" else 0.9999
        assert torch.nn.functional.cosine_similarity(found, ours).min() >= least, precision


def test_only_int8_has_a_fingerprint_of_its_own(files: Files, run: Path) -> None:
    own = load(run).fingerprint
    assert load(files["float16"][0]).fingerprint == own
    found = load(files["int8"][0]).fingerprint
    assert found == files["int8"][1].fingerprint != own
    assert about(files["int8"][0])["run"] == own


def test_most_convolutions_are_in_int8_and_all_else_is_not(files: Files) -> None:
    import onnx

    graph = onnx.load_model(files["int8"][0]).graph
    how = files["int8"][1].quantization
    assert how is not None
    assert how.error <= int8.ERROR
    assert how.convolutions == sum(node.op_type == "Conv" for node in graph.node) == 20
    made = {node.output[0]: node for node in graph.node for _ in node.output}
    convolved = [node for node in graph.node if node.op_type == "Conv"]
    whole = [node for node in convolved if getattr(made.get(node.input[1]), "op_type", "") == "DequantizeLinear"]
    assert len(whole) == how.quantized >= 10
    levels = {node.op_type for node in graph.node for name in node.input if name.endswith("_weights")}
    assert levels == {"Conv"}


GRAPH = """
<ir_version: 8, opset_import: ["": 18]>
network (float[batch, 1, 4, 4] images) => (float[batch, 1, 4, 4] embedding)
<float[2, 1, 1, 1] doubled = {1, 1}, float[2, 2, 1, 1] far_apart = {1, 0, 1000, -1000},
 float[1, 2, 1, 1] summed = {1, 1}>
{
  [first] a = Conv (images, doubled)
  [second] b = Conv (a, far_apart)
  [third] embedding = Conv (b, summed)
}
"""


def test_what_stands_between_quantized_convolutions_is_not_quantized() -> None:
    """By the runtime either, which does so of its own, by one step for all channels: 1 is 0 beside 1000."""
    from onnx import parser

    from passerby.export.precision.convolutions import find_convolutions, measure_ranges, session_of
    from passerby.export.precision.quantize import quantized

    graph = parser.parse_model(GRAPH)
    images = np.random.default_rng(0).random((8, 1, 4, 4), dtype=np.float32)
    found, ranges = measure_ranges(graph, find_convolutions(graph), images)
    made = quantized(graph, [found[0], found[2]], [found[1]], ranges)
    (got,) = session_of(made).run(["embedding"], {"images": images})
    np.testing.assert_allclose(got, images, atol=0.02)


def test_images_that_are_compared_are_not_calibrated_on(people: Path) -> None:
    from passerby.export.parity import Crops

    names = Crops.of(str(people)).names
    everything = len(int8.calibration_pixels(str(people), (64, 32)))
    assert len(int8.calibration_pixels(str(people), (64, 32), without=names)) < everything


def test_too_few_images_are_refused(run: Path, tmp_path: Path, draw_people: Callable[..., Path]) -> None:
    few = draw_people(tmp_path / "few", people=4, cameras=2, images=2)
    with pytest.raises(ConfigError, match=r"int8 needs images .* got \d+ of .*, expected at least 16"):
        export_onnx(load(run, device="cpu"), tmp_path / "m.onnx", crops=str(few), precision="int8")
    assert not (tmp_path / "m.onnx").exists()


def test_a_network_without_convolutions_to_quantize_is_refused(
    run: Path, tmp_path: Path, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "ERROR", -1.0)
    with pytest.raises(ConfigError, match=r"strong_baseline gains nothing from int8.* Fix: --precision float16"):
        export_onnx(load(run, device="cpu"), tmp_path / "m.onnx", crops=str(people), precision="int8")


def test_each_precision_has_its_least_cosine() -> None:
    for precision, least in (("float32", 0.9999), ("float16", 0.999), ("int8", 0.97)):
        check_parity(Parity(least, 0, None, None, 1, ""), "model", precision)
        with pytest.raises(OutputError, match=rf"got cosine .*, expected at least {least}"):
            check_parity(Parity(least - 1e-4, 0, None, None, 1, ""), "model", precision)
