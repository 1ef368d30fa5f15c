"""Exported models: the same embeddings and numbers as the run, from one file, or no file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from passerby.data.registry import load as load_dataset
from passerby.errors import ConfigError, OutputError, PasserbyError, WeightsError
from passerby.export import onnx as exporting
from passerby.export.onnx import export_onnx
from passerby.export.parity import Parity, check_parity
from passerby.inference.load import load
from passerby.inference.model import Model
from passerby.inference.onnx.session import OnnxSession
from passerby.models.registry import create_model
from passerby.training.checkpoint import save_model
from passerby.training.run import RunFolder
from passerby.weights.onnx_file import content_digest, read_onnx, with_description

for _package in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(_package, reason="passerby[onnx] is not installed")

SMALL = {"backbone": "resnet18_half"}
FAMILIES: dict[str, dict[str, Any]] = {
    "strong_baseline": SMALL,
    "aap_reid": SMALL,
    "aanet": SMALL,
    "dual_attention": SMALL,
    "osnet_x0_25": {},
}
SIZE = (64, 32)


def make_run(folder: Path, name: str, options: dict[str, Any] | None = None, **evaluation: Any) -> Path:
    """A run of a model whose batch statistics are not those of a fresh one."""
    options = FAMILIES.get(name, {}) if options is None else options
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = create_model(name, num_classes=3, **options)
        for module in network.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
        if name == "dual_attention":
            network.self_attention.alpha.data.fill_(0.5)
    folder.mkdir(parents=True)
    save_model(RunFolder(folder), network, options=options, size=SIZE, evaluation=evaluation)
    return folder


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory, draw_people: Callable[..., Path]) -> Path:
    return draw_people(tmp_path_factory.mktemp("people") / "data", people=4, cameras=2, images=3, size=(48, 24))


@pytest.fixture(scope="session")
def osnet(tmp_path_factory: pytest.TempPathFactory, people: Path) -> tuple[Path, Path]:
    """A run and its ONNX file."""
    folder = tmp_path_factory.mktemp("osnet")
    run = make_run(folder / "run", "osnet_x0_25", flip_tta=True, draws=2, seed=5)
    export_onnx(load(run, device="cpu"), folder / "model.onnx", crops=str(people), license="CC-BY-4.0")
    return run, folder / "model.onnx"


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "osnet_x0_25"])
def test_the_file_embeds_and_evaluates_as_the_run(name: str, tmp_path: Path, people: Path) -> None:
    distance = "global_local" if name == "aap_reid" else "global"
    model = load(make_run(tmp_path / "run", name, distance=distance), device="cpu")
    written = export_onnx(model, tmp_path / "model.onnx", crops=str(people))
    assert written.parity.cosine >= 0.9999
    check_equal(model, load(tmp_path / "model.onnx"), people)


def test_one_with_flips_and_drawn_galleries_does_too(osnet: tuple[Path, Path], people: Path) -> None:
    model, served = load(osnet[0], device="cpu"), load(osnet[1])
    assert (served.options.flip_tta, served.draws, served.seed) == (True, 2, 5)
    check_equal(model, served, people)


def check_equal(model: Model, served: Model, people: Path) -> None:
    """Compare embeddings in batches of 1, 4 and more, of other sizes than the model's, and what is evaluated."""
    assert served.fingerprint == model.fingerprint
    assert (repr(served), served.protocol, served.schema) == (repr(model), model.protocol, model.schema)
    assert served.origin() == model.origin()
    generator = np.random.default_rng(0)
    images = [generator.integers(0, 256, (40 + 9 * i, 50 - i, 3), dtype=np.uint8) for i in range(5)]
    for some in (images[:1], images[:4], images * 4):
        ours, theirs = (each.embed(some, with_local=True) for each in (model, served))
        for name in ("embedding", "local", "attributes"):
            a, b = getattr(ours, name), getattr(theirs, name)
            assert (a is None) == (b is None), name
            if a is not None:
                torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4 * a.abs().max().item())
    dataset = load_dataset(str(people))
    assert served.evaluate(dataset).to_dict() == model.evaluate(dataset).to_dict()


