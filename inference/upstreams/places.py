"""Which versions are served in the gateway and which by another server."""

from __future__ import annotations

from inference.upstreams.rules import ONNX
from ledger.refusals import Refusal
from registry.models import Version


def misplaced(version: Version, kind: str) -> tuple[str, str] | None:
    """Code and sentence of why no endpoint with an upstream of this kind can serve the version.

    What was approved with its bytes is served by the gateway, which hashes them: whether another server runs them it
    could not know. A version without bytes was approved as what another server says that it is.
    """
    pins, number = version.pinned, version.number
    if kind == ONNX and pins is not None:
        sentence = f"The bytes of version {number} are not here, so another server predicts with it. Name that first."
        return "bytes_not_here", sentence
    if kind != ONNX and pins is None:
        sentence = (
            f"The bytes of version {number} are here, and nobody can know whether another server runs the same. "
            "Register what runs there as a version without bytes."
        )
        return "bytes_here", sentence
    if pins is not None and pins.interface is None:
        sentence = f"Version {number} does not say what it takes and gives. Register it anew with its interface."
        return "interface_missing", sentence
    return None


def check_place(version: Version | None, kind: str, field: str) -> None:
    """Raises Refusal `bytes_not_here`, `bytes_here` or `interface_missing`."""
    if version is not None and (problem := misplaced(version, kind)):
        raise Refusal(*problem, field)
