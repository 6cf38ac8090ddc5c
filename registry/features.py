"""Whether declared features and a decision rule fit what a model file takes and gives. Plain values in and out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

MOST_FEATURES = 2000
NUMERIC = {
    "float",
    "double",
    "float16",
    "bool",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
}

Problem = tuple[str, str]


def listed(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + (" …" if len(names) > 12 else "")


def width_of(tensor: Mapping[str, Any]) -> int | None:
    """Columns of a table-shaped tensor; 1 for a vector, None where free."""
    shape = tensor["shape"]
    if len(shape) < 2:
        return 1
    width: int | None = shape[1]
    return width


def features_at_fault(inputs: Sequence[Mapping[str, Any]], features: Sequence[str]) -> Problem | None:
    """Code and sentence when features are not what the inputs take: a column each, or all in one table."""
    if not features or any(not name or len(name) > 200 for name in features) or len(features) > MOST_FEATURES:
        return (
            "features_invalid",
            f"Name between 1 and {MOST_FEATURES:,} features, each with up to 200 characters, in the model's order.",
        )
    doubled = [name for name, times in Counter(features).items() if times > 1]
    if doubled:
        return "features_invalid", f"These features are named twice: {listed(doubled)}. Name each once."
    names = [tensor["name"] for tensor in inputs]
    if len(inputs) > 1 or names == list(features):
        missing, extra = sorted(set(names) - set(features)), sorted(set(features) - set(names))
        if missing or extra:
            return (
                "inputs_differ",
                f"The model takes the inputs {listed(names)}. Missing among the features: "
                f"{listed(missing) or 'none'}; not "
                f"taken by the model: {listed(extra) or 'none'}. Correct the features, or export the model with "
                f"these names.",
            )
        return None
    width = width_of(inputs[0])
    if width is not None and width != len(features):
        return (
            "inputs_differ",
            f"The model's input {names[0]!r} takes {width} columns, but {len(features)} features are declared: "
            f"{listed(features)}. Name the features in the order in which the model was trained.",
        )
    return None


def rule_at_fault(outputs: Sequence[Mapping[str, Any]], rule: Mapping[str, Any]) -> Problem | None:
    """Code and sentence when a decision rule (already of the right form) does not fit the model's outputs."""
    found = next((tensor for tensor in outputs if tensor["name"] == rule["output"]), None)
    if found is None:
        have = listed([tensor["name"] for tensor in outputs])
        return "bad_decision_rule", f"The model has no output {rule['output']!r}; it has {have}. Choose one of them."
    kind, width = found["type"], width_of(found)
    table = kind.removeprefix("tensor(").removesuffix(")") if kind.startswith("tensor(") else ""
    if rule["kind"] == "label":
        if width not in (1, None) or not table:
            return (
                "bad_decision_rule",
                f"The output {found['name']!r} is no single label a row. Use a threshold rule for it.",
            )
        return None
    if table and table not in NUMERIC:
        return "bad_decision_rule", f"The output {found['name']!r} is not numeric. Use a label rule for it."
    if table and width not in (1, None) and not (str(rule["class"]).isdigit() and int(rule["class"]) < width):
        return (
            "bad_decision_rule",
            f"The output {found['name']!r} has no class {rule['class']}; it has columns 0 to {width - 1}.",
        )
    return None
