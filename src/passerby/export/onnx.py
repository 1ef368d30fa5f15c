"""A model → one ONNX file: preprocessing, network, description; checked against the network before it is in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from passerby.errors import ConfigError
from passerby.export.network import ServedNetwork, network_graph
from passerby.export.parity import Crops, Parity, TorchNetwork, check_parity, measure_parity
from passerby.export.preprocessing import IR_VERSION, preprocessing
from passerby.files import atomic_write
from passerby.inference.model import Model
from passerby.inference.onnx.session import FORMAT, SchemaDescription
from passerby.inference.session import evaluation_mode
from passerby.weights.onnx_file import import_package, with_description


@dataclass(frozen=True)
class Exported:
    """A file that was written."""

    path: Path
    size: int
    """The number of its bytes."""
    parity: Parity


def check_exportable(model: Model) -> None:
    """Check, before any work, that a model can be exported.

    Raises:
        ConfigError: if it sees body parts, is not a PyTorch network, or a package is missing.
    """
    if "parts" in model.card.inputs:
        raise ConfigError(
            f"{model.card.name} sees body parts, which passerby cuts from each image where a pose network finds them: "
            "an ONNX file takes whole images alone. Fix: export a model of whole images, or serve the run itself"
        )
    assert model.network is not None  # its absence is an error
    for package in ("onnx", "onnxscript", "onnxruntime"):
        import_package(package)


def export_onnx(model: Model, path: str | Path, *, crops: str | None = None, license: str | None = None) -> Exported:  # noqa: A002 - the word of the file
    """Write a model as an ONNX file, atomically, after its embeddings were compared with the network's.

    Args:
        model: the model, on the CPU.
        crops: where the images are that are compared; by default synthetic ones.
        license: the license of the weights, which the file states.

    Raises:
        ConfigError: if the model cannot be exported (:func:`check_exportable`).
        OutputError: if PyTorch cannot export the network, the embeddings differ, or the file cannot be written.
    """
    check_exportable(model)
    images = Crops.of(crops)
    normalize = model.protocol.normalize
    with evaluation_mode(model.network):
        served = ServedNetwork(model.network, normalization=model.normalization, normalize=normalize).eval()
        graph = _joined(preprocessing(model.size), network_graph(served, model.size))
    graph.producer_name, graph.producer_version = "passerby", version("passerby")
    graph.doc_string = f"{model.card.name}: {model.card.paper}"
    content = graph.SerializeToString()
    with atomic_write(path) as partial:
        partial.write_bytes(content)
        network = TorchNetwork(model.session, model.size)
        parity = measure_parity(partial, network, images, normalize=normalize)
        check_parity(parity, model.card.name)
        partial.write_bytes(with_description(content, describe(model, parity, license=license)))
        size = partial.stat().st_size
    return Exported(Path(path), size, parity)


def describe(model: Model, parity: Parity, *, license: str | None = None) -> dict[str, Any]:  # noqa: A002 - the word of the file
    """Return what the file says about its model (:class:`~passerby.inference.onnx.session.OnnxDescription`)."""
    card = model.card
    calibration = model.calibration
    schema = model.schema
    return {
        "format": FORMAT,
        "passerby": version("passerby"),
        "card": {
            "name": card.name,
            "paper": card.paper,
            "input_size": list(card.input_size),
            "distances": list(card.distances),
            "normalize": card.normalize,
        },
        "backbone": model.backbone,
        "size": list(model.size),
        "embedding_size": model.embedding_size,
        "precision": "float32",
        "digest": model.session.digest(str(model.size)),
        "fingerprint": model.fingerprint,
        "normalization": model.normalization,
        "evaluation": {
            **{name: getattr(model.protocol, name) for name in ("flip_tta", "normalize")},
            **{name: getattr(model, name) for name in ("distance", "draws", "seed")},
        },
        "attributes": None if schema is None else SchemaDescription.of(schema).model_dump(),
        "calibration": None if calibration is None else calibration.to_dict(),
        "license": license,
        "parity": parity.to_dict(),
    }


def _joined(before: Any, network: Any) -> Any:
    """Return the network with the preprocessing before it: what that puts out is what this takes."""
    onnx = import_package("onnx")
    graph = onnx.helper.make_graph(
        [*before.graph.node, *network.graph.node],
        "passerby",
        before.graph.input,
        network.graph.output,
        [*before.graph.initializer, *network.graph.initializer],
    )
    made = onnx.helper.make_model(
        graph, opset_imports=_opsets([*before.opset_import, *network.opset_import]), functions=network.functions
    )
    made.ir_version = max(IR_VERSION, network.ir_version)
    return made


def _opsets(given: Sequence[Any]) -> list[Any]:
    return list({each.domain: each for each in given}.values())
