"""The preprocessing inside an ONNX file: uint8 RGB images of any size → pixels of the model's size, as Pillow resizes.

Pillow's antialiased bilinear filter is separable, so that it is two matrix products. The weight of input pixel i of n
for output pixel o of m is a triangle around the output's center, max(0, 1 − |(2i + 1)·m − (2o + 1)·n| / (2·max(n, m))),
divided by the sum of its row; the terms are whole numbers, which the graph computes from the image's height and width.
As in Pillow, weights are multiples of 2⁻²², and the result of both passes is rounded. Columns are resized before rows,
and rows first where they are reduced by more than twice as many as columns: Pillow 13 does so, as measured, which
matters for the rounding alone. In double precision, as here, pixels equal Pillow's. A runtime that computes in single
precision rounds some ties otherwise, by a level or two of 255. An image that has the model's size is not touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from passerby.weights.onnx_file import import_package

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 18
"""The version of the operators, which runtimes have had since 2023."""
IR_VERSION = 8
INPUT, PIXELS = "images", "resize_pixels"
_AXIS = """
  {p}_n = Gather <axis = 0> (resize_size, {p}_place)
  {p}_i = Range (resize_0, {p}_n, resize_1)
  {p}_in = Mul ({p}_i, resize_2)
  {p}_odd = Add ({p}_in, resize_1)
  {p}_scaled = Mul ({p}_odd, {p}_m)
  {p}_center = Mul ({p}_out, {p}_n)
  {p}_offset = Sub ({p}_scaled, {p}_center)
  {p}_apart = Abs ({p}_offset)
  {p}_most = Max ({p}_n, {p}_m)
  {p}_reach = Mul ({p}_most, resize_2)
  {p}_near = Sub ({p}_reach, {p}_apart)
  {p}_triangle = Max ({p}_near, resize_0)
  {p}_terms = Cast <to = 11> ({p}_triangle)
  {p}_sum = ReduceSum <keepdims = 1> ({p}_terms, resize_axis)
  {p}_share = Div ({p}_terms, {p}_sum)
  {p}_fixed = Mul ({p}_share, resize_bits)
  {p}_raised = Add ({p}_fixed, resize_half)
  {p}_floor = Floor ({p}_raised)
  {p} = Div ({p}_floor, resize_bits)
"""
_TEXT = """
<ir_version: {ir}, opset_import: ["": {opset}]>
preprocessing (uint8[batch, height, width, 3] images) => (float[batch, 3, {h}, {w}] resize_pixels)
<int64[2] resize_target = {{{h}, {w}}}>
{{
  resize_planes = Transpose <perm = [0, 3, 1, 2]> (images)
  resize_values = Cast <to = 1> (resize_planes)
  resize_size = Shape <start = 1, end = 3> (images)
  resize_is_side = Equal (resize_size, resize_target)
  resize_sides = Cast <to = 7> (resize_is_side)
  resize_both = ReduceMin <keepdims = 0> (resize_sides)
  resize_same = Cast <to = 9> (resize_both)
  resize_pixels = If (resize_same) <
    then_branch = as_they_are () => (float[batch, 3, {h}, {w}] resize_kept) {{
      resize_kept = Identity (resize_values)
    }},
    else_branch = resized () => (float[batch, 3, {h}, {w}] resize_new)
    <int64 resize_0 = {{0}}, int64 resize_1 = {{1}}, int64 resize_2 = {{2}}, int64[1] resize_axis = {{1}},
     double resize_bits = {{4194304.0}}, double resize_half = {{0.5}},
     int64 resize_row_place = {{0}}, int64 resize_column_place = {{1}},
     int64 resize_row_m = {{{h}}}, int64 resize_column_m = {{{w}}},
     int64[{h}, 1] resize_row_out = {{{rows}}}, int64[{w}, 1] resize_column_out = {{{columns}}}>
    {{
      {column}
      {row}
      resize_wide = Cast <to = 11> (resize_values)
      resize_column_t = Transpose <perm = [1, 0]> (resize_column)
      resize_fewer = Sub (resize_size, resize_target)
      resize_fewer_rows = Gather <axis = 0> (resize_fewer, resize_row_place)
      resize_fewer_columns = Gather <axis = 0> (resize_fewer, resize_column_place)
      resize_twice = Mul (resize_fewer_columns, resize_2)
      resize_bound = Max (resize_twice, resize_0)
      resize_rows_first = Greater (resize_fewer_rows, resize_bound)
      resize_rounded = If (resize_rows_first) <
        then_branch = rows_first () => (double[batch, 3, {h}, {w}] resize_a) {{
          resize_a1 = MatMul (resize_row, resize_wide)
          resize_a2 = Add (resize_a1, resize_half)
          resize_a3 = Floor (resize_a2)
          resize_a4 = MatMul (resize_a3, resize_column_t)
          resize_a5 = Add (resize_a4, resize_half)
          resize_a = Floor (resize_a5)
        }},
        else_branch = columns_first () => (double[batch, 3, {h}, {w}] resize_b) {{
          resize_b1 = MatMul (resize_wide, resize_column_t)
          resize_b2 = Add (resize_b1, resize_half)
          resize_b3 = Floor (resize_b2)
          resize_b4 = MatMul (resize_row, resize_b3)
          resize_b5 = Add (resize_b4, resize_half)
          resize_b = Floor (resize_b5)
        }}
      >
      resize_new = Cast <to = 1> (resize_rounded)
    }}
  >
}}
"""


def preprocessing(size: tuple[int, int]) -> ModelProto:
    """Return the graph from :data:`INPUT`, uint8 ``(b, H, W, 3)``, to :data:`PIXELS`, float32 ``(b, 3, h, w)``.

    Args:
        size: the size (height, width) of the model's images.

    Raises:
        ConfigError: if the package onnx is not installed.
    """
    parser = import_package("onnx.parser")
    height, width = size
    text = _TEXT.format(
        ir=IR_VERSION,
        opset=OPSET,
        h=height,
        w=width,
        rows=_odd_numbers(height),
        columns=_odd_numbers(width),
        row=_AXIS.format(p="resize_row"),
        column=_AXIS.format(p="resize_column"),
    )
    graph: ModelProto = parser.parse_model(text)
    return graph


def _odd_numbers(count: int) -> str:
    """Return 2o + 1 for each output pixel o, twice the place of its center."""
    return ", ".join(str(2 * place + 1) for place in range(count))
