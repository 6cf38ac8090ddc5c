"""A CSV file as a table of text, and which of its columns means what. Plain values in, plain values out."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MOST_ROWS = 500
MOST_BYTES = 4 * 1024**2
# What a model is made of: the field, whether it has to be there, and what columns of other inventories call it.
FIELDS: dict[str, tuple[str, bool, tuple[str, ...]]] = {
    "name": ("Name", True, ("name", "model", "model name", "title")),
    "purpose": ("Purpose", True, ("purpose", "description", "use", "intended use", "business use")),
    "owner": (
        "Owner",
        False,
        ("owner", "model owner", "owner mail", "owner email", "owner e-mail", "mail", "email", "e-mail"),
    ),
    "slug": ("Short name", False, ("slug", "short name", "id", "model id", "identifier", "key")),
}


class NotATable(Exception):
    """A file that cannot be imported at all. Codes are stable; `field` is the input at fault."""

    def __init__(self, code: str, sentence: str, field: str = "upload") -> None:
        super().__init__(sentence)
        self.code, self.sentence, self.field = code, sentence, field


@dataclass(frozen=True)
class Line:
    """One row; `number` is what a spreadsheet shows beside it, the head being row 1."""

    number: int
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    columns: tuple[str, ...]
    lines: tuple[Line, ...]

    def value(self, line: Line, column: str) -> str:
        place = self.columns.index(column)
        return line.cells[place].strip() if place < len(line.cells) else ""


def read_table(data: bytes) -> Table:
    """The table in a CSV file with commas or semicolons. Raises NotATable."""
    if len(data) > MOST_BYTES:
        raise NotATable("too_large", f"An inventory has at most {MOST_BYTES:,} bytes. Split the file.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotATable(
            "not_utf8", "The file is not text in UTF-8. Save it as “CSV UTF-8” and send it again."
        ) from None
    head = text.partition("\n")[0]
    try:
        delimiter = ";" if head.count(";") > head.count(",") else ","
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise NotATable("broken_csv", f"The file is no CSV that can be read: {error}. Repair it.") from None
    columns = tuple(cell.strip() for cell in rows[0]) if rows else ()
    if not all(columns) or not columns:
        raise NotATable("column_unnamed", "Each column needs a name in the first row. Name them all.")
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        raise NotATable("duplicate_column", f"Two columns are called “{twice[0]}”. Give each its own name.")
    lines = tuple(
        Line(number, tuple(row)) for number, row in enumerate(rows[1:], 2) if any(cell.strip() for cell in row)
    )
    if not lines:
        raise NotATable("no_rows", "There is no model below the first row. Add a row for each.")
    if len(lines) > MOST_ROWS:
        sentence = f"The file has {len(lines):,} models; at most {MOST_ROWS} are imported at once. Split it."
        raise NotATable("too_many_rows", sentence)
    return Table(columns, lines)


def guessed(columns: Sequence[str]) -> dict[str, str]:
    """The column for each field, as far as its name says so."""
    plain = {column.lower().replace("_", " "): column for column in reversed(columns)}
    found = {
        field: next((plain[name] for name in names if name in plain), "") for field, (_, _, names) in FIELDS.items()
    }
    return {field: column for field, column in found.items() if column}


def checked_mapping(columns: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """The mapping without what was left empty. Raises NotATable for the first fault."""
    chosen = {field: column for field, column in mapping.items() if column}
    for field, column in chosen.items():
        if field not in FIELDS:
            raise NotATable("field_unknown", f"A model has no “{field}”. It has: {', '.join(FIELDS)}.", "columns")
        if column not in columns:
            sentence = f"The file has no column “{column}”. Choose one of its columns."
            raise NotATable("column_missing", sentence, f"columns.{field}")
    for field, (word, needed, _) in FIELDS.items():
        if needed and field not in chosen:
            sentence = f"Every model has a {word.lower()}. Say which column holds it."
            raise NotATable("column_missing", sentence, f"columns.{field}")
    twice = [column for column in chosen.values() if list(chosen.values()).count(column) > 1]
    if twice:
        sentence = f"The column “{twice[0]}” was chosen for two things. Choose another one for one of them."
        raise NotATable("column_twice", sentence, "columns")
    return chosen
