"""Rows out of PostgreSQL by COPY: no value is made into an object of Python on the way, none is held twice."""

from __future__ import annotations

import io
import queue
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import connection, transaction

from ledger.door import mechanical

T = TypeVar("T")
SIGNATURE = b"PGCOPY\n\xff\r\n\x00"
HEADER = len(SIGNATURE) + 8
# COPY writes a value of text as it is, unless it holds one of these or ends a line.
QUOTE, DELIMITER = b"\x01", b"\x02"
VERBATIM = "FORMAT CSV, QUOTE E'\\x01', DELIMITER E'\\x02'"
Row = tuple[bytes | None, ...]


@contextmanager
def snapshot() -> Iterator[Any]:
    """A cursor in one REPEATABLE READ transaction that cannot write, or in the one that is open already."""
    if connection.in_atomic_block:
        with connection.cursor() as cursor:
            yield cursor.cursor
        return
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield cursor.cursor


class Sink:
    """What psycopg2 writes to: it hands over a row at a time."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def write(self, data: bytes) -> int:
        at = HEADER if data.startswith(SIGNATURE) else 0
        fields = int.from_bytes(data[at : at + 2], "big", signed=True)
        if at == len(data) or fields < 0:
            return len(data)
        row: list[bytes | None] = []
        at += 2
        for _ in range(fields):
            start = at + 4
            length = int.from_bytes(data[at:start], "big", signed=True)
            at = start + max(0, length)
            row.append(None if length < 0 else data[start:at])
        self.rows.append(tuple(row))
        return len(data)


@mechanical("copies rows out of the database; the statement is a SELECT in a transaction that cannot write")
def copied(cursor: Any, query: str, parameters: Sequence[Any] = ()) -> list[Row]:
    """The rows of a SELECT as bytes: text in UTF-8, integers big-endian in their width, NULL as None."""
    sink = Sink()
    select = cursor.mogrify(query, parameters).decode()
    cursor.copy_expert(f"COPY ({select}) TO STDOUT (FORMAT BINARY)", sink, size=1 << 16)
    return sink.rows


@mechanical("copies lines out of the database; the statement is a SELECT in a transaction that cannot write")
def lines_of(cursor: Any, query: str, parameters: Sequence[Any] = ()) -> bytes | None:
    """The values of a SELECT of one column of text, verbatim and each on its line; None where one is no line."""
    text = io.BytesIO()
    select = cursor.mogrify(query, parameters).decode()
    cursor.copy_expert(f"COPY ({select}) TO STDOUT ({VERBATIM})", text, size=1 << 16)
    return None if QUOTE in text.getvalue() else text.getvalue()


def ahead(items: Iterator[T], depth: int = 2) -> Generator[T]:
    """The same items, taken from `items` by a thread while the caller works on the last one."""
    waiting: queue.Queue[tuple[T | None, BaseException | None, bool]] = queue.Queue(depth)
    ended = threading.Event()

    def take() -> None:
        last: BaseException | None = None
        try:
            for item in items:
                put((item, None, False))
                if ended.is_set():
                    return
        except BaseException as error:
            last = error
        put((None, last, True))

    def put(what: tuple[T | None, BaseException | None, bool]) -> None:
        while not ended.is_set():
            try:
                waiting.put(what, timeout=0.2)
                return
            except queue.Full:
                continue

    thread = threading.Thread(target=take, name="export-reader", daemon=True)
    thread.start()
    try:
        while True:
            item, error, over = waiting.get()
            if error is not None:
                raise error
            if over:
                return
            yield item  # type: ignore[misc]
    finally:
        ended.set()
        thread.join()
