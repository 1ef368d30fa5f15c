"""The convolutions of a graph that can be computed in int8, and the ranges of the maps between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from passerby.weights.onnx_file import import_package

BATCH = 8
"""The number of images that go through a graph at once."""
Pixels: TypeAlias = NDArray[np.float32]
"""The images ``(n, 3, h, w)`` from 0 to 255, of the model's size."""
Ranges: TypeAlias = dict[str, tuple[float, float]]
"""The least and the greatest value of each map, by name; zero is always within."""
_CLIPPED = ("Relu", "Clip")


@dataclass(frozen=True)
class Convolution:
    """A convolution with constant weights, and the ReLU behind it if there is one."""

    node: Any
    takes: str
    """The map that it takes."""
    gives: str
    """The map that it gives, behind its ReLU."""


def find_convolutions(model: Any) -> list[Convolution]:
    """Return the convolutions whose weights are constants, in order."""
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    results = {each.name for each in graph.output}
    users: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    found = []
    for node in graph.node:
        if node.op_type == "Conv" and constants.issuperset(node.input[1:]):
            gives = node.output[0]
            after = users.get(gives, [])
            if len(after) == 1 and after[0].op_type in _CLIPPED and gives not in results:
                gives = after[0].output[0]
            found.append(Convolution(node, node.input[0], gives))
    return found


def session_of(model: Any) -> Any:
    """Return a session of a graph in one thread, whose CPU time is its own."""
    runtime = import_package("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def measure_ranges(model: Any, found: Iterable[Convolution], pixels: Pixels) -> tuple[list[Convolution], Ranges]:
    """Return the convolutions that are worth int8, and the ranges of their maps over images.

    Left out are those of maps of one pixel, as the gates of channel attention are: they take no time, and all that
    they say of an image is a few numbers.
    """
    onnx = import_package("onnx")
    convolutions = list(found)
    names = sorted({name for each in convolutions for name in (each.takes, each.gives)})
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    known = {each.name for each in probed.graph.output}
    for name in names:
        if name not in known:
            probed.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    session, ranges, single = session_of(probed), Ranges(), set[str]()
    source = session.get_inputs()[0].name
    for start in range(0, len(pixels), BATCH):
        for name, values in zip(names, session.run(names, {source: pixels[start : start + BATCH]}), strict=True):
            low, high = ranges.get(name, (0.0, 0.0))
            ranges[name] = min(low, float(values.min())), max(high, float(values.max()))
            if values.shape[2:] == (1, 1):
                single.add(name)
    return [each for each in convolutions if each.gives not in single], ranges


def embeddings(model: Any, pixels: Pixels, output: str) -> torch.Tensor:
    """Return the L2-normalized embeddings of images, in double precision."""
    session = session_of(model)
    source = session.get_inputs()[0].name
    batches = [pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH)]
    rows = np.concatenate([session.run([output], {source: batch})[0] for batch in batches])
    return torch.nn.functional.normalize(torch.from_numpy(rows).double())


def scale_and_zero(ranges: Mapping[str, tuple[float, float]], name: str) -> tuple[np.float32, np.uint8]:
    """Return the step between levels 0 … 255 of a map, and the level that stands for zero."""
    low, high = ranges[name]
    step = max((high - low) / 255, 1e-8)
    return np.float32(step), np.uint8(round(-low / step))
