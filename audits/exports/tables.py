"""CSV for spreadsheets, a row for each entry; Parquet is made from the same columns."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from audits.exports.rows import Entry
from ledger.canonical import sha256

COLUMNS = (
    "entry", "id", "time", "event", "outcome", "actor_kind", "actor_id", "actor_name", "on_behalf_of", "channel",
    "request", "object_type", "object_id", "team", "facts", "disclosures", "sha256",
)  # fmt: skip
# A spreadsheet would run a cell that begins so as a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def content_of(raw: bytes) -> dict[str, Any]:
    """An event's JSON, or nothing of one that was altered until it is none."""
    try:
        content = json.loads(raw)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def told_of(entry: Entry) -> dict[str, str]:
    """Values of the disclosures by label."""
    return {label: value for _, label, value in json.loads(b"[%s]" % entry.told)}


def cells(entry: Entry) -> list[str]:
    """The values of COLUMNS, empty where there is none."""
    content, told = content_of(entry.raw), told_of(entry)
    actor, behalf, origin, on = (content.get(name) or {} for name in ("actor", "on_behalf_of", "origin", "object"))
    values = (
        entry.place, content.get("id"), content.get("time"), content.get("event"), content.get("outcome"),
        actor.get("kind"), actor.get("id"), told.get("actor_name"),
        f"{behalf['kind']} {behalf['id']}" if behalf else None, origin.get("channel"), origin.get("request"),
        on.get("type"), on.get("id"), content.get("team"), text_of(content.get("facts")), text_of(told),
        sha256(entry.raw),
    )  # fmt: skip
    return ["" if value is None else str(value) for value in values]


def text_of(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True) if value else ""


def harmless(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text


def rows(blocks: Iterable[list[Entry]], *, guard: bool = True) -> Iterator[bytes]:
    """RFC 4180, a piece for each block. With `guard`, what looks like a formula gets an apostrophe before it."""
    safe = harmless if guard else str
    yield csv_text([list(COLUMNS)])
    for block in blocks:
        yield csv_text([[safe(cell) for cell in cells(entry)] for entry in block])


def csv_text(table: Iterable[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(table)
    return text.getvalue().encode()
