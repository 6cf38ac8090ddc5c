"""Rows themselves out of a database elsewhere: all of one moment, read once, a few thousand at a time.

Only what was asked to bring rows here calls this. Whatever else is asked there brings back no row; see `source`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2

from ledger.door import mechanical
from registry.connecting.rules import quoted
from registry.connecting.source import HALVES, READ_AS, Session, Unreadable, row_hash

AT_ONCE = 10_000
# Seconds between two questions whether to go on, while the database works.
EACH = 0.5
# Dates and times come as text: PostgreSQL's reach further than Python's, and some are infinite.
AS_TEXT = ("date", "time", "text")
# A key is carried exactly: what is in neither of these as the database writes it.
CARRIED_AS = {"integer": "bigint", "boolean": "boolean"}


@mechanical("reads in a database elsewhere, in a transaction that may write nothing")
def brought(
    asked: Session, columns: Sequence[str], keys: Sequence[str], hashed: Sequence[str], still: Callable[[], None]
) -> Generator[list[tuple[Any, ...]], None, None]:  # fmt: skip
    """Rows as tuples: the columns as `READ_AS` says, the keys exactly, and two numbers of the row's hash.

    `hashed` are the columns that the hash is of, these among them. Rows come in the order of the keys where there are
    any. `still` is called now and then, from another thread too, and ends the statement where it raises; what it raised
    is raised here. Raises Unreadable.
    """
    with watched(asked.connection, still):
        try:
            with asked.connection.cursor(name="brought") as cursor:
                cursor.execute(statement(asked, columns, keys, hashed))
                while found := cursor.fetchmany(AT_ONCE):
                    yield found
        except psycopg2.Error as error:
            raise Unreadable(error.pgcode or "", (error.diag.message_primary or "")[:200]) from None
        except UnicodeDecodeError:
            # What PostgreSQL itself says of text that its encoding does not allow.
            raise Unreadable("22021", "") from None


def statement(asked: Session, columns: Sequence[str], keys: Sequence[str], hashed: Sequence[str]) -> str:
    """One SELECT. Names are given by place, so that none of the table's is met twice."""
    kinds = {each.name: each.kind for each in asked.columns}
    within = [f"given.{quoted(name)}::{READ_AS[kinds[name]]} AS c{place}" for place, name in enumerate(hashed)]
    order = []
    for place, name in enumerate(keys):
        value, kind = f"given.{quoted(name)}", kinds[name]
        within.append(f"{value}::{CARRIED_AS.get(kind, 'text')} AS k{place}")
        if kind != "text":
            within.append(f"{value} AS o{place}")
            order.append(f"v.o{place}")
        if kind not in CARRIED_AS:
            # By code points: the same order in every database, and equal texts side by side.
            order.append(f'v.k{place} COLLATE "C"')
    given = [f"v.c{hashed.index(name)}{'::text' if kinds[name] in AS_TEXT else ''}" for name in columns]
    given += [f"v.k{place}" for place in range(len(keys))]
    h = row_hash(f"w.c{place}" for place in range(len(hashed)))
    inner = f"SELECT w.*, {h} AS h FROM (SELECT {', '.join(within)} FROM {asked.target.relation}) AS w"  # noqa: S608
    ordered = f" ORDER BY {', '.join(order)}" if order else ""
    return f"SELECT {', '.join([*given, *HALVES.values()])} FROM ({inner}) AS v{ordered}"  # noqa: S608


@contextmanager
def watched(connection: Any, still: Callable[[], None]) -> Iterator[None]:
    """Asks whether to go on while a statement runs, which may take long before its first row."""
    ended, told = threading.Event(), list[BaseException]()

    def watch() -> None:
        while not ended.wait(EACH):
            try:
                still()
            except BaseException as reason:
                told.append(reason)
                with suppress(psycopg2.Error):
                    connection.cancel()
                return

    thread = threading.Thread(target=watch, name="source-watch", daemon=True)
    thread.start()
    try:
        yield
    except Unreadable:
        if not told:
            raise
    finally:
        ended.set()
        thread.join()
    if told:
        raise told[0]
