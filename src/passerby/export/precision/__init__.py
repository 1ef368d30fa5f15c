"""The weights and the computation of ONNX files in less than single precision."""
