"""What is known of a model file after it was parsed and run once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What a model file may use: bytes on disk and in memory, seconds of processor and of waiting for one answer."""

    file_bytes: int = 512 * MIB
    memory_bytes: int = 3072 * MIB
    cpu_seconds: int = 60
    wall_seconds: float = 60.0
    threads: int = 2


@dataclass(frozen=True)
class Tensor:
    """An input or output. `type` is ONNX Runtime's, such as tensor(float); free dimensions are None."""

    name: str
    type: str
    shape: tuple[int | None, ...]

    @property
    def width(self) -> int | None:
        """Columns of a table-shaped tensor; 1 for a vector, None where free."""
        return 1 if len(self.shape) < 2 else self.shape[1]


@dataclass(frozen=True)
class ModelFacts:
    size: int
    ir_version: int
    producer: str
    opset: Mapping[str, int]
    operators: tuple[str, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    protections: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> ModelFacts:
        def tensors(rows: list[dict[str, Any]]) -> tuple[Tensor, ...]:
            return tuple(Tensor(r["name"], r["type"], tuple(r["shape"])) for r in rows)

        return cls(
            size=given["size"],
            ir_version=given["ir_version"],
            producer=given["producer"],
            opset=dict(given["opset"]),
            operators=tuple(given["operators"]),
            inputs=tensors(given["inputs"]),
            outputs=tensors(given["outputs"]),
            protections=tuple(given["protections"]),
        )
