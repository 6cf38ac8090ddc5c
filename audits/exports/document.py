"""An export as a PDF for people: typeset by typst from plain data, the same bytes for the same entries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audits import typesetting
from audits.exports.rows import Entry
from audits.exports.tables import content_of, told_of
from audits.reading import sentence
from ledger.canonical import sha256

SHORT = 2500  # letters of an entry that is not broken over two pages
TEMPLATE = Path(__file__).parent / "record.typ"
NOTES = (
    "Each entry was written in the same transaction as the act that it records, and its number is its place in a "
    "Merkle tree over the whole log. The root printed below on each page was signed; whoever holds the log bundle of "
    "the same tree, or of a larger one, can check with the program in it that every entry printed here is in that tree "
    "with exactly the digest printed under it.",
    "Names, addresses and reasons stand beside the entry, which holds only their salted digests. They are printed as "
    "they were disclosed; “erased” is what has been deleted since.",
)


@dataclass(frozen=True)
class Cover:
    """What stands on the first page."""

    title: str
    question: str
    origin: str
    tree: int
    root: str
    facts: Sequence[tuple[str, str]]


def typeset(blocks: Iterable[list[Entry]], cover: Cover) -> bytes:
    data = {
        "title": cover.title, "question": cover.question, "origin": cover.origin, "tree": f"{cover.tree:,}",
        "root": cover.root, "facts": [list(pair) for pair in cover.facts], "notes": list(NOTES),
        "entries": [shown(entry) for block in blocks for entry in block],
    }  # fmt: skip
    return typesetting.typeset(TEMPLATE, data)


def shown(entry: Entry) -> dict[str, Any]:
    content, told = content_of(entry.raw), told_of(entry)
    digests = content.get("disclosures") or {}
    on, team = content.get("object") or {}, content.get("team")
    pairs = [
        ("Who", who_of(content, told)),
        ("Acting for", party(content.get("on_behalf_of"))),
        ("On", f"{on['type']} {on['id']}" if on else ""),
        ("Team", str(team or "")),
        ("Outcome", str(content.get("outcome", ""))),
        *((label(name), told.get(name, "erased")) for name in digests if name not in NAMED),
        *((label(name), said(value)) for name, value in (content.get("facts") or {}).items()),
    ]
    rows = [[name, value] for name, value in pairs if value]
    return {
        "number": "not sealed yet" if entry.place is None else f"{entry.place:,}",
        "what": sentence(str(content.get("event", "This entry cannot be read"))),
        "time": str(content.get("time", "")).replace("T", " ").replace("Z", " UTC"),
        "rows": rows,
        "short": sum(len(value) for _, value in rows) < SHORT,
        "digest": sha256(entry.raw),
    }


def label(name: str) -> str:
    return name.replace("_", " ").capitalize()


def said(value: Any) -> str:
    """A fact in words: `{"at_least": 0.8, "class": 1}` → `at least 0.8; class 1`."""
    if isinstance(value, dict):
        return "; ".join(f"{str(name).replace('_', ' ')} {said(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(said, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


NAMED = ("actor_name", "actor_email")


def who_of(content: Mapping[str, Any], told: Mapping[str, str]) -> str:
    names = [told[label] for label in NAMED if label in told]
    erased = [] if names or not set(NAMED) & set(content.get("disclosures") or {}) else ["name erased"]
    return ", ".join([*names, *erased, party(content.get("actor"))])


def party(identity: Mapping[str, Any] | None) -> str:
    return f"{str(identity['kind']).replace('_', ' ')} {identity['id']}" if identity else ""
