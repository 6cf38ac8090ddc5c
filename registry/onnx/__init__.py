"""Model files in ONNX: recognised, parsed and run in a confined process. Nothing here unpickles anything."""
