"""What somebody who submits predictions declares of them: nothing is guessed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

Task = Literal["binary", "regression", "multiclass"]
TASKS = {
    "binary": "yes or no",
    "regression": "numbers, of which those from a threshold on count as yes",
    "multiclass": "one of several classes, of which the positive one counts as yes",
}
Scale = Literal["probability", "score"]
SCALES = {"probability": "probabilities, between 0 and 1", "score": "scores, on any scale"}
# Kinds of outcome, as datasets name them, that such predictions can be compared with.
OUTCOMES_OF: dict[str, tuple[str, ...]] = {
    "binary": ("label",),
    "regression": ("label_number", "label"),
    "multiclass": ("label_classes", "label"),
}


def task_of(parts: Collection[str]) -> Task | None:
    """What a dataset's own outcome makes of predictions, by the parts of its columns; None where it has none."""
    tasks: tuple[Task, ...] = ("binary", "regression", "multiclass")
    return next((task for task in tasks if OUTCOMES_OF[task][0] in parts), None)
