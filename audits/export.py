"""The log as a file: JSON Lines with each event's exact bytes, or CSV for spreadsheets."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from ledger.canonical import timestamp
from ledger.models import Event

COLUMNS = (
    "id", "time", "event", "outcome", "actor_kind", "actor_id", "actor_name", "on_behalf_of", "channel", "request",
    "object_type", "object_id", "team", "facts", "disclosures", "sha256",
)  # fmt: skip
# A spreadsheet would run a cell that begins so as a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True)
class Written:
    """What is in the file: SHA-256 of the whole, bytes, events, and the ids of the oldest and newest of them."""

    digest: str
    size: int
    count: int
    first: str | None
    last: str | None


def as_line(event: Event) -> bytes:
    """One event as a JSON line. `bytes` is the event's exact text: encoded as UTF-8 it hashes to `sha256`."""
    line = {
        "bytes": bytes(event.bytes).decode(),
        "sha256": event.digest,
        "seal": "pending",
        "disclosures": {
            row.label: {"salt": base64.urlsafe_b64encode(bytes(row.salt)).rstrip(b"=").decode(), "value": row.value}
            for row in event.disclosures.all()
        },
    }
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def as_row(event: Event) -> bytes:
    """One event as a CSV row."""
    content, told = event.content, {row.label: row.value for row in event.disclosures.all()}
    behalf = content.get("on_behalf_of")
    return csv_row([
        event.pk, timestamp(event.time), event.event, event.outcome, event.actor_kind, event.actor_id,
        told.get("actor_name", ""), f"{behalf['kind']} {behalf['id']}" if behalf else "", content["origin"]["channel"],
        content["origin"]["request"], event.object_type, event.object_id, event.team_id or "",
        text_of(content["facts"]), text_of(told), event.digest,
    ])  # fmt: skip


def text_of(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True) if value else ""


def csv_row(cells: Iterable[Any]) -> bytes:
    """A row after RFC 4180; what a spreadsheet could take for a formula gets an apostrophe before it."""
    line = io.StringIO()
    safe = [f"'{text}" if (text := str(cell)).startswith(FORMULA) else text for cell in cells]
    csv.writer(line).writerow(safe)
    return line.getvalue().encode()


def chunks(kind: str, events: Iterable[Event], seen: list[str]) -> Iterator[bytes]:
    if kind == "csv":
        yield csv_row(COLUMNS)
    write = as_row if kind == "csv" else as_line
    for event in events:
        seen.append(str(event.pk))
        del seen[1:-1]
        yield write(event)


def write(target: IO[bytes], kind: str, events: Iterable[Event]) -> Written:
    """Write `jsonl` or `csv` to a file. Raises OSError where the file does not fit."""
    whole, size, count, seen = hashlib.sha256(), 0, 0, list[str]()
    for chunk in chunks(kind, events, seen):
        target.write(chunk)
        whole.update(chunk)
        size += len(chunk)
        count += 1
    target.flush()
    count -= kind == "csv"
    first, last = (seen[0], seen[-1]) if seen else (None, None)
    return Written("sha256:" + whole.hexdigest(), size, count, first, last)
