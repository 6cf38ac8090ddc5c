"""The process that serves predictions: plain ASGI, no Django in the path of a request."""
