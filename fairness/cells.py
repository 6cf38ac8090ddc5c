"""From rows to cells: one GROUP BY, written once as an Ibis expression.

Counts are whole numbers and weights are summed as whole multiples of a power of two chosen from the largest weight, so
the sums do not depend on the order in which threads finish.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairness.clusters import CountedCells, moments
from fairness.dataset import Source
from fairness.metrics import UNKNOWN, Cells, Ints
from fairness.problems import DataProblem
from fairness.roles import Roles

MAX_LEVELS = 100
MAX_CELLS = 50_000
# The largest weight becomes a whole number of so many bits; 38 decimal digits then hold the sum of 2^36 of them.
BITS = 90
WHOLE = re.compile(r"^([+-]?\d+)\.0+$")
Raw = dict[tuple[str, ...], list[int]]
Predict = Callable[[dict[str, NDArray[Any]]], NDArray[Any]]


def canonical(value: object) -> str:
    """A value as the text by which groups and classes are named: 1, 1.0 and "1.0" are all "1"; missing is unknown."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return UNKNOWN
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value).strip()
    if isinstance(value, float | Decimal):
        text = format(Decimal(text), "f")
    whole = WHOLE.match(text)
    text = whole.group(1) if whole else text
    return text or UNKNOWN


def historical_cells(source: Source, roles: Roles, positive: object, depth: int = 2) -> Cells:
    """Cells in which the label is itself the decision."""
    return _cells(source, roles, positive, lambda table: table[roles.label], depth=depth)


def column_cells(
    source: Source, roles: Roles, positive: object, at_least: float | None = None, depth: int = 2
) -> Cells:
    """Cells from a column of decisions, or from a column of scores and the threshold from which they are positive."""
    if at_least is None:
        assert roles.prediction is not None
        name = roles.prediction
        return _cells(source, roles, positive, lambda table: table[name], depth=depth)
    assert roles.score is not None
    score = roles.score
    source.numeric([score])
    kind = source.table[score].type()
    return _cells(
        source,
        roles,
        positive,
        lambda table: (table[score].cast("float64") if kind.is_string() else table[score]) >= at_least,
        decided=True,
        depth=depth,
    )


def scored_cells(
    source: Source,
    roles: Roles,
    positive: object,
    predict: Predict,
    numbers: Sequence[str],
    words: Sequence[str],
    step: Callable[[int], None] = lambda done: None,
    size: int = 65_536,
    depth: int = 2,
) -> Cells:
    """Cells from decisions made here, batch by batch, in bounded memory.

    `predict` takes arrays by column name (`numbers` as float64, `words` as text; the same rows in each) and returns one
    boolean a row; without any columns it gets {"": row numbers}. `step` is told the rows done and may raise to stop.
    """
    import ibis
    import pyarrow as pa

    scale = _check(source, roles, [*numbers, *words])
    source.numeric(numbers)
    source.complete(words)
    more = [name for name in (roles.weight, roles.cluster) if name]
    kept = list(dict.fromkeys([*roles.sensitive, roles.label, *more]))
    wanted = {f"c{i}": source.table[name] for i, name in enumerate(kept)}
    wanted |= {f"n{i}": source.number(name) for i, name in enumerate(numbers)}
    wanted |= {f"w{i}": source.table[name].cast("string") for i, name in enumerate(words)}
    raw: Raw = {}
    done = 0
    # While the file is being read its own connection is busy.
    spill = tempfile.TemporaryDirectory(prefix="countersign-duckdb-")
    counting = ibis.duckdb.connect(threads=1, memory_limit="1GB", temp_directory=spill.name)
    for batch in source.batches(wanted, size):
        given = {name: batch.column(f"n{i}").to_numpy(zero_copy_only=False) for i, name in enumerate(numbers)}
        given |= {name: np.array(batch.column(f"w{i}").to_pylist(), dtype=object) for i, name in enumerate(words)}
        chosen = np.asarray(predict(given or {"": np.arange(done, done + batch.num_rows)}), dtype=bool)
        part = pa.table({f"c{i}": batch.column(f"c{i}") for i in range(len(kept))} | {"p__": pa.array(chosen)})
        counting.con.register("batch", part)
        memory = counting.table("batch")
        columns = {name: memory[f"c{i}"] for i, name in enumerate(kept)}
        _add(raw, _grouped(counting, memory, columns, roles, memory["p__"], scale))
        if roles.cluster:
            _keep(counting, _named(memory, columns, roles, memory["p__"], scale), first=not done)
        counting.con.unregister("batch")
        done += batch.num_rows
        step(done)
    cells = _arranged(source, raw, roles, positive, scale, decided=True)
    if roles.cluster:
        cells = _with_clusters(counting, counting.table("kept"), cells, roles, raw, positive, scale, True, depth)
    counting.disconnect()
    spill.cleanup()
    return cells


