"""Which part each column of a table plays, and whether a table can play it. Plain values in, plain values out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ROLES: dict[str, str] = {
    "label": "Outcome: what the decision is about, with two values",
    "label_classes": "Outcome of several classes: what the decision is about, with up to twenty values",
    "label_number": "Outcome that is a number: what the decision is about, such as an amount",
    "score": "Score that an earlier model gave",
    "probability": "Score that is a probability, from 0 to 1",
    "prediction": "Decision that was taken or predicted",
    "sensitive": "Sensitive attribute: groups are compared by it",
    "membership": "Probability of belonging to a group of an attribute that is not known",
    "feature": "Feature: goes into the model",
    "weight": "Weight of the row",
    "cluster": "Whom the row is about: rows with the same value belong together",
    "exclusion": "Why the row is left out; empty where it counts",
    "excluded": "Left out on purpose",
    "other": "Other",
}
# A dataset has one outcome, of one of these kinds, or none.
OUTCOMES = ("label", "label_classes", "label_number")
# Of these the positive class is a value.
CLASSED = ("label", "label_classes")
ONCE = (*OUTCOMES, "score", "probability", "prediction", "weight", "cluster", "exclusion")
GROUPED = (*CLASSED, "prediction", "sensitive")
# Groups of one attribute that a report compares, and classes of an outcome that it tells apart.
MOST_LEVELS = 100
MOST_CLASSES = 20
NUMERIC = {
    "score": "score", "probability": "probability", "weight": "weight", "label_number": "outcome",
    "membership": "probability of a group",
}  # fmt: skip
WHOLE = re.compile(r"^([+-]?\d+)\.0*$")


@dataclass(frozen=True)
class Fault:
    """What is wrong with roles: a stable code, a sentence, and the column or field at fault."""

    code: str
    sentence: str
    field: str


def same_class(text: str) -> str:
    """A class as it is compared: 1, 1.0 and true are one and the same."""
    plain = WHOLE.sub(r"\1", text.strip())
    return {"true": "1", "false": "0"}.get(plain.lower(), plain)


def assigned(columns: Sequence[str], roles: Mapping[str, str]) -> dict[str, str]:
    """A role for each column, in the file's order; what was not named is `other`."""
    return {column: roles.get(column) or "other" for column in columns}


def names_at_fault(columns: Sequence[str], roles: Mapping[str, str]) -> Fault | None:
    """The first fault that shows before the table's values are looked at."""
    for column, role in roles.items():
        if column not in columns:
            have = ", ".join(columns[:20]) + (" …" if len(columns) > 20 else "")
            sentence = f"The file has no column {column!r}. It has: {have}. Correct the role's column, or the file."
            return Fault("column_missing", sentence, f"roles.{column}")
        if role not in ROLES:
            sentence = f"There is no role {role!r} for {column!r}. Choose one of: {', '.join(ROLES)}."
            return Fault("role_unknown", sentence, f"roles.{column}")
    for role in ONCE:
        having = [column for column, given in roles.items() if given == role]
        if len(having) > 1:
            sentence = f"Only one column can be the {role}; {' and '.join(having)} were named. Keep one of them."
            return Fault("role_twice", sentence, f"roles.{having[1]}")
    scores = [column for column, given in roles.items() if given in ("score", "probability")]
    if len(scores) > 1:
        sentence = f"A score and a probability are one part; {' and '.join(scores)} were named. Keep one of them."
        return Fault("role_twice", sentence, f"roles.{scores[1]}")
    outcomes = [column for column, given in roles.items() if given in OUTCOMES]
    if len(outcomes) > 1:
        sentence = f"A dataset has one outcome at most; {' and '.join(outcomes)} were named. Keep one of them."
        return Fault("role_twice", sentence, f"roles.{outcomes[1]}")
    return None


def has_classes(roles: Mapping[str, str]) -> bool:
    """Whether the outcome has classes, one of which counts as yes."""
    return any(role in CLASSED for role in roles.values())


