"""Make the detector in the package from a float32 file: weights of 8 bits, computed in float32.

Each large tensor becomes int8 with one scale per output channel (its greatest magnitude / 127), which the file's first
nodes turn into float32 again. Biases stay as they are.

usage: python scripts/pack_nanodet.py nanodet_416.onnx src/passerby/models/nanodet/shipped/nanodet_416.onnx
"""

from __future__ import annotations

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LARGE = 1024
"""The number of values from which a tensor is packed."""


def main(source: str, target: str) -> None:
    model = onnx.load(source)
    graph = model.graph
    tensors, unpacking = [], []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < LARGE:
            tensors.append(tensor)
            continue
        name, scale = tensor.name, np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True) / 127
        packed = np.round(values / np.where(scale == 0, 1, scale)).astype(np.int8)
        tensors += [numpy_helper.from_array(packed, f"{name}_8"), numpy_helper.from_array(scale, f"{name}_scale")]
        unpacking.append(helper.make_node("Cast", [f"{name}_8"], [f"{name}_float"], to=TensorProto.FLOAT))
        unpacking.append(helper.make_node("Mul", [f"{name}_float", f"{name}_scale"], [name]))
    nodes = [*unpacking, *graph.node]
    for field, values in (("node", nodes), ("initializer", tensors)):
        graph.ClearField(field)
        getattr(graph, field).extend(values)
    onnx.save(model, target)


if __name__ == "__main__":
    main(*sys.argv[1:])
