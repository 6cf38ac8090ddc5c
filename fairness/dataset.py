"""Reads a dataset file through DuckDB, out of core, and says what is wrong with it.

Only task bodies call this. A CSV is read as text and converted here, so that a bad value can be named; a value is
missing when it is empty. DuckDB may open the one file and nothing else.
"""

from __future__ import annotations

import codecs
import csv
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fairness.naming import canonical
from fairness.problems import DataProblem

TAKE = 65_536
PARQUET = b"PAR1"
SEPARATORS = (",", ";", "\t", "|")
MAX_HEADER = 1 << 20


@dataclass(frozen=True)
class Source:
    """An open dataset: `table` is an Ibis table, `con` its backend, which is DuckDB for a file."""

    kind: Literal["parquet", "csv", "connection"]
    con: Any
    table: Any
    rows: int

    @property
    def digest(self) -> str:
        """Of the rows, where they come from no file; in hexadecimal."""
        return ""

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.table.columns)

    def need(self, names: Sequence[str]) -> None:
        """Raises DataProblem when a column is not there."""
        for name in names:
            if name not in self.table.columns:
                have = ", ".join(self.columns[:20]) + (" …" if len(self.columns) > 20 else "")
                raise DataProblem(
                    "column_missing",
                    f"The dataset has no column {name!r}. It has: {have}. Correct the column's role or the file.",
                    column=name,
                )

    def asked(self, expression: Any) -> list[dict[str, Any]]:
        """The rows of an Ibis table that is made of this one."""
        rows: list[dict[str, Any]] = self.con.to_pyarrow(expression).to_pylist()
        return rows

    def value(self, column: Any) -> Any:
        """An Ibis column's aggregate, such as its sum."""
        return self.asked(column.name("value").as_table())[0]["value"]

    def heads(self, names: Sequence[str], rows: int) -> dict[str, list[Any]]:
        """Values of the first rows, by column."""
        head = self.table.select(**{f"c{i}": self.table[name] for i, name in enumerate(names)}).limit(rows)
        found = head.to_pyarrow()
        return {name: found[f"c{i}"].to_pylist() for i, name in enumerate(names)}

    def number(self, name: str) -> Any:
        """A column as an Ibis double: NULL where the value is missing or is no number."""
        column = self.table[name]
        return column.try_cast("float64") if column.type().is_string() else column.cast("float64")

    def numeric(self, names: Sequence[str]) -> None:
        """Raises DataProblem unless each column is of numbers, without gaps, NaN or infinity."""
        self.need(names)
        if not names:
            return
        for name in names:
            kind = self.table[name].type()
            if not (kind.is_string() or kind.is_numeric() or kind.is_boolean()):
                raise DataProblem(
                    "not_numeric", f"Column {name!r} holds {kind}, where numbers are wanted.", column=name
                )
        bad = {f"b{i}": self._bad(name).sum() for i, name in enumerate(names)}
        (counts,) = self.asked(self.table.aggregate(**bad))
        for i, name in enumerate(names):
            if counts[f"b{i}"]:
                self._say_bad(name, self._bad(name))

    def missing(self, name: str) -> Any:
        """Whether a column's value is missing, as an Ibis boolean: NULL, NaN or blank."""
        column = self.table[name]
        if column.type().is_string():
            return column.isnull() | (column.strip() == "")
        return column.isnull() | column.isnan() if column.type().is_floating() else column.isnull()

    def _bad(self, name: str) -> Any:
        number = self.number(name)
        return number.isnull() | number.isnan() | number.isinf()

    def _say_bad(self, name: str, bad: Any) -> None:
        row, value = self.first(bad, name)
        count = int(self.value(bad.sum()))
        more = f" ({count:,} such rows)" if count > 1 else ""
        if value is None or value != value or not str(value).strip():
            word = "NaN" if isinstance(value, float) else "empty"
            raise DataProblem(
                "value_missing",
                f"Column {name!r} is {word} {in_row(row)}{more}. Fill the value in, or leave the row out, before "
                "registering the dataset.",
                column=name,
                row=row,
            )
        raise DataProblem(
            "not_numeric",
            f"Column {name!r} holds {str(value)[:60]!r} {in_row(row)}{more}, where a finite number is wanted. Correct "
            "the value, or give the column another role.",
            column=name,
            row=row,
        )

    def first(self, where: Any, name: str) -> tuple[int | None, Any]:
        """Number (from 1) of the first row that fulfils `where`, and the value of column `name` in it.

        Where rows have no order there is no number, and the value is the lowest of such rows.
        """
        import ibis

        found = self.table.mutate(row__=ibis.row_number(), where__=where, value__=self.table[name])
        row = found.filter(found.where__).order_by("row__").limit(1)[["row__", "value__"]].to_pyarrow().to_pylist()[0]
        return int(row["row__"]) + 1, row["value__"]

    def complete(self, names: Sequence[str]) -> None:
        """Raises DataProblem when one of the columns has a missing value."""
        self.need(names)
        for name in names:
            if self.value(self.missing(name).any()):
                self._say_bad(name, self.missing(name))

    def named(self, name: str, text: str) -> tuple[int | None, Any]:
        """Number (from 1) and value, as the file has it, of the first row that holds what is called `text` here."""
        rows = enumerate(
            raw for batch in self.batches({"v": self.table[name]}) for raw in batch.column("v").to_pylist()
        )
        return next((at + 1, raw) for at, raw in rows if canonical(raw) == text)

    @property
    def hashable(self) -> bool:
        """Whether `hashed` can be asked for."""
        return True

    def hashed(self) -> Any:
        """An Ibis table with a row for each row: both halves of its hash of 128 bits."""
        import ibis

        columns = [self.table[name] for name in self.columns]
        one = ibis.struct({f"c{i}": column for i, column in enumerate(columns)}).hash()
        other = ibis.struct({"salt": ibis.literal(1)} | {f"c{i}": x for i, x in enumerate(reversed(columns))}).hash()
        return self.table.select(one=one, other=other)

    def told(self) -> tuple[dict[str, Any], list[dict[str, str]]]:
        """What a report says of the rows beyond their digest, and warnings: nothing of a file, which never changes."""
        return {}, []

    def batches(self, columns: Mapping[str, Any], size: int = TAKE) -> Iterator[Any]:
        """Arrow record batches of Ibis expressions over the table, in the file's order."""
        import ibis
        import pyarrow as pa

        query = str(ibis.to_sql(self.table.select(**columns)))
        # Read as a stream: other ways to ask for batches hold the whole result first.
        for batch in pa.RecordBatchReader.from_stream(self.con.con.sql(query)):
            for at in range(0, batch.num_rows, size):
                yield batch.slice(at, size)


