"""Weights stored in half precision: files of half the size, which compute in single precision."""

from __future__ import annotations

from typing import Any

import numpy as np

from passerby.weights.onnx_file import import_package

MIN_VALUES = 1024
"""The least number of values of a tensor that is stored in half precision: biases stay as they are."""


def with_half_weights(model: Any) -> Any:
    """Return a ModelProto whose large tensors are stored in half precision, each with a cast before its use.

    Runtimes cast once, when they load the file. A tensor with values that half precision cannot hold stays as it is.
    """
    onnx = import_package("onnx")
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph, casts = made.graph, []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < MIN_VALUES:
            continue
        values = onnx.numpy_helper.to_array(tensor)
        if not np.abs(values).max() <= np.finfo(np.float16).max:
            continue
        name = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return made
