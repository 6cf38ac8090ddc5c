"""Whether a model can be compared with an outcome of several classes or with a number, from what is known of it.

Nothing is guessed: a number is what the decision rule reads, a class what the model's one output of classes says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairness.declared import Task
from fairness.problems import DataProblem
from fairness.roles import Roles
from registry.onnx.decision import DecisionRule
from registry.onnx.facts import Tensor

# Types of outputs that may name a class.
NAMING = ("tensor(int64)", "tensor(int32)", "tensor(string)")


def threshold_of(rule: Mapping[str, Any]) -> float:
    """From which number on an outcome counts as yes, as a version's decision rule has it.

    Raises DataProblem `threshold_missing`.
    """
    made = rule.get("rule") or rule  # that of a version without bytes stands inside, where one is declared
    if made.get("kind") != "threshold":
        raise DataProblem(
            "threshold_missing",
            "The outcome of this dataset is a number, and the version's decision rule has no threshold from which on "
            "a number counts as yes. Register a version whose rule reads a number from a threshold on, or submit "
            "predictions with one.",
        )
    return DecisionRule.from_mapping(made).at_least


def class_output(made: DecisionRule, outputs: Sequence[Tensor]) -> str:
    """The output that says which class a row is of: a label rule's own, else the only one of single words or whole
    numbers. Raises DataProblem `class_output_missing`.
    """
    if made.kind == "label":
        return made.output
    found = [each.name for each in outputs if each.name != made.output and each.type in NAMING and each.width == 1]
    if len(found) != 1:
        have = f"it has {len(found)}: {', '.join(found)}" if found else "it has none"
        raise DataProblem(
            "class_output_missing",
            "The outcome of this dataset has several classes, so the model needs just one output that says which "
            f"class a row is of, as one word or whole number; {have}. Export the model with its label, or choose a "
            "dataset whose outcome has two values.",
        )
    return found[0]


def check_alone(roles: Roles) -> None:
    """Raises DataProblem `not_for_classes` for what cells of several classes cannot take."""
    if roles.cluster or roles.exclusion:
        raise DataProblem(
            "not_for_classes",
            "A report on several classes can neither take rows together nor leave rows out. Register the dataset "
            "without a cluster and an exclusion reason.",
            column=roles.cluster or roles.exclusion,
        )


def check_model(task: Task, roles: Roles, rule: Mapping[str, Any], outputs: Sequence[Tensor]) -> None:
    """Raises DataProblem where the model's own decisions cannot be compared with an outcome of this kind."""
    if task == "regression":
        threshold_of(rule)
    elif task == "multiclass":
        check_alone(roles)
        class_output(DecisionRule.from_mapping(rule), outputs)
