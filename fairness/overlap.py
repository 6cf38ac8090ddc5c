"""How many rows of a dataset stand in the training data too, by the hash of each row; the rows' order plays no part.

Only task bodies call this. Values are compared as people read them: 1, 1.0 and "1.0" are the same, and so are a CSV's
text and a Parquet file's number, so that the two files need not be of one kind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fairness.dataset import Source, opened
from fairness.roles import Roles
from fairness.suitability import EXACT_ROWS, Warnings

# From here on not every whole number is a float64, so that two of them could look the same.
LARGEST_WHOLE = 2.0**53


def with_training(source: Source, roles: Roles, training: Mapping[str, Path | None]) -> list[dict[str, Any]]:
    """What the dataset shares with each file of training data, which come by their digests.

    None stands for a file that is deleted: it has no columns to compare.
    """
    found: list[dict[str, Any]] = []
    for digest, path in sorted(training.items()):
        if path is None:
            found.append({"dataset": digest, "columns": None, "looked_at": 0, "shared": 0, "one_in": 1})
            continue
        with opened(path) as theirs:
            columns = compared_columns(roles, source, theirs)
            counts = {"looked_at": 0, "shared": 0, "one_in": 1}
            found.append(
                {"dataset": digest, "columns": columns, **(shared_rows(source, theirs, columns) if columns else counts)}
            )
    return found


def warnings_of(shared: Sequence[Mapping[str, Any]]) -> Warnings:
    found: Warnings = []
    for each in shared:
        if each["columns"] is None:
            sentence = (
                f"The rows of the training data {each['dataset'][:12]} were deleted, so whether rows are shared is not "
                "known."
            )
            found.append({"code": "training_deleted", "sentence": sentence})
        elif not each["columns"]:
            sentence = (
                f"The training data {each['dataset'][:12]} have no column of this dataset, so whether rows are shared "
                "is not known. Name the right dataset as what the version was trained on."
            )
            found.append({"code": "training_unlike", "sentence": sentence})
        elif each["shared"]:
            among = f", among one in {each['one_in']:,} different rows chosen by hash," if each["one_in"] > 1 else ""
            share = each["shared"] / each["looked_at"]
            sentence = (
                f"{each['shared']:,} of {each['looked_at']:,} rows ({share:.1%}){among} equal a row of the training "
                f"data {each['dataset'][:12]} in {', '.join(each['columns'][:8])}"
                f"{' …' if len(each['columns']) > 8 else ''}. What a model has seen says little about cases it has not "
                "seen. Report on data that were kept apart from training."
            )
            found.append({"code": "training_overlap", "sentence": sentence})
    return found


def compared_columns(roles: Roles, source: Source, training: Source) -> list[str]:
    """The outcome, the sensitive attributes and the features, as far as both files have them."""
    names = dict.fromkeys([roles.label, *roles.sensitive, *roles.features])
    return [name for name in names if name in source.columns and name in training.columns]


def shared_rows(
    source: Source, training: Source, columns: Sequence[str], exact_rows: int = EXACT_ROWS
) -> dict[str, int]:
    """Rows of `source` that equal a row of `training` in these columns: {"looked_at", "shared", "one_in"}.

    Of large files all copies of one different row in `one_in` are looked at, chosen by hash. The hash has 128 bits.
    """
    import ibis

    most = max(source.rows, training.rows)
    halves = max(0, math.ceil(math.log2(most / exact_rows)))
    own, theirs = (_hashed(each, columns, (1 << halves) - 1) for each in (source, training))
    meeting = ibis.duckdb.connect(threads=1)
    try:
        meeting.con.register("own", own)
        meeting.con.register("theirs", theirs)
        rows, known = meeting.table("own"), meeting.table("theirs")
        met = rows.semi_join(known, ["one", "other"])
        looked_at = rows.aggregate(n=rows.n.sum()).to_pyarrow()["n"][0].as_py()
        shared = met.aggregate(n=met.n.sum()).to_pyarrow()["n"][0].as_py()
    finally:
        meeting.disconnect()
    return {"looked_at": int(looked_at or 0), "shared": int(shared or 0), "one_in": 1 << halves}


def _hashed(source: Source, columns: Sequence[str], mask: int) -> Any:
    """An Arrow table of the different rows: both halves of the hash, and how often the row is there."""
    import ibis

    values = [value for name in columns for value in _read(source, name)]
    one = ibis.struct({f"c{i}": value for i, value in enumerate(values)}).hash()
    other = ibis.struct({"salt": ibis.literal(1)} | {f"c{i}": x for i, x in enumerate(reversed(values))}).hash()
    rows = source.table.select(one=one, other=other)
    if mask:
        rows = rows.filter((rows.one & mask) == 0)
    return rows.group_by(["one", "other"]).aggregate(n=rows.count()).to_pyarrow()


def _read(source: Source, name: str) -> tuple[Any, Any]:
    """A column as a number and as a text, of which at most one is there, as Ibis expressions."""
    import ibis

    column = source.table[name]
    kind = column.type()
    text = column.cast("string")
    if kind.is_string():
        text = text.strip()
        text = ibis.cases((text.lower() == "true", "1"), (text.lower() == "false", "0"), else_=text)
        number = text.try_cast("float64")
    elif kind.is_boolean() or kind.is_numeric():
        number = (column.cast("int8") if kind.is_boolean() else column).cast("float64")
    else:
        number = ibis.null("float64")
    exact = number.notnull() & (number.abs() < LARGEST_WHOLE)
    gone = source.missing(name) | number.isnan().fill_null(False)
    return ibis.cases((exact, number)), ibis.cases((exact | gone, ibis.null("string")), else_=text)
