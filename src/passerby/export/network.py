"""The network of an ONNX file: pixels of the model's size → the outputs of the file."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from passerby.data.images.normalize import Normalization, normalize_images
from passerby.errors import OutputError, first_line
from passerby.export.preprocessing import OPSET, PIXELS
from passerby.inference.onnx.session import ATTRIBUTES, EMBEDDING, LOCAL, RAW
from passerby.models.base import ReidModel
from passerby.types import ModelOutput
from passerby.weights.onnx_file import import_package

_NOISY = ("torch.onnx", "torch.export", "torch._dynamo", "onnxscript", "onnx_ir")


class ServedNetwork(nn.Module):
    """A network with normalized pixels before it, and embeddings as they are compared behind it.

    Args:
        normalization: the normalization of the images that the network was trained with.
        normalize: L2-normalize embeddings; they are then returned as the network made them, too.
    """

    def __init__(self, network: ReidModel, *, normalization: Normalization, normalize: bool) -> None:
        super().__init__()
        self.network = network
        self.normalization: Normalization = normalization
        self.normalize = normalize

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs in their order."""
        return tuple(self.outputs(pixels).values())

    def outputs(self, pixels: Tensor) -> dict[str, Tensor]:
        """Return the outputs by name, of float pixels ``(b, 3, h, w)`` from 0 to 255."""
        output: ModelOutput = self.network(normalize_images(pixels, self.normalization))
        raw = output.embedding
        found = {EMBEDDING: raw}
        if self.normalize:
            length = raw.square().sum(dim=1, keepdim=True).sqrt()
            found = {EMBEDDING: raw / length.clamp_min(torch.finfo(raw.dtype).tiny), RAW: raw}
        if output.local is not None:
            found[LOCAL] = output.local
        if output.attributes is not None:
            found[ATTRIBUTES] = torch.cat([scores.softmax(dim=1) for scores in output.attributes], dim=1)
        return found


def network_graph(network: ServedNetwork, size: tuple[int, int]) -> Any:
    """Return the network as an ONNX ModelProto whose input is called :data:`PIXELS`, of any number of images.

    Raises:
        OutputError: if PyTorch cannot export it.
        ConfigError: if a package of the extra ``onnx`` is not installed.
    """
    import_package("onnxscript")
    pixels = torch.zeros(2, 3, *size)
    with torch.inference_mode():
        names = list(network.outputs(pixels))
    try:
        with _quiet():
            program = torch.onnx.export(
                network,
                (pixels,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                external_data=False,
                opset_version=OPSET,
                input_names=[PIXELS],
                output_names=names,
                verbose=False,
            )
        assert program is not None
        graph = program.model_proto
    except Exception as error:
        raise OutputError(
            f"{network.network.card.name} cannot be exported: PyTorch says {first_line(error)!r}. Fix: write its "
            "forward with operations on tensors alone; --debug shows where"
        ) from error
    _strip(graph.graph)
    for function in graph.functions:
        _strip(function)
    return graph


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks on its own work to itself."""
    loggers = [logging.getLogger(name) for name in _NOISY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _strip(graph: Any) -> None:
    """Remove what the exporter notes about its own work, such as the paths of this machine, at any depth."""
    for notes in (graph, *graph.node, *graph.value_info, *getattr(graph, "initializer", ())):
        notes.ClearField("metadata_props")
        notes.ClearField("doc_string")
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    _strip(inner)
