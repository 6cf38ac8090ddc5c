"""The process that serves predictions: plain ASGI, no Django in the path of a request."""

import os

# ONNX Runtime would tell its maker about models and machines; it asks for this when it is first imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
