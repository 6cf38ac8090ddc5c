"""Decisions that a dataset records, and those that a model makes here: it scores every row, the decision rule says yes
or no.

An outcome that is a number counts as yes from the decision rule's threshold on, and the number that the rule reads is
the prediction of it. Of an outcome with several classes the positive one counts as yes, and the model's output of
classes says which one it predicts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairness import cells as reduce
from fairness import membering
from fairness.classes import check_classes
from fairness.collecting import Collector, check_size
from fairness.dataset import Source, in_row
from fairness.declared import Task
from fairness.fitting import check_alone, class_output, threshold_of
from fairness.membership import Sums
from fairness.metrics import Cells, Floats
from fairness.naming import canonical, same_class
from fairness.problems import DataProblem
from fairness.regression import LARGEST
from fairness.roles import Roles
from fairness.submitting import Beside
from registry.onnx.decision import DecisionRule, Output
from registry.onnx.facts import Limits
from registry.onnx.feeding import wanted_columns
from registry.onnx.sandbox import Scorer


def recorded_cells(
    data: Source, roles: Roles, positive: object, task: Task, at_least: float | None, beside: Beside, depth: int
) -> Cells:
    """Cells in which the outcome is itself the decision. Raises DataProblem."""
    label = None
    if task == "regression":
        if at_least is None:
            raise ValueError("a recorded number needs a threshold")
        data.numeric([roles.label])
        label, positive = reduce.from_on(data, roles.label, at_least), "true"
    if roles.membership:
        beside.memberships = membering.read(data, roles, positive, label)
    return reduce.historical_cells(data, roles, positive, depth, label=label, several=task == "multiclass")


def modelled_cells(
    data: Source, roles: Roles, positive: object, task: Task, model: Path, decision: Mapping[str, Any],
    beside: Beside, depth: int, limits: Limits | None, step: Callable[[int], None],
) -> Cells:  # fmt: skip
    """Cells of the model's own decisions; scores, errors and classes go `beside`. Raises DataProblem, ModelProblem."""
    beside.memberships = Sums(roles.membership) if roles.membership else None
    made, label = DecisionRule.from_mapping(decision), None
    if task == "regression":
        data.numeric([roles.label])
        label = reduce.from_on(data, roles.label, threshold_of(decision))
        check_size(data, (roles.label,))
    elif task == "multiclass":
        check_alone(roles)
    with Scorer(model, limits, len(roles.features) or None) as scorer:
        columns = wanted_columns(scorer.facts.inputs, data.columns, roles.features)
        text = {t.name for t in scorer.facts.inputs if t.type == "tensor(string)"}
        words = tuple(c for c in columns if c in text)
        collector = Collector(data, roles, positive, numeric=task == "regression")
        naming = None
        if task == "multiclass":
            naming = Naming(data, roles.label, positive, class_output(made, scorer.facts.outputs))
            beside.output = naming.output
        names = list(dict.fromkeys([made.output, *([naming.output] if naming else [])]))
        scores: Floats = np.zeros(0)

        def predict(batch: dict[str, NDArray[Any]]) -> NDArray[np.bool_]:
            nonlocal scores
            found = {each.name: each for each in scorer.outputs(batch, names, roles.features)}
            scores = made.scores(found[made.output])
            if naming:
                naming.read(found[naming.output])
            return made.yes(scores)

        def also(columns: dict[str, Any]) -> None:
            if task == "regression":
                check_predictions(made.output, scores)
            collector.add(columns, scores)
            if beside.memberships:
                membering.add(beside.memberships, columns, made.yes(scores))

        numbers = tuple(c for c in columns if c not in text)
        counted = reduce.scored_cells(
            data, roles, positive, predict, numbers, words, step, also=also, depth=depth, label=label,
            predicted=naming,
        )  # fmt: skip
    if made.kind == "threshold":
        beside.collector = collector
    beside.classes = naming.cells if naming else None
    return counted


class Naming(reduce.Predicted):
    """Reads which class the model says that each row is of, as the dataset names it.

    Raises DataProblem for an outcome that has not several classes with the positive one among them.
    """

    def __init__(self, source: Source, label: str, positive: object, output: str) -> None:
        super().__init__()
        self.label, self.output, self._rows = label, output, 0
        values = source.asked(source.table.select(value=source.table[label]).distinct().limit(reduce.MAX_CELLS))
        levels = {canonical(each["value"]) for each in values}
        check_classes(source, label, levels, positive)
        self._classes = {same_class(level): level for level in levels}

    def read(self, output: Output) -> None:
        """One batch. Raises DataProblem for a class that is none of the dataset's."""
        flat = output.values.reshape(len(output.values), -1)
        if flat.shape[1] != 1:
            raise DataProblem("class_output_missing", f"Output {output.name!r} is no single class a row.")
        values = flat[:, 0].tolist()
        known = {value: self._classes.get(same_class(canonical(value))) for value in dict.fromkeys(values)}
        if strange := [value for value, name in known.items() if name is None]:
            row = self._rows + values.index(strange[0]) + 1
            have = ", ".join(sorted(self._classes.values())[:6])
            raise DataProblem(
                "class_unknown",
                f"The model's output {output.name!r} says {canonical(strange[0])[:60]!r} {in_row(row)}, which is no "
                f"class of {self.label!r} ({have}). Choose a dataset whose outcome has the model's classes, or one "
                "whose outcome has two values.",
                column=self.label,
                row=row,
            )
        self.last = [known[value] for value in values]
        self._rows += len(values)


def check_predictions(output: str, predictions: Floats) -> None:
    """Raises DataProblem for a prediction whose square is no number."""
    if len(predictions) and np.abs(predictions).max() > LARGEST:
        raise DataProblem(
            "too_large_number",
            f"The model's output {output!r} holds numbers too large to work with. Train it in another unit.",
        )