def in_row(row: int | None) -> str:
    return "in some rows" if row is None else f"in row {row:,}"


@contextmanager
def opened(path: Path, memory: str = "1GB", threads: int = 2) -> Iterator[Source]:
    """Open a Parquet or CSV file; raises DataProblem for one that cannot be read."""
    import duckdb
    import ibis

    kind = _kind(path)
    with tempfile.TemporaryDirectory(prefix="countersign-duckdb-") as spill:
        con = ibis.duckdb.connect(
            threads=threads,
            memory_limit=memory,
            temp_directory=spill,
            autoinstall_known_extensions=False,
            autoload_known_extensions=False,
        )
        try:
            quoted = str(path).replace("'", "''")
            con.raw_sql(f"SET allowed_paths = ['{quoted}']")
            con.raw_sql("SET enable_external_access = false")
            # The first makes a TRY_CAST over a CSV's text a type of the scan, which then fails on words. The
            # second believes Parquet's minimum and maximum, which leave NaN out, and decides that no value is NaN.
            con.raw_sql("SET disabled_optimizers = 'type_pushdown,statistics_propagation'")
            con.raw_sql("SET lock_configuration = true")
            try:
                if kind == "parquet":
                    table = con.read_parquet(str(path), table_name="dataset")
                else:
                    names, separator = _header(path)
                    table = con.read_csv(
                        str(path),
                        table_name="dataset",
                        columns=dict.fromkeys(names, "VARCHAR"),
                        auto_detect=False,
                        header=True,
                        delim=separator,
                        quote='"',
                        escape='"',
                    )
                # Without Ibis that takes half the time, and it is done at every opening.
                ((rows,),) = con.raw_sql("SELECT count(*) FROM dataset").fetchall()
            except duckdb.Error as error:
                raise _translated(kind, path, error) from error
            if not rows:
                raise DataProblem("no_rows", "The dataset has column names but no rows.")
            try:
                yield Source(kind, con, table, rows)
            except duckdb.Error as error:
                # A fault of ours, such as a query that does not parse, must not be blamed on the data.
                of_data = (duckdb.DataError, duckdb.OperationalError, duckdb.InvalidInputException)
                if type(error) is duckdb.Error or isinstance(error, of_data):
                    raise _translated(kind, path, error) from error
                raise
        finally:
            con.disconnect()


