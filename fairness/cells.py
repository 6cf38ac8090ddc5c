"""From rows to cells: one GROUP BY, written once as an Ibis expression.

Counts are whole numbers and weights are summed as whole multiples of a power of two chosen from the largest weight, so
the sums do not depend on the order in which threads finish.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairness.classes import check_classes, positive_class, same_classes
from fairness.clustered import Meanings, kept_batch, named_rows, with_clusters
from fairness.dataset import Source, in_row
from fairness.metrics import Cells, Ints
from fairness.multiclass import ClassCells
from fairness.naming import canonical
from fairness.problems import DataProblem
from fairness.roles import Roles

MAX_LEVELS = 100
MAX_CELLS = 50_000
# The largest weight becomes a whole number of so many bits; 38 decimal digits then hold the sum of 2^36 of them.
BITS = 90
Raw = dict[tuple[str, ...], list[int]]
Predict = Callable[[dict[str, NDArray[Any]]], NDArray[Any]]
Also = Callable[[dict[str, Any]], None]


def historical_cells(
    source: Source, roles: Roles, positive: object, depth: int = 2, *, label: Any = None, several: bool = False
) -> Cells:
    """Cells in which the label is itself the decision; of `several` classes all but the positive one are a no.

    A `label` given as an Ibis boolean counts in place of the column's.
    """
    if label is not None:
        return _cells(source, roles, "true", lambda table: label, depth=depth, decided=True, label=label)
    return _cells(source, roles, positive, lambda table: table[roles.label], depth=depth, several=several)


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


def outcome_cells(source: Source, roles: Roles, column: str, at_least: float, depth: int = 2) -> Cells:
    """Cells of a numeric outcome and its prediction, either of which is positive from `at_least` on."""
    source.numeric([roles.label, column])
    label = from_on(source, roles.label, at_least)
    return _cells(
        source, roles, "true", lambda table: source.number(column) >= at_least, decided=True, label=label, depth=depth
    )  # fmt: skip


def from_on(source: Source, column: str, at_least: float) -> Any:
    """Whether a column of numbers is positive, as an Ibis boolean. Raises DataProblem where all rows or none are."""
    label = source.number(column)
    low, high = source.value(label.min()), source.value(label.max())
    if high < at_least or low >= at_least:
        raise DataProblem(
            "one_class",
            f"Column {column!r} goes from {low:g} to {high:g}, so no row lies on the other side of {at_least:g}. "
            "Choose a threshold within that range.",
            column=column,
        )
    return label >= at_least


def class_cells(source: Source, roles: Roles, positive: object) -> ClassCells:
    """Counts of an outcome with several classes by what was predicted."""
    assert roles.prediction is not None
    scale = _check(source, roles, [roles.prediction])
    raw: Raw = {}
    _add(raw, _grouped(source.con, source.table, source.table, roles, source.table[roles.prediction], scale))
    _check_levels(source, raw, roles)
    labels = {key[-2] for key in raw}
    check_classes(source, roles.label, labels, positive)
    return _of_classes(raw, roles, labels, same_classes(source, roles, labels, {key[-1] for key in raw}), scale)


def _of_classes(raw: Raw, roles: Roles, labels: set[str], named: Mapping[str, str], scale: int) -> ClassCells:
    """`named` has the label's class of each prediction."""
    classes = tuple(sorted(labels))
    groups = tuple(sorted({key[:-2] for key in raw}))
    n: Ints = np.zeros((len(groups), len(classes), len(classes)), dtype=np.int64)
    w, w2 = np.zeros(n.shape), np.zeros(n.shape)
    place = {group: i for i, group in enumerate(groups)}
    for key in sorted(raw):
        at = (place[key[:-2]], classes.index(key[-2]), classes.index(named[key[-1]]))
        _fill((n, w, w2), at, raw[key], scale if roles.weight else None)
    return ClassCells(roles.sensitive, groups, classes, n, w, w2)


