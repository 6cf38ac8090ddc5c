"""The confined process that reads a table with DuckDB. Started by `reader`, never imported by the portal.

It may open the one file and nothing else. CSV is read as text, so that nothing is guessed: a value is missing when it
is blank, a column is of numbers when every value that is there is one.
"""

from __future__ import annotations

import csv
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

from registry.onnx.confine import confine
from registry.tables.problems import TableProblem
from registry.tables.sniff import format_of

MOST_COLUMNS = 2000
MOST_GROUPS = 50
GROUPED_UNASKED = 12
MOST_GROUPED_UNASKED = 40
MEASURED_AT_ONCE = 50
SHOWN = 200
# Of a column whose values are asked for.
MOST_TEXT = 16_000_000


def main() -> None:
    given = json.loads(sys.argv[1])
    # Whatever a library prints must not mix with the answer.
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        kind = format_of(Path(given["path"]))
        con = connect(given["path"], given["memory_bytes"])
        confine(given["address_bytes"], given["cpu_seconds"], given["parent"])
        table = open_table(con, given["path"], kind)
        work = {"rows": rows_of, "values": values_of, "profile": profile_of}[given["do"]]
        said = {"format": kind, **work(con, table, kind, given)}
    except TableProblem as problem:
        said = {"problem": problem.code, "sentence": problem.sentence}
    except MemoryError:
        said = {
            "problem": "too_big",
            "sentence": "The table needs more memory than it may use. Register a sample of it.",
        }
    json.dump(said, answer)
    answer.flush()


