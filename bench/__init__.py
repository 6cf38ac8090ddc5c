"""Benches: one module a question, one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def emit(
    bench: str,
    case: str,
    ratio: float | None = None,
    goal: float | None = None,
    baseline: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Print one result. `ratio` compares with `baseline`; a case with an absolute figure has it under `detail` only."""
    line: dict[str, Any] = {"bench": bench, "case": case}
    if ratio is not None:
        line |= {"ratio": float(f"{ratio:.4g}"), "goal": goal, "baseline": baseline}
    print(json.dumps(line | {"detail": dict(detail or {})}, ensure_ascii=False), flush=True)