def test_the_graph_alone_takes_images_of_any_size(osnet: tuple[Path, Path]) -> None:
    import onnxruntime

    model = load(osnet[0], device="cpu", flip_tta=False)
    session = onnxruntime.InferenceSession(osnet[1], providers=["CPUExecutionProvider"])
    for count, (height, width) in {1: SIZE, 4: (150, 61), 17: (33, 70)}.items():
        images = np.random.default_rng(count).integers(0, 256, (count, height, width, 3), dtype=np.uint8)
        embedding, raw = session.run(["embedding", "raw_embedding"], {"images": images})
        expected = model.embed([Image.fromarray(each) for each in images]).embedding
        cosine = torch.nn.functional.cosine_similarity(torch.from_numpy(raw), expected)
        assert cosine.min() >= 0.9999
        np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, rtol=1e-5)


def test_a_network_with_instance_batch_normalization_takes_any_number_of_images(tmp_path: Path, people: Path) -> None:
    run = make_run(tmp_path / "run", "strong_baseline", {"backbone": "mobilenet_v2_ibn_a"})
    assert export_onnx(load(run, device="cpu"), tmp_path / "model.onnx", crops=str(people)).parity.cosine >= 0.9999


def test_the_file_describes_its_model(osnet: tuple[Path, Path]) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(osnet[1], providers=["CPUExecutionProvider"])
    about = json.loads(session.get_modelmeta().custom_metadata_map["passerby"])
    assert about["card"]["name"] == "osnet_x0_25"
    assert about["size"] == [*SIZE]
    assert about["license"] == "CC-BY-4.0"
    assert about["fingerprint"] == load(osnet[0]).fingerprint
    assert about["evaluation"] == {"flip_tta": True, "normalize": True, "distance": "global", "draws": 2, "seed": 5}
    assert about["parity"]["cosine"] >= 0.9999
    assert about["parity"]["batches"] == [1, 4, 17]
    text = osnet[1].read_bytes()
    assert b"site-packages" not in text, "no paths of the machine that exported it"


def test_what_needs_layers_says_so(osnet: tuple[Path, Path]) -> None:
    with pytest.raises(ConfigError, match="runs in an OnnxSession, which has no PyTorch network for gradients"):
        _ = load(osnet[1]).network
    with pytest.raises(ConfigError, match="Fix: give the run folder itself"):
        export_onnx(load(osnet[1]), osnet[1].with_name("again.onnx"))


def test_options_of_inference_hold(osnet: tuple[Path, Path]) -> None:
    with pytest.raises(ConfigError, match="sees no body parts"):
        load(osnet[1], keypoints="network")
    with pytest.raises(ConfigError, match="device 'mps' cannot be used for an ONNX file"):
        load(osnet[1], device="mps")
    assert load(osnet[1], normalize=False).protocol.normalize is False


def test_models_of_body_parts_are_refused(tmp_path: Path) -> None:
    network = create_model("attention_driven", width=0.25)
    with pytest.raises(ConfigError, match="attention_driven sees body parts, which passerby cuts from each image"):
        export_onnx(Model(network, SIZE), tmp_path / "model.onnx")


def test_other_embeddings_leave_no_file(
    osnet: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, people: Path
) -> None:
    import onnx

    model = load(osnet[0], device="cpu")
    with torch.no_grad():
        for values in model.network.parameters():  # no longer those of the graph
            values.add_(0.1 * torch.randn(values.shape, generator=torch.Generator().manual_seed(0)))
    monkeypatch.setattr(exporting, "network_graph", lambda *_: None)  # an export takes seconds
    monkeypatch.setattr(exporting, "_joined", lambda *_: onnx.load_model(osnet[1]))
    with pytest.raises(OutputError, match=r"got cosine 0\.\d+, expected at least 0\.9999"):
        export_onnx(model, tmp_path / "model.onnx", crops=str(people))
    assert not [*tmp_path.iterdir()]


def test_parity_of_what_is_no_number_fails() -> None:
    nan = float("nan")
    for parity in (Parity(nan, 0, None, None, 1, ""), Parity(1, nan, None, None, 1, ""), Parity(1, 0, nan, 0, 1, "")):
        with pytest.raises(OutputError, match="gives other embeddings than its run"):
            check_parity(parity, "model")


def foreign(content: bytes) -> bytes:
    """The same file without a description."""
    about = read_about(content)
    return content.replace(json.dumps(about).encode(), b" " * len(json.dumps(about)))