def connect(path: str, memory_bytes: int) -> Any:
    import duckdb

    con = duckdb.connect(
        config={
            "threads": 2,
            "memory_limit": f"{memory_bytes >> 20}MiB",
            "temp_directory": "",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    con.execute(f"SET allowed_paths = [{text(path)}]")
    con.execute("SET enable_external_access = false")
    # It would turn TRY_CAST over a text column into the column's type, and a word there into a broken file.
    con.execute("SET disabled_optimizers = 'type_pushdown'")
    con.execute("SET lock_configuration = true")
    return con


def text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def name(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def ask(con: Any, query: str, kind: str) -> list[tuple[Any, ...]]:
    import duckdb

    try:
        found: list[tuple[Any, ...]] = con.execute(query).fetchall()
    except duckdb.OutOfMemoryException:
        raise MemoryError from None
    except duckdb.Error as error:
        said = next((line.strip() for line in str(error).splitlines() if line.strip()), "")[:300]
        if kind == "parquet":
            raise TableProblem(
                "broken_parquet", f"The Parquet file cannot be read ({said}). Write it again and upload it."
            ) from None
        raise TableProblem(
            "broken_csv",
            f"The CSV cannot be read ({said}). Check quotes and separators near there, and upload it again.",
        ) from None
    return found


def open_table(con: Any, path: str, kind: str) -> str:
    """The table's FROM clause, after its header was checked."""
    if kind == "parquet":
        return f"read_parquet({text(path)})"
    options = f"{text(path)}, all_varchar=true, header=true"
    sniffed = ask(con, f"SELECT Delimiter, Quote, SkipRows FROM sniff_csv({options})", kind)  # noqa: S608
    check_header(path, *sniffed[0])
    return f"read_csv({options})"


def check_header(path: str, delimiter: str, quote: str, skipped: int) -> None:
    with open(path, encoding="utf-8-sig", newline="") as file:
        quoted = quote if len(quote) == 1 else '"'
        header = [cell.strip() for cell in next(csv.reader(file, delimiter=delimiter, quotechar=quoted), [])]
    if skipped or not header:
        raise TableProblem(
            "broken_csv", "The first line does not hold the columns' names. Put them there, and only them."
        )
    if len(header) == 1 and (mark := next((mark for mark in ",;\t|" if mark in header[0]), "")):
        refuse_ragged(path, mark)
    if "" in header:
        raise TableProblem(
            "column_unnamed", f"Column {header.index('') + 1} has no name in the first line. Give it one."
        )
    seen: set[str] = set()
    for column in header:
        if column.lower() in seen:
            raise TableProblem(
                "duplicate_column",
                f"Two columns are called {column[:SHOWN]!r} (capitals do not tell them apart). Rename one of them.",
            )
        seen.add(column.lower())


def refuse_ragged(path: str, delimiter: str) -> None:
    """A reader that finds lines of unequal length takes each for one value; say which line it is."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, delimiter=delimiter)
        wanted = len(next(lines))
        for line in lines:
            if line and len(line) != wanted:
                raise TableProblem(
                    "broken_csv",
                    f"Line {lines.line_num:,} has {len(line):,} values where the first line names {wanted:,} columns. "
                    "Check quotes and separators there, and upload it again.",
                )


def columns_of(con: Any, table: str, kind: str) -> list[tuple[str, str]]:
    found = [(str(row[0]), str(row[1])) for row in ask(con, f"DESCRIBE SELECT * FROM {table}", kind)]  # noqa: S608
    if len(found) > MOST_COLUMNS:
        raise TableProblem(
            "too_many_columns",
            f"The table has {len(found):,} columns; at most {MOST_COLUMNS:,} are taken. Leave some out.",
        )
    return found


def rows_of(con: Any, table: str, kind: str, given: dict[str, Any]) -> dict[str, Any]:
    names = [column for column, _ in columns_of(con, table, kind)]
    shown = ", ".join(f"left(CAST({name(column)} AS VARCHAR), {SHOWN})" for column in names)
    rows = ask(con, f"SELECT {shown} FROM {table} LIMIT {int(given['limit'])}", kind)  # noqa: S608
    return {"columns": names, "rows": [list(row) for row in rows]}


def values_of(con: Any, table: str, kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """The first values of one column in the file's order: as numbers where all that are there are numbers, else text.

    A missing value is null. Without a name it is the only column that there is.
    """
    columns = dict(columns_of(con, table, kind))
    wanted = given["column"] or next(iter(columns))
    have = ", ".join(list(columns)[:20]) + (" …" if len(columns) > 20 else "")
    if not given["column"] and len(columns) > 1:
        raise TableProblem("column_unclear", f"The file has {len(columns):,} columns: {have}. Say which one to take.")
    if wanted not in columns:
        raise TableProblem("column_missing", f"The file has no column {wanted!r}. It has: {have}.")
    column, sort = name(wanted), columns[wanted]
    measures = ask(con, f"SELECT {', '.join(measured(column, sort))} FROM {table}", kind)  # noqa: S608
    filled, _, whole, numbers, _, _ = measures[0]
    if sort == "BOOLEAN":
        value = column
    elif numbers == filled:
        value = f"TRY_CAST({column} AS {'HUGEINT' if whole == filled else 'DOUBLE'})"
    else:
        value = f"left(nullif(trim(CAST({column} AS VARCHAR)), ''), {SHOWN + 1})"
    found = [row[0] for row in ask(con, f"SELECT {value} FROM {table} LIMIT {int(given['limit'])}", kind)]  # noqa: S608
    if sum(len(each) for each in found if isinstance(each, str)) > MOST_TEXT:
        sentence = f"Column {wanted!r} holds over {MOST_TEXT:,} characters. Write its classes in fewer."
        raise TableProblem("too_big", sentence)
    return {"values": found}


def profile_of(con: Any, table: str, kind: str, given: dict[str, Any]) -> dict[str, Any]:
    columns = columns_of(con, table, kind)
    row: list[Any] = [ask(con, f"SELECT count(*) FROM {table}", kind)[0][0]]  # noqa: S608
    if not row[0]:
        raise TableProblem("no_rows", "The table has column names but no rows. Check the export and upload it again.")
    for start in range(0, len(columns), MEASURED_AT_ONCE):
        some = columns[start : start + MEASURED_AT_ONCE]
        measures = ", ".join(part for column, sort in some for part in measured(name(column), sort))
        row += ask(con, f"SELECT {measures} FROM {table}", kind)[0]  # noqa: S608
    asked: list[str] = given["groups"]
    described = []
    for place, (column, sort) in enumerate(columns):
        filled, distinct, whole, numbers, low, high = row[1 + place * 6 : 7 + place * 6]
        found: dict[str, Any] = {
            "name": column,
            "type": type_of(sort, filled, whole, numbers),
            "missing": row[0] - filled,
            # Only estimated, so it may come out larger than it can be.
            "distinct": min(distinct, filled),
        }
        if numbers == filled and filled and all(isinstance(end, float) and math.isfinite(end) for end in (low, high)):
            found |= {"lowest": low, "highest": high}
        if column in asked or (not asked and distinct <= GROUPED_UNASKED and place < MOST_GROUPED_UNASKED):
            found |= groups_of(con, table, kind, column)
        described.append(found)
    return {"rows": row[0], "columns": described}


def measured(column: str, sort: str) -> list[str]:
    """How many values are there, distinct (about), whole numbers, numbers; the lowest and the highest."""
    there = f"nullif(trim({column}), '')" if sort == "VARCHAR" else column
    if sort in ("FLOAT", "DOUBLE"):
        there = f"CASE WHEN isnan({column}) THEN NULL ELSE {column} END"
    number = f"TRY_CAST({there} AS DOUBLE)"
    if sort.startswith(("DATE", "TIME", "STRUCT", "MAP", "UUID", "BLOB", "INTERVAL")) or sort.endswith("]"):
        number = "CAST(NULL AS DOUBLE)"
    return [
        f"count({there})", f"approx_count_distinct({there})", f"count(*) FILTER ({number} = floor({number}))",
        f"count({number})", f"min({number})", f"max({number})",
    ]  # fmt: skip


def type_of(sort: str, filled: int, whole: int, numbers: int) -> str:
    if sort == "BOOLEAN":
        return "boolean"
    if sort.startswith("DATE"):
        return "date"
    if sort.startswith("TIME"):
        return "time"
    if filled and numbers == filled:
        return "integer" if whole == filled else "number"
    return "text" if sort == "VARCHAR" else sort.lower()[:40] if not filled or not numbers else "number"


def groups_of(con: Any, table: str, kind: str, column: str) -> dict[str, Any]:
    """Sizes of a column's groups, largest first, and how many there are; missing values are a group without name."""
    value = f"nullif(trim(CAST({name(column)} AS VARCHAR)), '')"
    groups = f"SELECT {value} v, count(*) n FROM {table} GROUP BY 1"  # noqa: S608
    query = f"SELECT left(v, {SHOWN}), n, count(v) OVER () FROM ({groups})"  # noqa: S608
    rows = ask(con, f"{query} ORDER BY n DESC, v LIMIT {MOST_GROUPS}", kind)
    return {"groups": [{"value": value, "rows": count} for value, count, _ in rows], "distinct": rows[0][2]}
