"""Parquet, written by DuckDB from the rows of the CSV. For workers: importing DuckDB takes memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import duckdb

from audits.exports.tables import COLUMNS

TYPES = {"entry": "BIGINT", "time": "TIMESTAMP WITH TIME ZONE", "team": "BIGINT"}
LONGEST_ROW = 64 * 1024**2


def convert(table: Path, target: Path, about: Mapping[str, str], *, memory: str = "512MB") -> None:
    """Write `target` from a CSV with COLUMNS; `about` stands in the file's own metadata. Constant memory."""
    columns = "{" + ", ".join(f"'{name}': 'VARCHAR'" for name in COLUMNS) + "}"
    chosen = ", ".join(f"TRY_CAST({name} AS {TYPES[name]}) AS {name}" if name in TYPES else name for name in COLUMNS)
    described = ", ".join(f"{name}: {quoted(value)}" for name, value in about.items())
    with duckdb.connect(config={"memory_limit": memory, "threads": 2, "temp_directory": str(target.parent)}) as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute("SET preserve_insertion_order = true")
        con.execute(
            f"COPY (SELECT {chosen} FROM read_csv({quoted(str(table))}, columns = {columns}, header = true, "  # noqa: S608
            f"delim = ',', quote = '\"', escape = '\"', auto_detect = false, parallel = false, "
            f"max_line_size = {LONGEST_ROW})) TO {quoted(str(target))} "
            f"(FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{described}}})"
        )


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def metadata(path: Path) -> dict[str, str]:
    """What a file says of itself."""
    with duckdb.connect() as con:
        found = con.execute("SELECT key, value FROM parquet_kv_metadata(?)", [str(path)]).fetchall()
    return {bytes(key).decode(): bytes(value).decode() for key, value in found}


def as_metadata(about: Mapping[str, object]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in about.items()}