def given_predictions(predictions: NDArray[Any]) -> Predict:
    """Feeds decisions made elsewhere, one a row in the file's order, to `scored_cells`."""
    return lambda batch: np.asarray(predictions[batch[""]])


def _cells(
    source: Source, roles: Roles, positive: object, decision: Callable[[Any], Any], *, depth: int, decided: bool = False
) -> Cells:
    scale = _check(source, roles, [c for c in (roles.prediction,) if c])
    raw: Raw = {}
    _add(raw, _grouped(source.con, source.table, source.table, roles, decision(source.table), scale))
    cells = _arranged(source, raw, roles, positive, scale, decided)
    if not roles.cluster:
        return cells
    rows = _named(source.table, source.table, roles, decision(source.table), scale)
    return _with_clusters(source.con, rows, cells, roles, raw, positive, scale, decided, depth)


def _named(table: Any, columns: Any, roles: Roles, decision: Any, scale: int) -> Any:
    """Rows with the cluster, attributes, label and decision as text, and the weight as whole multiples of 2^-scale."""
    assert roles.cluster is not None
    named = {f"s{i}": columns[name] for i, name in enumerate(roles.sensitive)}
    named |= {"cluster__": columns[roles.cluster], "y__": columns[roles.label], "p__": decision}
    named = {name: column.cast("string") for name, column in named.items()}
    weight = (columns[roles.weight].cast("float64") * 2.0**scale).cast("decimal(38, 0)") if roles.weight else 1
    return table.select(**named, w__=weight)


def _keep(con: Any, rows: Any, first: bool) -> None:
    """Add a batch to the table `kept`, one row for each cluster, group, label and decision in it."""
    keys = [name for name in rows.columns if name != "w__"]
    batch = rows.group_by(keys).aggregate(w__=rows["w__"].sum().cast("decimal(38, 0)"))
    if first:
        con.create_table("kept", batch)
    else:
        con.insert("kept", batch)


def _with_clusters(
    con: Any, rows: Any, cells: Cells, roles: Roles, raw: Raw, positive: object, scale: int, decided: bool,
    depth: int,
) -> CountedCells:  # fmt: skip
    """Cells and the moments of their clusters. Texts are named as `canonical` names the values behind them."""
    import ibis

    def seen(name: str, wanted: Callable[[str], Any]) -> Any:
        texts = [row[name] for row in con.to_pyarrow(rows.select(name).distinct()).to_pylist()]
        branches = [
            (rows[name].isnull() if text is None else rows[name] == text, wanted(_said(text))) for text in texts
        ]
        return ibis.cases(*branches, else_=None)

    yes = wanted_class(positive, {key[-2] for key in raw})
    chosen = "true" if decided else wanted_class(positive, {key[-1] for key in raw})
    columns = {f"s{i}": seen(f"s{i}", lambda text: text) for i in range(len(roles.sensitive))}
    columns |= {"y__": seen("y__", lambda text: text == yes), "p__": seen("p__", lambda text: text == chosen)}
    ready = rows.select(cluster__=rows["cluster__"], w__=rows["w__"], **columns)
    found = moments(con, ready, cells, min(depth, len(roles.sensitive)), scale)
    return CountedCells(cells.attributes, cells.groups, cells.n, cells.w, cells.w2, found)


def _said(text: str | None) -> str:
    """The canonical name of a value that DuckDB wrote as text; a number with an exponent is written out."""
    if text is not None and re.fullmatch(r"[+-]?\d+(\.\d+)?[eE][+-]?\d+", text.strip()):
        return canonical(float(text))
    return UNKNOWN if text is not None and text == "nan" else canonical(text)


def _check(source: Source, roles: Roles, more: Sequence[str]) -> int:
    """Check columns and weights; returns the power of two by which weights are scaled."""
    source.need([roles.label, *roles.sensitive, *more, *(name for name in (roles.weight, roles.cluster) if name)])
    if not roles.sensitive:
        raise DataProblem(
            "no_sensitive_attribute", "Name at least one sensitive attribute among the dataset's columns."
        )
    if len(roles.sensitive) > 8:
        raise DataProblem("too_many_attributes", "Name at most eight sensitive attributes for one report.")
    if roles.cluster:
        source.complete([roles.cluster])
    if not roles.weight:
        return 0
    source.numeric([roles.weight])
    weight = source.number(roles.weight)
    low, high = (x.to_pyarrow().as_py() for x in (weight.min(), weight.max()))
    if low <= 0:
        row, value = source.first(weight <= 0, roles.weight)
        raise DataProblem(
            "weight_not_positive",
            f"The weight in column {roles.weight!r}, row {row:,}, is {value}. Weights are over 0; leave rows out that "
            "should not count.",
            column=roles.weight,
            row=row,
        )
    return BITS - math.ceil(math.log2(high))


