"""The entries of an export in the order of the tree, in blocks, then those that have no place in it yet."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet

from audits.exports.copying import ahead, copied
from ledger.door import mechanical
from ledger.models import EventQuerySet

BLOCK = 4096


class Entry(NamedTuple):
    """`place` is the leaf number, None where no checkpoint covers the entry yet. `told` is text, see TOLD.

    `leaf` is the leaf hash as it was sealed, empty without a place: of what was altered since it is the hash no more.
    """

    place: int | None
    raw: bytes
    told: bytes
    leaf: bytes = b""


@dataclass(frozen=True)
class Head:
    """The tree of the newest checkpoint: its size, its root in base64, and the signed note itself."""

    origin: str
    size: int = 0
    root: str = ""
    note: bytes = b""


# The inside of a JSON array: of each disclosure the very text that is hashed, which is `[salt, label, value]` with the
# salt in unpadded base64url (`ledger.canonical.disclosure_bytes`). `translate` would take as long as all the rest.
TOLD = """
    SELECT d.event_id, string_agg(concat('["',
        replace(replace(rtrim(encode(d.salt, 'base64'), '='), '+', '-'), '/', '_'), '",', to_json(d.label), ',',
        to_json(d.value), ']'), ',' ORDER BY d.label) AS words
    FROM ledger_disclosure d WHERE {which} GROUP BY d.event_id
"""
# Ids follow each other nearly as leaves do, so that what is between two of them says little but what is asked for.
SPAN = """
    SELECT ids[1]::text, ids[array_upper(ids, 1)]::text FROM (
        SELECT array_agg(event_id ORDER BY event_id) AS ids FROM ledger_leaf WHERE index >= %s AND index < %s
    ) leaf
"""
SPANNED = """
    FROM ledger_leaf l JOIN ledger_event e ON e.id = l.event_id AND e.id BETWEEN %s AND %s
    LEFT JOIN ({told}) t ON t.event_id = e.id WHERE l.index >= %s AND l.index < %s
""".replace("{told}", TOLD.replace("{which}", "d.event_id BETWEEN %s AND %s"))
BETWEEN = f"SELECT l.index, e.bytes, t.words, l.hash {SPANNED} ORDER BY l.index"
CHOSEN = """
    SELECT l.index, e.bytes, t.words, l.hash FROM ledger_event e
    LEFT JOIN ledger_leaf l ON l.event_id = e.id AND l.index < %s LEFT JOIN ({told}) t ON t.event_id = e.id
    WHERE e.id = ANY(%s::uuid[]) ORDER BY l.index NULLS LAST, e.id
""".replace("{told}", TOLD.replace("{which}", "d.event_id = ANY(%s::uuid[])"))
SEALED_IDS = (
    "SELECT l.event_id::text FROM ledger_leaf l JOIN ledger_event e ON e.id = l.event_id"
    " WHERE l.index < %s AND e.id IN ({chosen}) ORDER BY l.index"
)
# What the sequencer has not numbered, and what it has numbered beyond the checkpoint.
WAITING_IDS = (
    "SELECT e.id::text FROM ledger_event e WHERE e.id IN"
    " (SELECT event_id FROM ledger_pending UNION SELECT event_id FROM ledger_leaf WHERE index >= %s) {chosen}"
    " ORDER BY e.id"
)


def head_of(cursor: Any, origin: str) -> Head:
    cursor.execute("SELECT note FROM ledger_checkpoint WHERE origin = %s ORDER BY size DESC LIMIT 1", [origin])
    found = cursor.fetchone()
    if found is None:
        return Head(origin)
    note = bytes(found[0])
    return of_note(note)


def of_note(note: bytes) -> Head:
    """The tree that a signed note speaks of, as it is: whether the signature holds is for the verifier."""
    origin, size, root = note.split(b"\n", 3)[:3]
    return Head(origin.decode(), int(size), root.decode(), note)


def entries(cursor: Any, head: Head, events: EventQuerySet | None) -> Generator[list[Entry]]:
    """Blocks of at most 4,096 entries: all of them where `events` is None, else those. Constant memory."""
    return ahead(blocks(cursor, head, events))


def blocks(cursor: Any, head: Head, events: EventQuerySet | None) -> Iterator[list[Entry]]:
    if events is None:
        cursor.execute("SET LOCAL enable_nestloop = off")  # it expects one row between two ids, not thousands
        for first in range(0, head.size, BLOCK):
            yield between(cursor, first, min(first + BLOCK, head.size))
        cursor.execute("SET LOCAL enable_nestloop TO DEFAULT")
        yield from waiting(cursor, head)
        return
    try:
        chosen, given = events.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:
        return
    yield from by_id(cursor, head, SEALED_IDS.format(chosen=chosen), [head.size, *given])
    yield from waiting(cursor, head, f"AND e.id IN ({chosen})", given)


def between(cursor: Any, first: int, end: int) -> list[Entry]:
    """The entries from the leaf `first` to before `end`."""
    return [entry(row) for row in copied(cursor, BETWEEN, spanned(cursor, first, end))]


def spanned(cursor: Any, first: int, end: int) -> list[Any]:
    """What SPANNED takes."""
    cursor.execute(SPAN, [first, end])
    ((lowest, highest),) = cursor.fetchall()
    return [lowest, highest, lowest, highest, first, end]


def waiting(cursor: Any, head: Head, chosen: str = "", given: Sequence[Any] = ()) -> Iterator[list[Entry]]:
    """The entries that no checkpoint covers yet."""
    yield from by_id(cursor, head, WAITING_IDS.format(chosen=chosen), [head.size, *given])


@mechanical("opens a cursor over a SELECT, in a transaction that cannot write")
def by_id(cursor: Any, head: Head, query: str, arguments: list[Any]) -> Iterator[list[Entry]]:
    """The ids come by a cursor on the server, so that a choice of a million is not held here."""
    with cursor.connection.cursor(name=f"export_{id(query):x}") as ids:
        ids.itersize = BLOCK
        ids.execute(query, arguments)
        while some := [row[0] for row in ids.fetchmany(BLOCK)]:
            yield [entry(row) for row in copied(cursor, CHOSEN, [head.size, some, some])]


def entry(row: tuple[bytes | None, ...]) -> Entry:
    index, raw, told, leaf = row
    return Entry(None if index is None else int.from_bytes(index, "big"), raw or b"", told or b"", leaf or b"")
