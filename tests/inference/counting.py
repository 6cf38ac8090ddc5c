"""Counts as the gateway's processes write them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from inference.traffic.rules import CLASSES, class_of

PROCESS = UUID("0198c0de-0000-7000-8000-000000000001")
SAID = {
    "lease_seconds_left": 29.4, "prediction_log": {"waiting": 3, "dropped": 0, "writable": True},
    "memory_bytes": 131_072_000,
}  # fmt: skip


def counts(*micros: int, rows: int = 1, positives: int = 0) -> list[Any]:
    """Of requests that took so long, each of so many rows, of which so many were decided with yes."""
    classes = [0] * CLASSES
    for each in micros:
        classes[class_of(each)] += 1
    return [len(micros), rows * len(micros), positives * len(micros), sum(micros), classes]


def some(endpoint: Any, key: Any) -> None:
    """Three answers and one refusal with a key, and one without any."""
    from inference.traffic.writing import add, appear

    artifact = endpoint.version.artifact.digest
    add({
        (endpoint.pk, key.pk, artifact, ""): counts(900, 1_100, 40_000, rows=2, positives=1),
        (endpoint.pk, key.pk, artifact, "invalid_input"): counts(300, rows=0),
        (None, None, "", "key_invalid"): counts(50, rows=0),
    })  # fmt: skip
    appear(PROCESS, "gateway-1", 4711, 60.0, SAID)
