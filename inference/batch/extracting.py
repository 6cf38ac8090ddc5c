"""Reads a connection's rows into the batch's own file: once, in one read-only snapshot, a few thousand at a time.

The file is safe in the storage before the database says that it is there, so a worker that is killed in between leaves
nothing that counts, and the next one reads anew. Only task bodies call this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection as own_connection

from audits.exports import keeping
from fairness.connected import check_columns
from inference.batch import parts
from inference.batch.checking import check_rows
from inference.batch.extracts import Read, record_extract
from inference.batch.models import Batch
from inference.batch.problems import BatchProblem
from inference.batch.services import FOLDER, WORKER
from inference.batch.values import columns_of, unused
from jobs.claims import Claim
from ledger.events import database_time
from registry.connecting.faults import refusal_of
from registry.connecting.rows import brought
from registry.connecting.rules import mark
from registry.connecting.services import opened
from registry.connecting.source import Session, Unreadable, session
from registry.onnx.facts import ModelFacts

# One statement's seconds, of which the sorting is the first, and those of the whole reading.
SECONDS, ALTOGETHER = 900, 2 * 3600
# Per cent of the batch's progress.
UNTIL = 25


def extract(batch: Batch, claim: Claim, progress: Callable[[float, str], None]) -> None:
    """Read all rows of the dataset's connection, and record what they are.

    Raises BatchProblem, DataProblem `column_missing` or `columns_differ`, Refusal, Denied, Lost or Cancelled.
    """
    dataset = batch.dataset
    assert dataset is not None
    assert dataset.connection is not None
    check_rows(batch.asked_by, dataset)
    target, at = opened(dataset.connection), database_time()
    progress(1, "Reading the table")
    with keeping.aside(f"batch-{batch.pk}") as folder:
        path: Path = folder / "rows"
        with session(target, SECONDS, ALTOGETHER) as asked:
            check_columns({each.name: each.kind for each in asked.columns}, types_of(batch))
            try:
                rows, rows_hash = written(batch, asked, path, progress)
            except Unreadable as error:
                raise refusal_of(error.code, error.message, target) from None
        file, digest, size = keeping.keep(path, f"{batch.pk}-{claim.attempt}-rows", FOLDER)
    # Reading may have outlived the connection on which it began.
    if not own_connection.in_atomic_block:
        own_connection.close()
    try:
        record_extract(by=WORKER, batch=batch, read=Read(at, rows, rows_hash, file, digest, size), claim=claim)
    except BaseException:
        keeping.remove(file)
        raise


def types_of(batch: Batch) -> dict[str, str]:
    assert batch.dataset is not None
    return {column["name"]: column["type"] for column in batch.dataset.columns}


def written(batch: Batch, asked: Session, path: Path, progress: Callable[[float, str], None]) -> tuple[int, str]:
    """Write what the model reads, and the keys behind it, as Parquet: how many rows there are, and their hash.

    Raises BatchProblem `no_rows`, `too_many_rows`, `too_large` or `keys_not_unique`, and Unreadable, Lost or Cancelled.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = types_of(batch)
    names = [one.name for one in columns_of(inputs_of(batch), list(types), batch.version.features)]
    schema = pa.schema(
        [(name, arrow_type(types[name])) for name in names]
        + [(name, key_type(types[key])) for name, key in zip(key_names(names, batch.keys), batch.keys, strict=True)]
    )
    keys, one, other, at = Keys(batch.keys), 0, 0, (1.0, "Reading the table")
    given = brought(asked, names, batch.keys, list(types), lambda: progress(*at))
    with pq.ParquetWriter(path, schema, **parts.WRITING) as writer, closing(given):
        for rows in given:
            *columns, ones, others = zip(*rows, strict=True)
            one, other = one + sum(ones), other + sum(others)
            keys.check(columns[len(names) :], len(rows))
            if keys.rows > settings.MAX_DATASET_ROWS:
                raise too_many()
            arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=len(rows))
            if path.stat().st_size > settings.MAX_UPLOAD_BYTES:
                raise too_large()
            at = (1 + (UNTIL - 1) * min(1.0, keys.rows / expected(batch)), f"Read {keys.rows:,} rows")
            progress(*at)
    if not keys.rows:
        raise BatchProblem("no_rows", "There are no rows there now. Run the batch again when there are some.")
    return keys.rows, mark(keys.rows, one, other)


def inputs_of(batch: Batch) -> Any:
    return ModelFacts.from_dict(batch.version.signature).inputs


def expected(batch: Batch) -> int:
    """How many rows there were when somebody looked last."""
    assert batch.dataset is not None
    there = batch.dataset.connection
    return max(1, (there and there.rows) or batch.dataset.rows)


def too_many() -> BatchProblem:
    return BatchProblem(
        "too_many_rows",
        f"There are more than {settings.MAX_DATASET_ROWS:,} rows there now, and no more are taken here. Connect a view "
        "of fewer, or ask the operator to raise MAX_DATASET_ROWS.",
    )


def too_large() -> BatchProblem:
    return BatchProblem(
        "too_large",
        f"What the model reads of these rows is larger than the {settings.MAX_UPLOAD_BYTES:,} bytes that are taken "
        "here. Connect a view of fewer rows, or ask the operator to raise MAX_UPLOAD_BYTES.",
    )


class Keys:
    """Counts rows, and sees to it that no two of them have the same keys: in order, the same stand side by side."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names, self.rows, self.last = names, 0, None

    def check(self, columns: Sequence[Sequence[Any]], rows: int) -> None:
        """The next rows. Raises BatchProblem `keys_not_unique`."""
        last: Any = self.last
        for place, key in enumerate(zip(*columns, strict=True), self.rows):
            if key == last:
                which = ", ".join(f"“{name}”" for name in self.names)
                raise BatchProblem(
                    "keys_not_unique",
                    f"Rows {place:,} and {place + 1:,}, in the order of the keys, have the same {which}. Name columns "
                    "that together tell every row apart.",
                )
            last = key
        self.last, self.rows = last, self.rows + rows


def key_names(columns: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Names of the keys in the batch's own file, where a column that the model reads may be a key as well."""
    taken = set(columns)
    return [unused(key, taken) for key in keys]


def keys_of(batch: Batch, columns: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """The keys of a chunk, for the result: Arrow arrays of the same types in every chunk."""
    import pyarrow as pa

    if not batch.keys:
        return {}
    types = types_of(batch)
    return {key: pa.array(values, key_type(types[key])) for key, values in zip(batch.keys, columns, strict=True)}


def key_type(kind: str) -> Any:
    """Whole numbers and booleans as they are, all else as the database writes it."""
    return arrow_type(kind if kind in ("integer", "boolean") else "text")


def arrow_type(kind: str) -> Any:
    import pyarrow as pa

    return {"boolean": pa.bool_(), "integer": pa.int64(), "number": pa.float64()}.get(kind, pa.string())
