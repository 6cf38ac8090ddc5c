"""Names of groups and classes, and whether a column holds the classes that it should."""

from __future__ import annotations

from fairness.dataset import Source, in_row
from fairness.multiclass import MAX_CLASSES
from fairness.naming import UNKNOWN, canonical, same_class
from fairness.problems import DataProblem
from fairness.roles import Roles


def positive_class(source: Source, column: str, levels: set[str], positive: object) -> str:
    """The text of the positive class in this column; raises DataProblem unless the column is binary."""
    _check_complete(source, column, levels)
    _check_binary(column, levels)
    return check_classes(source, column, levels, positive)


def _check_binary(column: str, levels: set[str]) -> None:
    if len(levels) > 2:
        raise DataProblem(
            "not_binary",
            f"Column {column!r} has {len(levels):,} different values ({_shown(levels)} …), where two are wanted. "
            "Choose another column, or turn it into two classes.",
            column=column,
        )


def _check_complete(source: Source, column: str, levels: set[str]) -> None:
    if UNKNOWN in levels:
        row, _ = source.first(source.missing(column), column)
        raise DataProblem(
            "value_missing",
            f"Column {column!r} is empty {in_row(row)}. Fill it in, or leave such rows out, before registering.",
            column=column,
            row=row,
        )


def check_classes(source: Source, column: str, levels: set[str], positive: object) -> str:
    """The text of the positive class; raises DataProblem unless it is one of 2 to MAX_CLASSES classes."""
    _check_complete(source, column, levels)
    if len(levels) < 2:
        raise DataProblem(
            "one_class",
            f"Column {column!r} holds only {_shown(levels)} in every row, so there is nothing to compare. Register "
            "data in which both outcomes occur.",
            column=column,
        )
    if len(levels) > MAX_CLASSES:
        raise DataProblem(
            "too_many_classes",
            f"Column {column!r} has {len(levels):,} different values ({_shown(levels)} …); at most {MAX_CLASSES} "
            "classes can be told apart. Choose another column, or join classes.",
            column=column,
        )
    wanted = next((level for level in levels if same_class(level) == same_class(canonical(positive))), None)
    if wanted is None:
        raise DataProblem(
            "positive_class_missing",
            f"Column {column!r} holds {_shown(levels)}, never the positive class {canonical(positive)}. Correct the "
            "positive class.",
            column=column,
        )
    return wanted


def same_classes(source: Source, roles: Roles, labels: set[str], chosen: set[str]) -> dict[str, str]:
    """The label's class for each value of the decisions; raises DataProblem for one that is no class of the label."""
    column = roles.prediction or roles.label
    _check_complete(source, column, chosen)
    if len(labels) == 2:
        _check_binary(column, chosen)
    by_class = {same_class(label): label for label in labels}
    for value in sorted(chosen):
        if same_class(value) not in by_class:
            row, raw = source.named(column, value)
            raise DataProblem(
                "class_unknown",
                f"Column {column!r} holds {str(raw)[:60]!r} {in_row(row)}, which is no class of {roles.label!r} "
                f"({_shown(labels)}). Write both alike.",
                column=column,
                row=row,
            )
    return {value: by_class[same_class(value)] for value in chosen}


def _shown(levels: set[str]) -> str:
    return ", ".join(sorted(levels)[:6])
