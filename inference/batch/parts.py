"""What a batch writes: a Parquet file a chunk, and one of all of them, the same bytes each time.

Only task bodies call this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audits.exports import keeping
from inference.batch.models import BatchPart
from inference.batch.problems import BatchProblem
from inference.batch.services import FOLDER
from inference.batch.values import finite_at_fault, named
from ledger.refusals import Refusal
from registry.onnx.decision import Output

# Everything that decides the bytes is said here; what wrote them stands in the file.
WRITING: dict[str, Any] = {
    "version": "2.6", "compression": "zstd", "compression_level": 3, "use_dictionary": False,
    "write_statistics": True, "data_page_version": "1.0",
}  # fmt: skip


def table_of(
    outputs: Sequence[Output], decisions: NDArray[Any], first: int, keys: Mapping[str, Any] | None = None
) -> Any:
    """The rows' numbers and keys, every output of the model that has a row each, and the decision, as an Arrow table.

    `keys` are Arrow arrays by column. Raises BatchProblem `output_not_finite`.
    """
    import pyarrow as pa

    keys = keys or {}
    rows = len(decisions)
    flat = [
        (one, one.values.reshape(rows, -1)) for one in outputs if one.values.ndim and len(one.values) == rows
    ]  # fmt: skip
    *by_output, (row_name, decision_name, *key_names) = named(
        [(one.name, one.classes, table.shape[1]) for one, table in flat], tuple(keys)
    )
    columns: dict[str, NDArray[Any]] = {}
    for names, (_, table) in zip(by_output, flat, strict=True):
        columns |= {name: np.ascontiguousarray(table[:, place]) for place, name in enumerate(names)}
    if fault := finite_at_fault(columns, first):
        raise BatchProblem("output_not_finite", fault)
    arrays = {row_name: pa.array(np.arange(first, first + rows, dtype=np.int64))}
    arrays |= dict(zip(key_names, keys.values(), strict=True))
    arrays |= {name: as_arrow(values) for name, values in columns.items()}
    arrays[decision_name] = pa.array(decisions)
    return pa.table(arrays)


def as_arrow(values: NDArray[Any]) -> Any:
    import pyarrow as pa

    return pa.array([str(value) for value in values], pa.string()) if values.dtype == object else pa.array(values)


def keep_part(table: Any, name: str) -> tuple[str, str]:
    """Write a chunk into the storage: its name there and its digest. It is safe there when this returns."""
    import pyarrow.parquet as pq

    with keeping.aside() as folder:
        path = folder / "part"
        pq.write_table(table, path, **WRITING)
        file, digest, _ = keeping.keep(path, name, FOLDER)
    return file, digest


def first_bad(parts: Sequence[BatchPart]) -> BatchPart | None:
    """The first part whose file is not there as it was written, or that does not go on where the one before ended."""
    row = 1
    for part in parts:
        try:
            keeping.opened(part.file, part.digest).close()
        except Refusal:
            return part
        if part.first != row:
            return part
        row += part.rows
    return None


def keep_whole(parts: Sequence[BatchPart], name: str) -> tuple[str, str, int]:
    """All parts as one file in the storage, a group of rows each: its name there, digest and size in bytes.

    Raises BatchProblem `outputs_differ`.
    """
    import pyarrow.parquet as pq

    with keeping.aside() as folder:
        path: Path = folder / "whole"
        writer = None
        try:
            for part in parts:
                with keeping.opened(part.file, part.digest) as file:
                    table = pq.read_table(file)
                writer = writer or pq.ParquetWriter(path, table.schema, **WRITING)
                if table.schema != writer.schema:
                    raise BatchProblem(
                        "outputs_differ",
                        f"What the model returns changes its form in row {part.first:,}, so it is no table. Bind a "
                        "version whose outputs have as many columns for every row.",
                    )
                writer.write_table(table, row_group_size=max(1, len(table)))
        finally:
            if writer is not None:
                writer.close()
        return keeping.keep(path, name, FOLDER)
