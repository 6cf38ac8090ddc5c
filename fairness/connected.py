"""A dataset that stays in a PostgreSQL database: the same Ibis expressions, compiled for it and run there.

Only task bodies call this. What comes here is what a GROUP BY or a sum makes of the rows, never a row. Everything is
read in one snapshot, and the rows' hash is taken before and after, so that a report says of which rows it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fairness.bias import canonical_bytes
from fairness.dataset import Source
from fairness.naming import canonical
from fairness.problems import DataProblem
from fairness.suitability import Warnings
from registry.connecting.faults import refusal_of
from registry.connecting.rules import Target, place_of, quoted
from registry.connecting.source import HALVES, Session, Unreadable, session

# One statement, and all of a report's, before its task is told to stop.
SECONDS, ALTOGETHER = 900, 3300
TYPES = {
    "integer": "int64", "number": "float64", "boolean": "boolean", "date": "date", "time": "timestamp",
    "text": "string",
}  # fmt: skip
ROWS, HASHES = "rows__", "hashes__"


@dataclass(frozen=True)
class Answer:
    """Rows of cells as Ibis' other backends give them."""

    rows: list[dict[str, Any]]

    def to_pylist(self) -> list[dict[str, Any]]:
        return self.rows


@dataclass(frozen=True)
class There:
    """Runs Ibis expressions over `rows__` and `hashes__` where the rows are."""

    session: Session
    names: tuple[str, ...]

    def to_pyarrow(self, expression: Any) -> Answer:
        """Raises Unreadable."""
        import ibis

        query = ibis.to_sql(expression, dialect="postgres")
        halves = ", ".join(f"{half} AS {name}" for name, half in HALVES.items())
        given = (
            f"WITH {quoted(ROWS)} AS ({self.session.rows_as(self.names)}), "  # noqa: S608
            f"{quoted(HASHES)} AS (SELECT {halves} FROM ({self.session.hashed(self.names)}) AS hashed)"
        )
        return Answer(self.session.ask(f"{given} SELECT * FROM ({query}) AS answer"))  # noqa: S608


@dataclass(frozen=True)
class Reading:
    """Where the rows are, as the dataset's document has it by `document` (a digest), and their hash, "" for none."""

    document: str
    place: str
    what: str
    snapshot: str
    rows_hash: str

    def as_dict(self, rows: int) -> dict[str, Any]:
        return {
            "document": self.document, "snapshot": self.snapshot or None, "rows": rows,
            "rows_hash": self.rows_hash or None,
        }  # fmt: skip


@dataclass(frozen=True)
class Connected(Source):
    """An open dataset whose rows stay elsewhere: rows have no order and no numbers there."""

    reading: Reading

    @property
    def digest(self) -> str:
        """Of where the rows are and of what they are, in hexadecimal."""
        return hashlib.sha256(canonical_bytes(self.reading.as_dict(self.rows))).hexdigest()

    def number(self, name: str) -> Any:
        """A column as an Ibis double. A text is none: see `numeric`."""
        return self.table[name].cast("float64")

    def numeric(self, names: Sequence[str]) -> None:
        self.need(names)
        for name in names:
            if self.table[name].type().is_string():
                sentence = f"Column {name!r} holds text, where numbers are wanted. Give the column another role."
                raise DataProblem("not_numeric", sentence, name)
        super().numeric(names)

    def heads(self, names: Sequence[str], rows: int) -> dict[str, list[Any]]:
        """Different values instead of first ones, at most so many."""
        found = {}
        for name in names:
            column = self.table.select(value=self.table[name])
            values = column.distinct().order_by("value").limit(rows)
            found[name] = [row["value"] for row in self.asked(values)]
        return found

    def first(self, where: Any, name: str) -> tuple[int | None, Any]:
        return None, self.value(self.table.filter(where)[name].min())

    def named(self, name: str, text: str) -> tuple[int | None, Any]:
        values = self.asked(self.table.select(value=self.table[name]).distinct())
        return None, min(row["value"] for row in values if canonical(row["value"]) == text)

    @property
    def hashable(self) -> bool:
        return bool(self.reading.rows_hash)

    def hashed(self) -> Any:
        import ibis

        return ibis.table({"one": "int64", "other": "int64"}, name=HASHES)

    def told(self) -> tuple[dict[str, Any], Warnings]:
        """Looks at the rows once more, in the same snapshot: a query may give others each time that it is asked."""
        reading, rows = self.reading, self.con.session.count()
        after = hashed(self.con.session, self.con.names) if reading.rows_hash else ""
        same = rows == self.rows and after == reading.rows_hash
        reproducible = bool(reading.rows_hash) and same
        said = reading.as_dict(self.rows) | {
            "place": reading.place, "reproducible": reproducible, "rows_after": rows, "rows_hash_after": after or None,
        }  # fmt: skip
        what = f"{self.rows:,} rows of {reading.what} in {reading.place}"
        sentence = f"The rows stayed where they are ({what}): they were counted there, in one read-only snapshot."
        if reproducible:
            sentence += f" Their hash is {reading.rows_hash[:16]}…; the report can be reproduced as long as it is that."
            return {"connection": said}, [{"code": "rows_elsewhere", "sentence": sentence}]
        why = "their hash could not be taken" if same else "reading them twice in one snapshot gave different rows"
        sentence += f" Not reproducible: {why}, so nobody can tell later whether they are the same."
        return {"connection": said}, [{"code": "not_reproducible", "sentence": sentence}]


@contextmanager
def connected(
    target: Target, columns: Mapping[str, str], *, document: str, snapshot: str = "", most: int
) -> Iterator[Connected]:
    """Open what a dataset is connected to. `columns` are its types by name, as registered.

    Raises DataProblem `column_missing`, `columns_differ`, `no_rows` and `too_many_rows`, and Refusal as
    `registry.connecting.source` does.
    """
    import ibis

    with session(target, SECONDS, ALTOGETHER) as asked:
        try:
            check_columns({each.name: each.kind for each in asked.columns}, columns)
            names, rows = tuple(columns), asked.count()
            if not 0 < rows <= most:
                code = "too_many_rows" if rows else "no_rows"
                raise DataProblem(code, f"There are {rows:,} rows now; 1 to {most:,} are taken.")
            place = place_of(target.address.host, target.address.port, target.address.database)
            reading = Reading(document, place, target.table or "a query", snapshot, hashed(asked, names))
            table = ibis.table({name: TYPES[kind] for name, kind in columns.items()}, name=ROWS)
            yield Connected("connection", There(asked, names), table, rows, reading)
        except Unreadable as error:
            raise refusal_of(error.code, error.message, target) from None


def check_columns(found: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    for name, kind in wanted.items():
        if name not in found:
            sentence = f"There is no column {name!r} any more. Register the connection as a dataset again."
            raise DataProblem("column_missing", sentence, name)
        if found[name] != kind:
            sentence = (
                f"Column {name!r} was {kind} and is {found[name]} now. Register a dataset of the connection anew."
            )
            raise DataProblem("columns_differ", sentence, name)


def hashed(asked: Session, names: Sequence[str]) -> str:
    """The rows' hash, or "" where the database cannot take it, or not in time. Raises Unreadable for a lost line."""
    try:
        return asked.rows_hash(names)
    except Unreadable as error:
        if not error.code:
            raise
        return ""