@dataclass
class Predicted:
    """The label's class that a model predicted for each row of the batch that was scored last; `cells` afterwards."""

    last: Any = None
    cells: ClassCells | None = None


def scored_cells(
    source: Source,
    roles: Roles,
    positive: object,
    predict: Predict,
    numbers: Sequence[str],
    words: Sequence[str],
    step: Callable[[int], None] = lambda done: None,
    size: int = 65_536,
    also: Also = lambda columns: None,
    depth: int = 2,
    label: Any = None,
    predicted: Predicted | None = None,
) -> Cells:
    """Cells from decisions made here, batch by batch, in bounded memory.

    `predict` takes arrays by column name (`numbers` as float64, `words` as text; the same rows in each) and returns one
    boolean a row; without any columns it gets {"": row numbers}. `step` is told the rows done and may raise to stop;
    `also` is given each batch's attributes, label and weight as Arrow arrays by column. A `label` given as an Ibis
    boolean counts in place of the column's; with `predicted`, the label has several classes, which are counted too.
    """
    import ibis
    import pyarrow as pa

    scale = _check(source, roles, [*numbers, *words])
    source.numeric(numbers)
    source.complete(words)
    more = [name for name in (roles.weight, roles.cluster, *roles.membership) if name]
    kept = list(dict.fromkeys([*roles.sensitive, roles.label, *more]))
    wanted = {f"c{i}": source.table[name] for i, name in enumerate(kept)}
    wanted |= {f"n{i}": source.number(name) for i, name in enumerate(numbers)}
    wanted |= {f"w{i}": source.table[name].cast("string") for i, name in enumerate(words)}
    if label is not None:
        wanted["y__"], positive = label, "true"
    raw: Raw = {}
    classes: Raw = {}
    done, several = 0, predicted is not None
    # While the file is being read its own connection is busy.
    with ExitStack() as ending:
        spill = ending.enter_context(tempfile.TemporaryDirectory(prefix="countersign-duckdb-"))
        counting = ibis.duckdb.connect(threads=1, memory_limit="1GB", temp_directory=spill)
        ending.callback(counting.disconnect)
        for batch in source.batches(wanted, size):
            given = {name: batch.column(f"n{i}").to_numpy(zero_copy_only=False) for i, name in enumerate(numbers)}
            given |= {name: np.array(batch.column(f"w{i}").to_pylist(), dtype=object) for i, name in enumerate(words)}
            chosen = np.asarray(predict(given or {"": np.arange(done, done + batch.num_rows)}), dtype=bool)
            also({name: batch.column(f"c{i}") for i, name in enumerate(kept)})
            part = {f"c{i}": batch.column(f"c{i}") for i in range(len(kept))} | {"p__": pa.array(chosen)}
            if label is not None:
                part["y__"] = batch.column("y__")
            if predicted is not None:
                part["k__"] = pa.array(predicted.last)
            counting.con.register("batch", pa.table(part))
            memory = counting.table("batch")
            columns = {name: memory[f"c{i}"] for i, name in enumerate(kept)}
            outcome = None if label is None else memory["y__"]
            _add(raw, _grouped(counting, memory, columns, roles, memory["p__"], scale, outcome))
            if predicted is not None:
                _add(classes, _grouped(counting, memory, columns, roles, memory["k__"], scale))
            if roles.cluster:
                rows = named_rows(memory, columns, roles, memory["p__"], scale, outcome)
                kept_batch(counting, rows, first=not done)
            counting.con.unregister("batch")
            done += batch.num_rows
            step(done)
        cells = _arranged(source, raw, roles, positive, scale, decided=True, several=several)
        if predicted is not None:
            labels = {key[-2] for key in classes}
            predicted.cells = _of_classes(classes, roles, labels, {name: name for name in labels}, scale)
        if roles.cluster:
            meanings = _meanings(source, raw, roles, positive, decided=True)
            cells = with_clusters(counting, counting.table("kept"), cells, roles, meanings, scale, depth)
    return cells