def read_about(content: bytes) -> dict[str, Any]:
    start = content.rindex(b'{"format"')
    found: dict[str, Any] = json.loads(content[start:])
    return found


def with_external_data(content: bytes) -> bytes:
    import onnx

    about, model = read_about(content), onnx.load_model_from_string(content)
    del model.metadata_props[:]
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return with_description(model.SerializeToString(), about)


def changed(content: bytes, **entries: Any) -> bytes:
    import onnx

    about, model = read_about(content), onnx.load_model_from_string(content)
    del model.metadata_props[:]
    return with_description(model.SerializeToString(), about | entries)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda c: b"", "it is empty", id="empty"),
        pytest.param(lambda c: b"PK\3\4" + c, "it is a zip archive that is cut short", id="zip"),
        pytest.param(lambda c: c[: len(c) // 2], "cut short or damaged", id="truncated"),
        pytest.param(lambda c: c[:-20], "cut short or damaged", id="truncated description"),
        pytest.param(lambda c: c[:50_000] + b"\0\1\2\3" + c[50_004:], "its content is not what was", id="weights"),
        pytest.param(lambda c: c[:40] + b"\xff" * 60, "cut short or damaged", id="garbage"),
        pytest.param(foreign, "its description is not JSON", id="no JSON"),
        pytest.param(with_external_data, "keeps weights in other files", id="external data"),
        pytest.param(lambda c: changed(c, format=99), "has format 99, expected at most 1", id="newer"),
        pytest.param(lambda c: changed(c, size=[0, 32]), "damaged description", id="size"),
        pytest.param(lambda c: changed(c, size=[1, 1]), "damaged description", id="one pixel"),
        pytest.param(lambda c: changed(c, digest="../x"), "damaged description", id="digest"),
        pytest.param(lambda c: changed(c, card=None), "damaged description", id="card"),
        pytest.param(lambda c: changed(c, calibration={}), "is damaged", id="calibration"),
        pytest.param(
            lambda c: changed(c, attributes={"name": "x", "columns": ["a"], "groups": []}),
            "damaged description",
            id="attributes",
        ),
    ],
)
def test_files_that_are_no_model_are_one_line(
    osnet: tuple[Path, Path], tmp_path: Path, change: Callable[[bytes], bytes], message: str
) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(change(osnet[1].read_bytes()))
    with pytest.raises(PasserbyError, match=message) as error:
        load(file)
    assert "\n" not in str(error.value)
    assert "Fix: " in str(error.value)


def test_a_model_of_another_program_is_named(tmp_path: Path) -> None:
    import onnx

    graph = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 18]> g (float[n] x) => (float[n] y) { y = Abs (x) }'
    )
    (tmp_path / "other.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(WeightsError, match="was not exported by passerby"):
        load(tmp_path / "other.onnx")
    with pytest.raises(ConfigError, match="model and size are of a checkpoint file"):
        load(tmp_path / "other.onnx", model="aanet")


def test_another_size_has_another_fingerprint(osnet: tuple[Path, Path]) -> None:
    session = OnnxSession(osnet[1])
    assert Model(session, SIZE).fingerprint == load(osnet[0]).fingerprint
    assert Model(session, (32, 16)).fingerprint != load(osnet[0]).fingerprint


def test_the_digest_is_of_everything_but_the_description(osnet: tuple[Path, Path]) -> None:
    file = read_onnx(osnet[1])
    assert content_digest(file.content) == file.about["content"]
    assert content_digest(with_description(file.content, {"a": 1})) == file.about["content"]


def test_openvino_reads_the_same_file(osnet: tuple[Path, Path]) -> None:
    openvino = pytest.importorskip("openvino", reason="passerby[openvino] is not installed")
    network = openvino.Core().read_model(str(osnet[1]))
    network.reshape([-1, *SIZE, 3])  # with an open size the first inference is wrong (docs/export.md)
    compiled = openvino.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    images = np.random.default_rng(0).integers(0, 256, (4, *SIZE, 3), dtype=np.uint8)
    expected = load(osnet[0], device="cpu", flip_tta=False).embed([*images]).embedding
    cosine = torch.nn.functional.cosine_similarity(torch.from_numpy(compiled(images)["embedding"]), expected)
    assert cosine.min() >= 0.9999
