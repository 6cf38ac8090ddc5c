"""An explanation report made ready for a page."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from fairness import plot

Report = Mapping[str, Any]
CLEARLY = 0.2
TOLD = 5


def features(report: Report) -> list[dict[str, Any]]:
    """Each feature with the way in which it moves the score, in words."""
    return [{**row, "way": way(row["correlation"])} for row in report["features"]]


def way(correlation: float | None) -> str:
    if correlation is None:
        return "–"
    if abs(correlation) < CLEARLY:
        return "no one way"
    return "higher values raise it" if correlation > 0 else "higher values lower it"


def by_group(report: Report) -> list[dict[str, Any]]:
    """Attribute by attribute: each group with what sets its attributions apart from everybody's."""
    found = []
    for attribute, groups in groupby(report["groups"], key=lambda group: group["attribute"]):
        told = [{**group, "told": group["features"][:TOLD]} for group in groups]
        found.append({"heading": f"Groups by {attribute}", "groups": told})
    return found


def residual(report: Report) -> dict[str, str]:
    """How far attributions are from adding up to the scores, in words."""
    return {name: nothing_or(value) for name, value in report["additivity"].items()}


def nothing_or(error: float) -> str:
    return "less than 0.000001" if error < 1e-6 else f"{error:.6f}"


def importance(report: Report) -> dict[str, Any]:
    return plot.of_importance(report)
