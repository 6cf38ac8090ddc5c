"""All that is sealed, as JSON Lines that PostgreSQL writes: two connections under one snapshot take turns at blocks."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any, NamedTuple

import psycopg2
from django.db import connection
from psycopg2.errors import CharacterNotInRepertoire, UntranslatableCharacter

from audits.exports.copying import ahead, lines_of
from audits.exports.lines import lines
from audits.exports.rows import BLOCK, SPANNED, Head, between, spanned
from ledger.door import mechanical

# The same line as `lines` writes for an entry.
LINES = f"""
    SELECT concat('{{"v":2,"entry":', l.index, ',"seal":"sealed","leaf_hash":"sha256:', encode(l.hash, 'hex'),
        '","disclosures":[', t.words, '],"event":', convert_from(e.bytes, 'UTF8'), '}}')
    {SPANNED} ORDER BY l.index
"""


# A block's lines are sorted, with less memory on disk; and PostgreSQL expects one row between two ids, not thousands.
PLANNED = "SET LOCAL work_mem = '32MB'; SET LOCAL enable_nestloop = off"


class Piece(NamedTuple):
    """The lines of the entries from `first` to before `end`."""

    first: int
    end: int
    text: bytes


def sealed_lines(cursor: Any, head: Head) -> Generator[Piece]:
    """A piece for each block of at most 4,096 entries, in the order of the tree. Constant memory.

    `cursor` is in a snapshot (`copying.snapshot`). A second connection joins it, unless the snapshot is that of a
    transaction that may have written, for nobody else sees its rows.
    """
    with ExitStack() as stack:
        cursors = [cursor]
        cursor.execute("SHOW transaction_read_only")
        if cursor.fetchone() == ("on",):
            cursors.append(stack.enter_context(beside(cursor)))
        for each in cursors:
            each.execute(PLANNED)
        sources = [
            stack.enter_context(closing(ahead(pieces(each, head.size, turn, len(cursors)))))
            for turn, each in enumerate(cursors)
        ]
        for number in range(-(-head.size // BLOCK)):
            yield next(sources[number % len(sources)])


def ends_of(cursor: Any, head: Head) -> tuple[str, str]:
    """The ids of the first and of the last sealed event, empty where nothing is sealed."""
    if not head.size:
        return "", ""
    cursor.execute("SELECT event_id FROM ledger_leaf WHERE index IN (0, %s) ORDER BY index", [head.size - 1])
    found = [str(one) for (one,) in cursor.fetchall()]
    return found[0], found[-1]


def pieces(cursor: Any, size: int, turn: int, turns: int) -> Iterator[Piece]:
    for first in range(turn * BLOCK, size, turns * BLOCK):
        end = min(first + BLOCK, size)
        yield Piece(first, end, text_of(cursor, first, end))


@mechanical("sets savepoints in a transaction that cannot write")
def text_of(cursor: Any, first: int, end: int) -> bytes:
    text: bytes | None = None
    cursor.execute("SAVEPOINT block")
    # An entry that was altered until it is no text makes PostgreSQL give up, and one that is no line shows as such.
    with suppress(CharacterNotInRepertoire, UntranslatableCharacter):
        text = lines_of(cursor, LINES, spanned(cursor, first, end))
    if text is None:
        cursor.execute("ROLLBACK TO SAVEPOINT block")
        text = b"".join(lines([between(cursor, first, end)]))
    cursor.execute("RELEASE SAVEPOINT block")
    return text


@contextmanager
@mechanical("opens a second connection in a transaction that cannot write")
def beside(cursor: Any) -> Iterator[Any]:
    """A cursor of another connection that sees the same."""
    cursor.execute("SELECT pg_export_snapshot()")
    ((name,),) = cursor.fetchall()
    with closing(psycopg2.connect(**connection.get_connection_params())) as other, other.cursor() as its:
        its.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        its.execute("SET TRANSACTION SNAPSHOT %s", [name])
        yield its