def _cells(
    source: Source,
    roles: Roles,
    positive: object,
    decision: Callable[[Any], Any],
    *,
    depth: int,
    decided: bool = False,
    label: Any = None,
    several: bool = False,
) -> Cells:
    scale = _check(source, roles, [c for c in (roles.prediction,) if c])
    raw: Raw = {}
    _add(raw, _grouped(source.con, source.table, source.table, roles, decision(source.table), scale, label))
    cells = _arranged(source, raw, roles, positive, scale, decided, several)
    if not roles.cluster:
        return cells
    rows = named_rows(source.table, source.table, roles, decision(source.table), scale, label)
    meanings = _meanings(source, raw, roles, positive, decided, several)
    return with_clusters(source.con, rows, cells, roles, meanings, scale, depth)


def _check(source: Source, roles: Roles, more: Sequence[str]) -> int:
    """Check columns and weights; returns the power of two by which weights are scaled."""
    source.need([roles.label, *roles.sensitive, *more, *(name for name in (roles.weight, roles.cluster) if name)])
    if not roles.sensitive and not roles.membership:
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
    low, high = source.value(weight.min()), source.value(weight.max())
    if low <= 0:
        row, value = source.first(weight <= 0, roles.weight)
        raise DataProblem(
            "weight_not_positive",
            f"The weight in column {roles.weight!r} is {value} {in_row(row)}. Weights are over 0; leave rows out that "
            "should not count.",
            column=roles.weight,
            row=row,
        )
    return BITS - math.ceil(math.log2(high))


def _grouped(
    con: Any, table: Any, columns: Any, roles: Roles, decision: Any, scale: int, label: Any = None
) -> list[dict[str, Any]]:
    """The expression: one row for each combination of attributes, label (the column's, or as given) and decision."""
    named = {f"s{i}": columns[name] for i, name in enumerate(roles.sensitive)}
    named |= {"y__": columns[roles.label] if label is None else label, "p__": decision}
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


def _check_levels(source: Source, raw: Raw, roles: Roles) -> None:
    for i, name in enumerate(roles.sensitive):
        levels = len({key[i] for key in raw})
        if levels > MAX_LEVELS or len(raw) > MAX_CELLS:
            levels = max(levels, int(source.value(source.table[name].nunique())))
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


def _arranged(
    source: Source, raw: Raw, roles: Roles, positive: object, scale: int, decided: bool, several: bool = False
) -> Cells:
    _check_levels(source, raw, roles)
    yes, named = _meanings(source, raw, roles, positive, decided, several)
    groups = tuple(sorted({key[:-2] for key in raw}))
    place = {group: i for i, group in enumerate(groups)}
    n: Ints = np.zeros((len(groups), 2, 2), dtype=np.int64)
    w, w2 = np.zeros(n.shape), np.zeros(n.shape)
    for key in sorted(raw):
        at = (place[key[:-2]], int(key[-2] == yes), int(named.get(key[-1]) == yes))
        _fill((n, w, w2), at, raw[key], scale if roles.weight else None)
    return Cells(roles.sensitive, groups, n, w, w2)


def _meanings(
    source: Source, raw: Raw, roles: Roles, positive: object, decided: bool, several: bool = False
) -> Meanings:
    """The positive class as the label has it, and the label's class of each decision. Raises DataProblem."""
    labels = {key[-2] for key in raw}
    yes = (check_classes if several else positive_class)(source, roles.label, labels, positive)
    return yes, {"true": yes} if decided else same_classes(source, roles, labels, {key[-1] for key in raw})


def _fill(parts: tuple[NDArray[Any], ...], at: tuple[int, ...], sums: list[int], scale: int | None) -> None:
    n, w, w2 = parts
    n[at] += sums[0]
    w[at] += math.ldexp(sums[1], -scale) if scale is not None else sums[0]
    w2[at] += math.ldexp(sums[2], BITS - 2 * scale) if scale is not None else sums[0]
