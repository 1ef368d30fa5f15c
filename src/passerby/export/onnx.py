"""A model → one ONNX file: preprocessing, network, description; checked against the network before it is in place."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from passerby.errors import ConfigError
from passerby.export.network import ServedNetwork, network_graph
from passerby.export.parity import Crops, Parity, TorchNetwork, check_parity, measure_parity
from passerby.export.precision.half import with_half_weights
from passerby.export.precision.int8 import SYNTHETIC, Quantization, calibration_pixels, quantize, speed_ratio
from passerby.export.preprocessing import IR_VERSION, preprocessing
from passerby.files import atomic_write
from passerby.inference.model import Model
from passerby.inference.onnx.session import FORMAT, Precision, SchemaDescription
from passerby.inference.session import evaluation_mode
from passerby.weights.onnx_file import content_digest, import_package, with_description


@dataclass(frozen=True)
class Exported:
    """A file that was written."""

    path: Path
    size: int
    """The number of its bytes."""
    parity: Parity
    fingerprint: str
    quantization: Quantization | None = None
    """The way it was quantized, if it is int8."""
    speed: float | None = None
    """The CPU time of the network in single precision divided by that in int8, here: above 1, int8 is faster."""


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


def export_onnx(
    model: Model,
    path: str | Path,
    *,
    crops: str | None = None,
    license: str | None = None,  # noqa: A002 - the word of the file
    precision: Precision = "float32",
    calibration: str | None = None,
) -> Exported:
    """Write a model as an ONNX file, atomically, after its embeddings were compared with the network's.

    Args:
        model: the model, on the CPU.
        crops: where the images are that are compared; by default synthetic ones.
        license: the license of the weights, which the file states.
        precision: ``float16`` stores weights in half precision, ``int8`` computes most convolutions in int8.
        calibration: where the images are that int8 is calibrated on; by default further ones of ``crops``.

    Raises:
        ConfigError: if the model cannot be exported (:func:`check_exportable`), or not in int8.
        OutputError: if PyTorch cannot export the network, the embeddings differ, or the file cannot be written.
    """
    check_exportable(model)
    images = Crops.of(crops)
    normalize = model.protocol.normalize
    with evaluation_mode(model.network):
        served = ServedNetwork(model.network, normalization=model.normalization, normalize=normalize).eval()
        network = network_graph(served, model.size)
    quantization, speed = None, None
    if precision == "int8":
        place = calibration or crops
        compared = images.names if place == crops else frozenset[str]()
        pixels = calibration_pixels(place, model.size, without=compared)
        exact = network
        network, quantization = quantize(exact, pixels, data=place or SYNTHETIC, name=model.card.name)
        speed = speed_ratio(exact, network, pixels)
    elif precision == "float16":
        network = with_half_weights(network)
    content = _serialized(model, network)
    about = describe(model, precision, content)
    with atomic_write(path) as partial:
        partial.write_bytes(content)
        parity = measure_parity(partial, TorchNetwork(model.session, model.size), images, normalize=normalize)
        check_parity(parity, model.card.name, precision)
        about |= {"license": license, "parity": parity.to_dict()}
        about |= {"quantization": quantization.to_dict()} if quantization else {}
        partial.write_bytes(with_description(content, about))
        size = partial.stat().st_size
    return Exported(Path(path), size, parity, about["fingerprint"], quantization, speed)


def _serialized(model: Model, network: Any) -> bytes:
    """Return the bytes of the whole graph, without description."""
    graph = _joined(preprocessing(model.size), network)
    graph.producer_name, graph.producer_version = "passerby", version("passerby")
    graph.doc_string = f"{model.card.name}: {model.card.paper}"
    content: bytes = graph.SerializeToString()
    return content


def describe(model: Model, precision: Precision, content: bytes) -> dict[str, Any]:
    """Return what the file says about its model (:class:`~passerby.inference.onnx.session.OnnxDescription`).

    Embeddings in int8 are not those of the run: their fingerprint is of the file's content, too, and distances that the
    run is calibrated for are not theirs.
    """
    card = model.card
    calibration = model.calibration
    schema = model.schema
    digest = model.session.digest(str(model.size))
    if precision == "int8":
        digest = hashlib.sha256(f"{digest} int8 {content_digest(content)}".encode()).hexdigest()
        calibration = None
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
        "precision": precision,
        "digest": digest,
        "fingerprint": digest[:16],
        "run": model.fingerprint,
        "normalization": model.normalization,
        "evaluation": {
            **{name: getattr(model.protocol, name) for name in ("flip_tta", "normalize")},
            **{name: getattr(model, name) for name in ("distance", "draws", "seed")},
        },
        "attributes": None if schema is None else SchemaDescription.of(schema).model_dump(),
        "calibration": None if calibration is None else calibration.to_dict(),
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