def values_at_fault(columns: Sequence[Mapping[str, Any]], positive_class: str) -> Fault | None:
    """The first fault of described columns, each with its `role`; see `registry.tables.reader.profile`."""
    if positive_class and not any(column["role"] in CLASSED for column in columns):
        sentence = (
            f"No column is an outcome of classes, so no value counts as yes. Leave the positive class "
            f"{positive_class!r} out, or say which column it is a value of."
        )
        return Fault("positive_class_unused", sentence, "positive_class")
    for column in columns:
        name, role = column["name"], column["role"]
        at = f"roles.{name}"
        numeric = column["type"] in ("integer", "number", "boolean") and not column["missing"]
        if role in NUMERIC and not numeric:
            sentence = (
                f"Column {name!r} is the {NUMERIC[role]}, so each row needs a number there. Fill the gaps, or change "
                "its role."
            )
            return Fault("not_numeric", sentence, at)
        if role in NUMERIC and (fault := bounds_at_fault(column)):
            return fault
        if role == "sensitive" and (fault := groups_at_fault(column)):
            return fault
        if role in CLASSED and (fault := label_at_fault(column, positive_class)):
            return fault
    return None


def bounds_at_fault(column: Mapping[str, Any]) -> Fault | None:
    """Of a column of numbers; the profile leaves out its ends where one of them is not finite."""
    name, role, at = column["name"], column["role"], f"roles.{column['name']}"
    if "lowest" not in column:
        sentence = (
            f"Column {name!r} holds infinity, where finite numbers are wanted. Correct such rows, or leave them out."
        )
        return Fault("not_finite", sentence, at)
    low, high = column["lowest"], column["highest"]
    if role == "weight" and low <= 0:
        sentence = (
            f"Column {name!r} is the weight, and its lowest value is {low:g}. Weights are over 0; leave rows out that "
            "should not count."
        )
        return Fault("weight_not_positive", sentence, at)
    if role in ("probability", "membership") and (low < 0 or high > 1):
        sentence = (
            f"Column {name!r} is a probability and goes from {low:g} to {high:g}, where 0 to 1 is wanted. Divide "
            "percentages by 100, or give the column another role."
        )
        return Fault("not_probability", sentence, at)
    if role == "label_number" and low == high:
        sentence = (
            f"The outcome {name!r} is {low:g} in every row, so there is nothing to compare. Register data in which it "
            "differs."
        )
        return Fault("one_class", sentence, at)
    return None


def groups_at_fault(column: Mapping[str, Any]) -> Fault | None:
    name, at = column["name"], f"roles.{column['name']}"
    if column["type"] in ("date", "time"):
        sentence = (
            f"The sensitive attribute {name!r} is of dates, so that nearly every row would be a group of its own. Turn "
            "them into bands, such as decades of birth."
        )
        return Fault("dates_as_groups", sentence, at)
    if column["distinct"] > MOST_LEVELS:
        sentence = (
            f"The sensitive attribute {name!r} has {column['distinct']:,} different values; at most {MOST_LEVELS} can "
            "be compared. Group them: ages into bands, postcodes into regions."
        )
        return Fault("too_many_categories", sentence, at)
    return None


def label_at_fault(column: Mapping[str, Any], positive_class: str) -> Fault | None:
    name, at = column["name"], f"roles.{column['name']}"
    if column["missing"]:
        sentence = f"The outcome {name!r} is empty in {column['missing']:,} rows. Fill it in, or leave such rows out."
        return Fault("value_missing", sentence, at)
    values = [str(group["value"]) for group in column["groups"]]
    shown = ", ".join(values[:6])
    if column["role"] == "label" and column["distinct"] > 2:
        sentence = (
            f"The outcome {name!r} has {column['distinct']:,} different values ({shown} …), where two are wanted. "
            "Choose another column or another kind of outcome, or turn it into two classes."
        )
        return Fault("not_binary", sentence, at)
    if column["distinct"] > MOST_CLASSES:
        sentence = (
            f"The outcome {name!r} has {column['distinct']:,} different values ({shown} …); at most {MOST_CLASSES} "
            "classes can be told apart. Choose another column or another kind of outcome, or join classes."
        )
        return Fault("too_many_classes", sentence, at)
    if column["distinct"] < 2:
        sentence = (
            f"The outcome {name!r} holds only {shown} in every row, so there is nothing to compare. Register "
            "data in which several outcomes occur."
        )
        return Fault("one_class", sentence, at)
    if same_class(positive_class) not in {same_class(value) for value in values}:
        sentence = (
            f"The outcome {name!r} holds {shown}, never the positive class {positive_class!r}. Correct the class."
        )
        return Fault("positive_class_missing", sentence, "positive_class")
    return None