def _kind(path: Path) -> Literal["parquet", "csv"]:
    size = path.stat().st_size
    if not size:
        raise DataProblem("empty_file", "The file is empty (0 bytes). Upload it again.")
    with path.open("rb") as file:
        head = file.read(4)
        if head == PARQUET:
            file.seek(max(0, size - 4))
            if size < 12 or file.read(4) != PARQUET:
                raise DataProblem(
                    "truncated_parquet",
                    f"The Parquet file breaks off: after {size:,} bytes its closing mark is missing. Upload it again.",
                )
            return "parquet"
    _check_utf8(path)
    return "csv"


def _header(path: Path) -> tuple[list[str], str]:
    """Column names of a CSV and the separator, which is the likeliest one in the first line."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        line = file.readline(MAX_HEADER)
        separator = max(SEPARATORS, key=line.count)
        names = next(csv.reader([line], delimiter=separator), [])
    for at, name in enumerate(names):
        if not name.strip():
            raise DataProblem("bad_header", f"Column {at + 1} of the CSV has no name. Name it in the first line.")
        if name in names[:at]:
            raise DataProblem("bad_header", f"Two columns of the CSV are called {name!r}. Rename one.", column=name)
    if not names:
        raise DataProblem("bad_header", "The first line of the CSV is empty. Put the columns' names there.")
    return names, separator


def _check_utf8(path: Path) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    before, lines = 0, 0
    with path.open("rb") as file:
        while True:
            chunk = file.read(1 << 20)
            held = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                at = error.start - held
                line = lines + (chunk[: max(0, at)].count(b"\n") if chunk else 0) + 1
                byte = error.object[error.start]
                where = "the header" if line == 1 else f"line {line:,} (row {line - 1:,})"
                raise DataProblem(
                    "not_utf8",
                    f"The file is not UTF-8: byte {before + at + 1:,}, in {where}, is 0x{byte:02X}. It may be Latin-1 "
                    "or Windows-1252; save it as UTF-8 and upload it again.",
                    row=line - 1 or None,
                ) from None
            if not chunk:
                return
            if b"\0" in chunk:
                raise DataProblem(
                    "not_text", "The file is neither Parquet nor CSV: it holds zero bytes. Upload Parquet or UTF-8 CSV."
                )
            before += len(chunk)
            lines += chunk.count(b"\n")


def _translated(kind: str, path: Path, error: Exception) -> DataProblem:
    lines = [line.strip().replace(str(path), "the file") for line in str(error).splitlines()]
    said = next((line for line in lines if line), type(error).__name__)[:300]
    if "memory" in said.lower():
        return DataProblem(
            "too_big", "The dataset needs more memory than a report may use. Register fewer columns, or a sample."
        )
    if kind == "parquet":
        return DataProblem("broken_parquet", f"The Parquet file cannot be read ({said}). Write it again and upload it.")
    found = re.search(r"CSV Error on Line: (\d+)", str(error))
    if not found:
        return DataProblem(
            "broken_csv", f"The CSV cannot be read ({said}). Check its quotes and separators, and upload it again."
        )
    line = int(found[1])
    why = next((x for x in lines if x.startswith(("Expected Number", "Value with"))), "it does not parse").rstrip(".")
    return DataProblem(
        "broken_csv",
        f"The CSV breaks off the pattern in line {line:,} (row {line - 1:,}): {why[:1].lower()}{why[1:]}. Check the "
        "quotes and separators there, and upload it again.",
        row=line - 1,
    )
