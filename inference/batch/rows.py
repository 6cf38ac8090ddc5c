"""Reads rows in chunks, in the file's order, from CSV, JSON Lines and Parquet. Never more than a chunk is held.

Only task bodies call this. Rows are counted from 1; what is wrong with one is said with its number.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Protocol

import orjson

from inference.batch.problems import BatchProblem
from registry.tables.problems import TableProblem
from registry.tables.sniff import format_of

SEPARATORS = (",", ";", "\t", "|")
# A single cell or line beyond it is no table.
MAX_CELL = 1 << 20


@dataclass
class Chunk:
    """Rows from number `first` on, as lists of values by column; `part` is how far the file is read, from 0 to 1."""

    first: int
    rows: int
    columns: dict[str, list[Any]]
    part: float


class Rows(Protocol):
    """An open table. `text` says that its values are all text, as in CSV."""

    names: tuple[str, ...]
    text: bool

    def lines(self, wanted: Sequence[str], skip: int) -> Iterator[tuple[Sequence[Any], float]]:
        """Values of the wanted columns, row by row, after the first `skip` rows, and how far the file is read."""


def opened(path: Path) -> Rows:
    """Raises BatchProblem for a file that is none of the three, or empty."""
    try:
        kind = format_of(path)
    except TableProblem as problem:
        raise BatchProblem(problem.code, problem.sentence) from None
    if kind == "parquet":
        return Parquet(path)
    with path.open("rb") as file:
        head = file.read(1 << 16).removeprefix(b"\xef\xbb\xbf").lstrip()
    return JsonLines(path) if head.startswith(b"{") else Csv(path)


def chunks(rows: Rows, wanted: Sequence[str], size: int, skip: int) -> Iterator[Chunk]:
    """All rows after the first `skip`, in chunks of `size`; the last may be smaller. Raises BatchProblem."""
    first, held, part = skip + 1, list[Sequence[Any]](), 0.0
    for line, part in rows.lines(wanted, skip):
        held.append(line)
        if len(held) == size:
            yield chunk_of(first, held, wanted, part)
            first, held = first + size, []
    if held:
        yield chunk_of(first, held, wanted, part)


def chunk_of(first: int, held: list[Sequence[Any]], wanted: Sequence[str], part: float) -> Chunk:
    columns = zip(*held, strict=True)
    return Chunk(first, len(held), {name: list(values) for name, values in zip(wanted, columns, strict=True)}, part)


def check_names(names: Sequence[str]) -> tuple[str, ...]:
    """Raises BatchProblem where two columns have one name."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise BatchProblem("duplicate_column", f"Two columns are called “{name}”. Rename one of them.")
        seen.add(name)
    return tuple(names)


@contextmanager
def wide_cells() -> Iterator[None]:
    before = csv.field_size_limit(MAX_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)


@dataclass
class Csv:
    """The separator is the likeliest one in the first line, which names the columns. Empty lines are no rows."""

    path: Path
    text: bool = True
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            line = file.readline(MAX_CELL)
        self.separator = max(SEPARATORS, key=line.count)
        names = [name.strip() for name in next(csv.reader([line], delimiter=self.separator), [])]
        if not all(names) or not names:
            sentence = "The first line does not name every column. Put the columns' names there."
            raise BatchProblem("column_unnamed", sentence)
        self.names = check_names(names)

    def lines(self, wanted: Sequence[str], skip: int) -> Iterator[tuple[Sequence[Any], float]]:
        places, width, size = [self.names.index(name) for name in wanted], len(self.names), self.path.stat().st_size
        row = 0
        with wide_cells(), self.path.open("rb") as raw, TextIOWrapper(raw, "utf-8-sig", newline="") as file:
            found = csv.reader(file, delimiter=self.separator, strict=True)
            try:
                next(found)
                for line in found:
                    if not line:
                        continue
                    row += 1
                    if row <= skip:
                        continue
                    if len(line) != width:
                        raise BatchProblem(
                            "wrong_width",
                            f"Row {row:,} has {len(line):,} values, where the first line names {width:,} columns. "
                            "Check quotes and separators there.",
                        )
                    yield [line[place] for place in places], raw.tell() / size
            except csv.Error as error:
                where = f"row {row + 1:,} (line {found.line_num:,})"
                sentence = f"The CSV cannot be read in {where}: {error}. Check its quotes."
                raise BatchProblem("broken_csv", sentence) from None


@dataclass
class JsonLines:
    """One object a line; the first names the columns. Empty lines are no rows."""

    path: Path
    text: bool = False
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        with self.path.open("rb") as file:
            line = next((line for line in file if line.strip()), b"")
        self.names = tuple(self.read(line, 1))

    def read(self, line: bytes, row: int) -> dict[str, Any]:
        try:
            found = orjson.loads(line.removeprefix(b"\xef\xbb\xbf"))
        except orjson.JSONDecodeError as error:
            sentence = f"Row {row:,} cannot be read as JSON: {error}. Write one object on each line."
            raise BatchProblem("not_json", sentence) from None
        if type(found) is not dict:
            raise BatchProblem("not_json", f"Row {row:,} is no JSON object. Write one object on each line.")
        return found

    def lines(self, wanted: Sequence[str], skip: int) -> Iterator[tuple[Sequence[Any], float]]:
        row, at, size = 0, 0, self.path.stat().st_size
        with self.path.open("rb") as file:
            for line in file:
                at += len(line)
                if not line.strip():
                    continue
                row += 1
                if row <= skip:
                    continue
                found = self.read(line, row)
                if missing := next((name for name in wanted if name not in found), None):
                    raise BatchProblem("column_missing", f"Row {row:,} has no “{missing}”. Fill every row.")
                yield [found[name] for name in wanted], at / size


@dataclass
class Parquet:
    """Groups of rows that are done already are not read again."""

    path: Path
    text: bool = False
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.broken = (pa.ArrowException, OSError)
        try:
            with pq.ParquetFile(self.path) as file:
                self.names = check_names(file.schema_arrow.names)
                self.groups = [file.metadata.row_group(place).num_rows for place in range(file.num_row_groups)]
        except self.broken as error:
            raise self.unreadable(error) from None

    def unreadable(self, error: Exception) -> BatchProblem:
        said = " ".join(str(error).split())[:200].rstrip(".")
        return BatchProblem("broken_parquet", f"The Parquet file cannot be read ({said}). Write it again.")

    def lines(self, wanted: Sequence[str], skip: int) -> Iterator[tuple[Sequence[Any], float]]:
        import pyarrow.parquet as pq

        total, row, group = sum(self.groups), 0, 0
        while group < len(self.groups) and row + self.groups[group] <= skip:
            row += self.groups[group]
            group += 1
        try:
            with pq.ParquetFile(self.path) as file:
                left = list(range(group, len(self.groups)))
                for batch in file.iter_batches(batch_size=8192, row_groups=left, columns=list(wanted)):
                    columns = [batch.column(name).to_pylist() for name in wanted]
                    for line in zip(*columns, strict=True):
                        row += 1
                        if row > skip:
                            yield line, row / total
        except self.broken as error:
            raise self.unreadable(error) from None
