"""The int8 form of convolutions: levels before and behind them, weights as whole numbers per output channel.

A map x is q = x / step + zero, rounded, one of 256 levels (``QuantizeLinear``); weights of output channel c are whole
numbers from -127 to 127 times max |w_c| / 127; biases are 32-bit multiples of both steps. What stands between
``DequantizeLinear`` and ``QuantizeLinear`` is computed in whole numbers by runtimes that know how.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from passerby.export.precision.convolutions import Convolution, Ranges, scale_and_zero
from passerby.weights.onnx_file import import_package

_LEVELS = 127
_BOUNDS = {"low": np.finfo(np.float32).min, "high": np.finfo(np.float32).max}
_MOST_BIAS = float(2**31 - 256)  # the greatest that single precision holds


def quantized(model: Any, chosen: Iterable[Convolution], others: Iterable[Convolution], ranges: Ranges) -> Any:
    """Return a ModelProto that computes ``chosen`` convolutions in int8, and ``others`` as before."""
    onnx = import_package("onnx")
    made = onnx.ModelProto()
    made.CopyFrom(model)
    _Graph(onnx, made.graph, {each.node.name: each for each in chosen}, list(others), ranges).rewrite()
    return made


class _Graph:
    """A graph that is rewritten, node by node."""

    def __init__(
        self, onnx: Any, graph: Any, chosen: dict[str, Convolution], others: list[Convolution], ranges: Ranges
    ) -> None:
        self.onnx, self.graph, self.chosen, self.ranges = onnx, graph, chosen, ranges
        self.weights = {each.name: each for each in graph.initializer}
        self.given = {each.gives for each in chosen.values()}
        self.levels = self.given | {each.takes for each in chosen.values()}
        self.kept = {each.node.name for each in others if each.gives in self.levels}
        self.nodes: list[Any] = []

    def rewrite(self) -> None:
        """Replace the nodes, and drop constants that no node takes any more."""
        results = {each.name for each in self.graph.output}
        sources = [each.name for each in self.graph.input if each.name in self.levels]
        for name in sources:
            self._add_levels(name)
        for node in list(self.graph.node):
            self._add(node)
            for name in node.output:
                if name in self.levels:
                    self._add_levels(name)
        used = results.union(name for node in self.nodes for name in node.input)
        kept = [each for each in self.graph.initializer if each.name in used]
        del self.graph.node[:], self.graph.initializer[:]
        self.graph.node.extend(self.nodes)
        self.graph.initializer.extend(kept)

    def _add(self, given: Any) -> None:
        """Add a node that takes levels where there are any."""
        node = self.onnx.NodeProto()
        node.CopyFrom(given)
        each = self.chosen.get(node.name)
        for place, name in enumerate(node.input):
            if name in self.given or (each is not None and place == 0):
                node.input[place] = f"{name}_dequantized"
        if each is not None:
            self._quantize_weights(node, each)
        elif node.name in self.kept and node.input[0].endswith("_dequantized"):
            self._keep(node)
        self.nodes.append(node)

    def _keep(self, node: Any) -> None:
        """Put an operation that does nothing before a convolution that stays.

        Between levels, onnxruntime would quantize its weights, too, and by one step for all channels.
        """
        low, high = (self._constant(f"{node.output[0]}_{name}", value) for name, value in _BOUNDS.items())
        kept = f"{node.output[0]}_kept"
        self.nodes.append(self.onnx.helper.make_node("Clip", [node.input[0], low, high], [kept]))
        node.input[0] = kept

    def _add_levels(self, name: str) -> None:
        step, zero = scale_and_zero(self.ranges, name)
        how = [self._constant(f"{name}_step", step), self._constant(f"{name}_zero", zero)]
        make = self.onnx.helper.make_node
        self.nodes.append(make("QuantizeLinear", [name, *how], [f"{name}_quantized"]))
        self.nodes.append(make("DequantizeLinear", [f"{name}_quantized", *how], [f"{name}_dequantized"]))

    def _quantize_weights(self, node: Any, each: Convolution) -> None:
        weights = self._values(node.input[1])
        most = np.abs(weights).reshape(len(weights), -1).max(axis=1)
        step = np.maximum(most / _LEVELS, 1e-8).astype(np.float32)
        whole = np.round(weights / step.reshape(-1, *[1] * (weights.ndim - 1)))
        node.input[1] = self._dequantized(f"{node.output[0]}_weights", whole.astype(np.int8), step)
        if len(node.input) > 2 and node.input[2]:
            step = step * scale_and_zero(self.ranges, each.takes)[0]
            bias = np.clip(np.round(self._values(node.input[2]) / step), -_MOST_BIAS, _MOST_BIAS)
            node.input[2] = self._dequantized(f"{node.output[0]}_bias", bias.astype(np.int32), step)

    def _dequantized(self, name: str, whole: Any, step: Any) -> str:
        inputs = [
            self._constant(f"{name}_quantized", whole),
            self._constant(f"{name}_step", step),
            self._constant(f"{name}_zero", np.zeros(len(whole), whole.dtype)),
        ]
        self.nodes.append(self.onnx.helper.make_node("DequantizeLinear", inputs, [name], axis=0))
        return name

    def _values(self, name: str) -> Any:
        return self.onnx.numpy_helper.to_array(self.weights[name])

    def _constant(self, name: str, value: Any) -> str:
        self.graph.initializer.append(self.onnx.numpy_helper.from_array(np.asarray(value), name))
        return name
