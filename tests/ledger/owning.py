"""The owner's hands on the log's tables, and the sequencer that refuses what they did."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from ledger.sequencer import LogDamaged
from tests.ledger.whole import Log, rows

TABLES = (
    "ledger_event", "ledger_disclosure", "ledger_record", "ledger_leaf", "ledger_tile", "ledger_treehead",
    "ledger_checkpoint",
)  # fmt: skip
OF_EVENT = ("ledger_disclosure", "ledger_record", "ledger_search", "ledger_leaf", "ledger_pending")


class Owner:
    """The owner's hands on the tables, once triggers and bounds are away."""

    def __init__(self, cursor: Any) -> None:
        self.cursor = cursor
        for table in TABLES:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute("ALTER TABLE ledger_event DROP CONSTRAINT event_size")

    def does(self, statement: str, *arguments: Any) -> list[Any]:
        self.cursor.execute(statement, arguments)
        return list(self.cursor.fetchall()) if self.cursor.description else []

    def puts_back(self, size: int) -> None:
        """The database as it was when the tree had this size: without what was done since, sealed or not."""
        events = "SELECT e.id FROM ledger_event e LEFT JOIN ledger_leaf l ON l.event_id = e.id"
        lost = [one for (one,) in self.does(f"{events} WHERE l.index IS NULL OR l.index >= %s", size)]
        for table in OF_EVENT:
            self.does(f"DELETE FROM {table} WHERE event_id = ANY(%s::uuid[])", lost)  # noqa: S608
        self.does("DELETE FROM ledger_event WHERE id = ANY(%s::uuid[])", lost)
        self.does("DELETE FROM ledger_tile WHERE (index + 1) * power(256, level) > %s", size)
        for table in ("ledger_checkpoint", "ledger_treehead"):
            self.does(f"DELETE FROM {table} WHERE size > %s", size)  # noqa: S608

    @contextlib.contextmanager
    def instead(self, table: str, where: str, column: str, value: Any) -> Iterator[None]:
        """Another value there, until the block ends."""
        ((row, before),) = self.does(f"SELECT ctid, {column} FROM {table} WHERE {where}")  # noqa: S608
        change = f"UPDATE {table} SET {column} = %s WHERE ctid = %s RETURNING ctid"  # noqa: S608
        ((row,),) = self.does(change, value, row)
        yield
        self.does(change, before, row)


def size_of(table: str = "ledger_leaf") -> int:
    ((count,),) = rows(f"SELECT count(*) FROM {table}")  # noqa: S608
    return int(count)


def refused(log: Log, words: str, kind: type[Exception] = LogDamaged) -> None:
    """A fresh sequencer refuses with these words, however often it is asked, and changes nothing."""
    before = log.kept()
    with log.leading() as sequencer:
        for _ in range(2):
            with pytest.raises(kind, match=words) as said:
                sequencer.sequence_once()
            assert "\n" not in str(said.value)
    assert log.kept() == before
