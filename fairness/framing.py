"""What a bias report tells of its own frame: which tests, of which groups and rows. Policies compare it with theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairness.roles import Roles
from fairness.rules import Rule
from ledger.refusals import Refusal
from registry.models import Dataset

# How all intervals of a family are made to hold together, see `intervals.simultaneous`.
CORRECTION = "bonferroni"
# No policy allows so many reasons to leave rows out: which ones there are beyond them changes nothing.
MOST_REASONS = 51
WEIGHT_KINDS = {
    "survey": "Survey weights: how many people a row stands for",
    "importance": "Importance weights: how much a row counts",
    "frequency": "Frequency weights: how many equal rows a row stands for",
}


def framed_inputs(
    rules: Sequence[Rule], roles: Roles, dataset: Dataset, reference: Mapping[str, str], weight_kind: str
) -> dict[str, Any]:
    """What a job is given of the frame: the first rule, those beside it, groups to compare with, kind of weights.

    Raises Refusal `not_sensitive` or `weights_unknown`.
    """
    if strangers := [name for name in reference if name not in roles.sensitive]:
        sentence = f"“{strangers[0]}” is none of the attributes to compare by, so it has no group to compare with."
        raise Refusal("not_sensitive", sentence, "reference")
    if weight_kind not in WEIGHT_KINDS:
        raise Refusal("weights_unknown", f"Weights are one of: {', '.join(WEIGHT_KINDS)}.", "weight_kind")
    named = {name: group for name, group in reference.items() if group}
    return {
        "rule": rules[0].as_dict(),
        # Told in the report's frame; earlier jobs, whose reports tell of none, are others for not having it.
        "purpose": dataset.purpose,
        **({"further_rules": [each.as_dict() for each in rules[1:]]} if rules[1:] else {}),
        **({"reference": named} if named else {}),
        **({"weight_kind": weight_kind} if roles.weight else {}),
    }


def frame_of(report: Mapping[str, Any], *, purpose: str, marked: Sequence[str]) -> dict[str, Any]:
    """The frame as plain JSON: `purpose` is the dataset's, `marked` its sensitive columns, all else the report's."""
    parameters = report["provenance"]["parameters"]
    reasons = [each["reason"] for each in report["exclusions"]["reasons"]] if "exclusions" in report else []
    return {
        "rules": [parameters["rule"], *parameters.get("further_rules", ())],
        "correction": CORRECTION,
        "attributes": parameters["tested"],
        "marked": list(marked),
        "reference": parameters["reference"],
        "positive": parameters["positive"],
        "purpose": purpose,
        "exclusions": reasons[:MOST_REASONS],
        "weights": parameters["weight_kind"] or "none",
    }
