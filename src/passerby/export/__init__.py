"""Export of models to ONNX: one file that takes images of any size, checked against the network before it exists."""
