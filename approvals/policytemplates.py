"""Policies to begin with: files of the same form as any other, which nobody has to follow."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "policies" / "templates"


@cache
def _read() -> dict[str, str]:
    return {path.stem.replace("_", "-"): path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.json"))}


def templates() -> dict[str, dict[str, Any]]:
    """Documents by their slug; each call gives copies of its own."""
    return {slug: json.loads(text) for slug, text in _read().items()}
