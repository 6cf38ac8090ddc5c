"""Predictions that were made elsewhere: as a column of the dataset, or as one value a row in the dataset's order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairness import cells as reduce
from fairness.collecting import Collector, check_size, collected
from fairness.dataset import Source, in_row
from fairness.declared import Scale, Task
from fairness.fitting import check_alone
from fairness.membership import Sums
from fairness.metrics import Cells
from fairness.multiclass import ClassCells
from fairness.naming import canonical, same_class
from fairness.problems import DataProblem
from fairness.roles import Roles

NAME = "predictions"


@dataclass
class Beside:
    """What is counted beside the cells: scores or errors, cells of several classes, probabilities of membership.

    `output` is the model's that names the classes, where it was asked here.
    """

    collector: Collector | None = None
    classes: ClassCells | None = None
    output: str = ""
    scale: Scale | None = None
    memberships: Sums | None = None


def joined(source: Source, roles: Roles, predictions: NDArray[Any] | None, scored: bool) -> tuple[Source, Roles]:
    """The dataset with the predictions as a further column, as scores or as decisions; as it was without any."""
    if predictions is None:
        return source, roles
    if len(predictions) != source.rows:
        raise DataProblem(
            "predictions_differ",
            f"There are {len(predictions):,} predictions for {source.rows:,} rows. Submit one prediction a row, in "
            "the dataset's order.",
        )
    name = NAME
    while name in {column.lower() for column in source.columns}:
        name += "_submitted"
    import pyarrow as pa

    source.con.con.register("arriving", pa.table({name: pa.array(predictions.tolist())}))
    source.con.raw_sql("CREATE TEMP TABLE submitted AS SELECT * FROM arriving")
    source.con.con.unregister("arriving")
    source.con.raw_sql("CREATE TEMP VIEW joined AS SELECT * FROM dataset POSITIONAL JOIN submitted")
    with_them = replace(source, table=source.con.table("joined"))
    return with_them, replace(roles, prediction=None if scored else name, score=name if scored else None)


def submitted_cells(
    source: Source, roles: Roles, positive: object, task: Task, at_least: float | None, beside: Beside, depth: int
) -> Cells:
    """Cells of what was submitted; scores, errors and classes go `beside`. Raises DataProblem."""
    if task == "regression":
        return _numeric(source, roles, at_least, beside, depth)
    if task == "multiclass":
        check_alone(roles)
        beside.classes = reduce.class_cells(source, roles, positive)
        return beside.classes.against_rest(_class(beside.classes, positive))
    counted = reduce.column_cells(source, roles, positive, at_least, depth)
    if roles.score is not None:
        source.numeric([roles.score])
        if beside.scale == "probability":
            _check_probability(source, roles.score)
        beside.collector = collected(Collector(source, roles, positive), roles.score)
    return counted


def _class(found: ClassCells, positive: object) -> str:
    wanted = same_class(canonical(positive))
    return next(name for name in found.classes if same_class(name) == wanted)


def _numeric(source: Source, roles: Roles, at_least: float | None, beside: Beside, depth: int) -> Cells:
    column = roles.score or roles.prediction
    if column is None or at_least is None:
        raise ValueError("numbers need a column of predictions and a threshold")
    counted = reduce.outcome_cells(source, roles, column, at_least, depth)
    check_size(source, (roles.label, column))
    beside.collector = collected(Collector(source, roles, "true", numeric=True), column)
    return counted


def _check_probability(source: Source, column: str) -> None:
    number = source.number(column)
    bad = (number < 0) | (number > 1)
    if bad.any().to_pyarrow().as_py():
        row, value = source.first(bad, column)
        raise DataProblem(
            "not_probability",
            f"Column {column!r} holds {value} {in_row(row)}, where a probability between 0 and 1 is wanted. Correct "
            "it, or submit these numbers as scores.",
            column=column,
            row=row,
        )


def as_array(values: list[Any]) -> NDArray[Any]:
    """Submitted values as an array of one type: numbers, or text."""
    plain = [str(value).lower() if isinstance(value, bool) else value for value in values]
    if all(isinstance(value, int | float) for value in plain):
        return np.array(plain, dtype=np.float64)
    return np.array([canonical(value) for value in plain], dtype=object)
