"""Weights and computation of ONNX files in less than single precision."""
