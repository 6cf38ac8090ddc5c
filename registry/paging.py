"""Pages of a list by key, newest first: stable while rows are added, and as quick at the end as at the start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SIZE = 50
BLOCK = 200


def id_of(text: str) -> int | None:
    """An id from a query string; None where it is no number, or larger than any id is."""
    return int(text) if text.isdecimal() and len(text) <= 18 else None


@dataclass(frozen=True)
class Page:
    """Rows, and the keys from which the pages before and after them go on, or None."""

    rows: list[Any]
    newer: int | None = None
    older: int | None = None
    total: int = 0

    @property
    def shown(self) -> str:
        return f"{len(self.rows):,} of {self.total:,}"


def page_of(rows: Any, given: Mapping[str, str], size: int = SIZE) -> Page:
    """The rows older than `before`, or newer than `after`, or the newest ones."""
    before, after = (given.get(key, "") for key in ("before", "after"))
    total = rows.count()
    if after.isdigit():
        found = list(rows.filter(pk__gt=int(after)).order_by("pk")[: size + 1])
        shown = found[:size][::-1]
        newer, older = len(found) > size, bool(shown)
    else:
        start = rows.filter(pk__lt=int(before)) if before.isdigit() else rows
        found = list(start.order_by("-pk")[: size + 1])
        shown = found[:size]
        newer, older = bool(before.isdigit() and shown), len(found) > size
    if not shown:
        return Page([], total=total)
    return Page(shown, shown[0].pk if newer else None, shown[-1].pk if older else None, total)


def blocks_of(rows: Any) -> Iterator[list[Any]]:
    """All rows by key in blocks: no more than two hundred are held at a time."""
    found, last = rows.order_by("pk"), 0
    while block := list(found.filter(pk__gt=last)[:BLOCK]):
        yield block
        last = block[-1].pk
