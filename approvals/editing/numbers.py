"""Numbers that were typed into the editor. What is none stays text, so that whoever reads it can say where."""

from __future__ import annotations

import re

from django.http import QueryDict

DECIMAL = re.compile(r"\d{1,9}(\.\d{1,17})?\Z")


def whole(said: str | None) -> int | str | None:
    """A whole number, or what was typed instead; None for nothing."""
    text = (said or "").strip()
    return int(text) if text.isdecimal() and len(text) < 10 else text or None


def share(said: str | None) -> float | str | None:
    """A decimal number, or what was typed instead; None for nothing."""
    text = (said or "").strip()
    return float(text) if DECIMAL.match(text) else text or None


def prefixes(data: QueryDict, name: str) -> list[str]:
    """How many of a list were on the page is in a hidden field; nobody needs more than fifty."""
    said = data.get(f"{name}.many", "0")
    return [f"{name}.{i}" for i in range(min(int(said) if said.isdecimal() else 0, 50))]