def _grouped(con: Any, table: Any, columns: Any, roles: Roles, decision: Any, scale: int) -> list[dict[str, Any]]:
    """The expression: one row for each combination of attributes, label and decision."""
    named = {f"s{i}": columns[name] for i, name in enumerate(roles.sensitive)}
    named |= {"y__": columns[roles.label], "p__": decision}
    keys = list(named)
    if roles.weight:
        named["weight__"] = columns[roles.weight].cast("float64")
    rows = table.select(**named)
    sums = {"n__": rows.count()}
    if roles.weight:
        weight = rows["weight__"]
        sums["w__"] = (weight * 2.0**scale).cast("decimal(38, 0)").sum()
        sums["w2__"] = (weight * weight * 2.0 ** (2 * scale - BITS)).cast("decimal(38, 0)").sum()
    expression = rows.group_by(keys).aggregate(**sums).limit(MAX_CELLS + 1)
    found: list[dict[str, Any]] = con.to_pyarrow(expression).to_pylist()
    return found


def _add(raw: Raw, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        n, w, w2 = int(row.pop("n__")), int(row.pop("w__", 0)), int(row.pop("w2__", 0))
        sums = raw.setdefault(tuple(canonical(value) for value in row.values()), [0, 0, 0])
        sums[0] += n
        sums[1] += w
        sums[2] += w2


def _arranged(source: Source, raw: Raw, roles: Roles, positive: object, scale: int, decided: bool) -> Cells:
    for i, name in enumerate(roles.sensitive):
        levels = len({key[i] for key in raw})
        if levels > MAX_LEVELS or len(raw) > MAX_CELLS:
            levels = max(levels, int(source.table[name].nunique().to_pyarrow().as_py()))
        if levels > MAX_LEVELS:
            raise DataProblem(
                "too_many_categories",
                f"The sensitive attribute {name!r} has {levels:,} different values; at most {MAX_LEVELS} can be "
                "compared. Group them (ages into bands, postcodes into regions) and register the dataset again.",
                column=name,
            )
    if len(raw) > MAX_CELLS:
        raise DataProblem(
            "too_many_combinations",
            f"The sensitive attributes have over {MAX_CELLS:,} combinations. Name fewer attributes or coarser values.",
        )
    yes = _positive(source, roles.label, {key[-2] for key in raw}, positive)
    if decided:
        chosen = "true"
    else:
        column = roles.prediction or roles.label
        chosen = _positive(source, column, {key[-1] for key in raw}, positive, both=column == roles.label)
    groups = tuple(sorted({key[:-2] for key in raw}))
    place = {group: i for i, group in enumerate(groups)}
    n: Ints = np.zeros((len(groups), 2, 2), dtype=np.int64)
    w, w2 = np.zeros(n.shape), np.zeros(n.shape)
    for key in sorted(raw):
        at = (place[key[:-2]], int(key[-2] == yes), int(key[-1] == chosen))
        n[at] += raw[key][0]
        w[at] += math.ldexp(raw[key][1], -scale) if roles.weight else raw[key][0]
        w2[at] += math.ldexp(raw[key][2], BITS - 2 * scale) if roles.weight else raw[key][0]
    return Cells(roles.sensitive, groups, n, w, w2)


def wanted_class(positive: object, levels: set[str]) -> str:
    """The positive class as a column with these levels would write it."""
    wanted = canonical(positive)
    if levels <= {"true", "false"}:
        wanted = {"1": "true", "0": "false"}.get(wanted.lower(), wanted.lower())
    return wanted


def _positive(source: Source, column: str, levels: set[str], positive: object, both: bool = True) -> str:
    """The text of the positive class in this column; raises DataProblem unless the column is binary."""
    if UNKNOWN in levels:
        row, _ = source.first(source.missing(column), column)
        raise DataProblem(
            "value_missing",
            f"Column {column!r} is empty in row {row:,}. Fill it in, or leave such rows out, before registering.",
            column=column,
            row=row,
        )
    shown = ", ".join(sorted(levels)[:6])
    if len(levels) > 2:
        raise DataProblem(
            "not_binary",
            f"Column {column!r} has {len(levels):,} different values ({shown} …), where two are wanted. Choose another "
            "column, or turn it into two classes.",
            column=column,
        )
    wanted = wanted_class(positive, levels)
    if both and len(levels) < 2:
        raise DataProblem(
            "one_class",
            f"Column {column!r} holds only {shown} in every row, so there is nothing to compare. Register data in "
            "which both outcomes occur.",
            column=column,
        )
    if both and wanted not in levels:
        raise DataProblem(
            "positive_class_missing",
            f"Column {column!r} holds {shown}, never the positive class {canonical(positive)}. Correct the "
            "positive class.",
            column=column,
        )
    return wanted
