"""What is asked of a dataset's outcome, of the model and of submitted predictions before a job is made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fairness.declared import SCALES, TASKS, task_of
from fairness.fitting import check_model, threshold_of
from fairness.problems import DataProblem
from fairness.roles import Roles
from ledger.refusals import Refusal
from registry.models import Dataset, Version
from registry.onnx.facts import ModelFacts

MAX_PREDICTIONS = 500_000
TOO_MANY = f"At most {MAX_PREDICTIONS:,} predictions are taken here. Register more as a column of a dataset."
OUTCOME_WORDS = {"label": "two values", "label_classes": "several classes", "label_number": "numbers"}
# Beyond it JSON does not say which whole number is meant.
MAX_WHOLE = 2**53


def check_task(task: str, scale: str | None, at_least: float | None) -> None:
    if task not in TASKS:
        raise Refusal("task_unknown", f"The task is one of: {', '.join(TASKS)}.", "task")
    if scale is not None and scale not in SCALES:
        raise Refusal("scale_unknown", f"The scale is one of: {', '.join(SCALES)}.", "scale")
    if at_least is not None and not math.isfinite(at_least):
        raise Refusal("threshold_invalid", "The threshold is a finite number.", "at_least")
    if task == "regression" and at_least is None:
        sentence = "Say from which number on a prediction and an outcome count as positive."
        raise Refusal("threshold_missing", sentence, "at_least")
    if task == "multiclass" and at_least is not None:
        raise Refusal("threshold_unused", "Classes have no threshold. Leave it out, or send scores.", "at_least")


def with_outcome(roles: Roles, dataset: Dataset, outcome: str) -> Roles:
    """The same roles with another column as the label. Raises Refusal `column_missing` or `role_twice`."""
    if outcome not in {column["name"] for column in dataset.columns}:
        raise Refusal("column_missing", f"The dataset has no column “{outcome}”.", "outcome")
    if outcome in (*roles.sensitive, roles.weight):
        raise Refusal("role_twice", f"“{outcome}” is a sensitive attribute or the weight. Choose another.", "outcome")
    return replace(roles, label=outcome)


def usable_column(roles: Roles, task: str, at_least: float | None) -> bool:
    """Whether the dataset itself holds what is to be judged."""
    if task == "regression":
        return bool(roles.score or roles.prediction)
    return bool(roles.prediction if at_least is None else roles.score)


def check_countable(dataset: Dataset, task: str, *, given: bool, scored: bool) -> None:
    """Raises Refusal `rows_elsewhere` for predictions `given` one a row, and for scores, of rows elsewhere."""
    if not dataset.rows_here and (given or scored or task == "regression"):
        sentence = (
            "The rows of this dataset stay in a database, and have no order there: only decisions that stand in a "
            "column of theirs (role prediction) can be counted. Scores and values one a row would have to come here."
        )
        raise Refusal("rows_elsewhere", sentence, "predictions" if given else "at_least")


def is_class(value: Any) -> bool:
    if isinstance(value, str):
        return 0 < len(value.strip()) <= 200
    return isinstance(value, int | float) and abs(value) <= MAX_WHOLE


def check_outcome(parts: Mapping[str, str], fitting: Sequence[str], field: str) -> None:
    """Raises Refusal `label_missing` where there is no outcome, `outcome_differs` where it is of another kind."""
    found = next(((name, part) for name, part in parts.items() if part in OUTCOME_WORDS), None)
    instead = "Submit predictions for it, or choose another dataset."
    if field == "outcome":
        instead = "Name another column as the outcome, or say that the predictions are something else."
    if found is None:
        sentence = f"This dataset has no outcome to compare decisions with. {instead}"
        raise Refusal("label_missing", sentence, field)
    if found[1] not in fitting:
        wanted = " or ".join(OUTCOME_WORDS[kind] for kind in fitting)
        sentence = (
            f"The outcome “{found[0]}” of this dataset holds {OUTCOME_WORDS[found[1]]}, where {wanted} are wanted. "
            f"{instead}"
        )
        raise Refusal("outcome_differs", sentence, field)


def source_inputs(version: Version, dataset: Dataset, source: str, roles: Roles) -> dict[str, Any]:
    """What a job is given of whose decisions they are, and of an outcome that has not just two values.

    Of two values nothing more is told, so that their jobs' digests stay the same. Raises Refusal `threshold_missing`,
    `class_output_missing` or `not_for_classes`.
    """
    task = task_of([column["role"] for column in dataset.columns])
    inputs: dict[str, Any] = {"source": source}
    if task is None or task == "binary":
        return inputs
    inputs["task"] = task
    try:
        if source == "model":
            check_model(task, roles, version.decision_rule, ModelFacts.from_dict(version.signature).outputs)
        if task == "regression":
            at_least = threshold_of(version.decision_rule)
            inputs["positive"] = f"at least {at_least:.15g}"
            inputs |= {"at_least": at_least} if source == "historical" else {}
    except DataProblem as problem:
        field = "dataset" if problem.code == "not_for_classes" else "source"
        raise Refusal(problem.code, problem.sentence, field) from problem
    return inputs
