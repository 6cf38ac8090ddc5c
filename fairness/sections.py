"""The sections of a bias report beyond decisions: scores, errors of numeric predictions, and several classes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fairness import intervals, metrics, regression, scoring, tables
from fairness.metrics import RATES, Cells
from fairness.multiclass import ClassCells, macro
from fairness.ranking import Estimate
from fairness.roles import Roles
from fairness.scoring import Groupings, grouping, places, shown
from fairness.submitting import Beside

NOT_CLUSTERED = (
    "Intervals of scores and errors take rows for independent, though rows here belong together: they are narrower "
    "than they should be."
)
CLASS_METRICS = tuple(name for name in metrics.NAMES if name != "count")


def extend(report: dict[str, Any], beside: Beside, roles: Roles, kind: tables.WeightKind, confidence: float) -> None:
    """Add what was counted beside the cells: `scores`, `errors` or `classes`."""
    attributes = roles.sensitive
    groupings = [*report["attributes"], *report["intersections"]]
    report["warnings"] += warnings(report, beside)
    if beside.classes is not None:
        report["classes"] = classes(beside.classes, groupings, report["positive"], kind, confidence)
    if beside.collector is None:
        return
    groups, found = beside.collector.finish()
    if isinstance(found, regression.Totals):
        report["errors"] = errors(groups, found, groupings, attributes, kind, confidence)
        if roles.cluster:
            report["warnings"].append({"code": "scores_not_clustered", "sentence": NOT_CLUSTERED})
        return
    within = found.lowest >= 0 and found.highest <= 1 and beside.scale != "score"
    report["scores"] = scoring.scores(groups, found, groupings, attributes, kind, confidence, within)
    if not within:
        sentence = (
            f"Scores go from {found.lowest:g} to {found.highest:g} and are not taken for probabilities, so there is "
            "no log loss, no Brier score and no calibration."
        )
        report["warnings"].append({"code": "scores_not_probabilities", "sentence": sentence})
    if not found.exact:
        sentence = (
            f"There are too many different scores to keep them all. Figures on scores are worked out from the first "
            f"{found.bits} binary digits of each."
        )
        report["warnings"].append({"code": "scores_rounded", "sentence": sentence})
    if roles.cluster:
        report["warnings"].append({"code": "scores_not_clustered", "sentence": NOT_CLUSTERED})
    report["not_testable"] += scoring.not_testable(report["scores"])


def warnings(report: Mapping[str, Any], beside: Beside) -> list[dict[str, str]]:
    found = []
    if report["source"] == "submitted":
        sentence = (
            "These predictions were made elsewhere and submitted. The portal calculated this report; it did not make "
            "the predictions, and cannot say that this version did."
        )
        found.append({"code": "submitted_predictions", "sentence": sentence})
    if beside.collector is not None and beside.collector.numeric:
        sentence = (
            "Outcomes and predictions are numbers. For rates, a number from the threshold on counts as yes; errors "
            "use the numbers themselves."
        )
        found.append({"code": "numbers_as_decisions", "sentence": sentence})
    if beside.classes is not None and beside.output:
        sentence = (
            f"There are {len(beside.classes.classes)} classes. Rates and the result set what the decision rule says "
            f"against class {report['positive']} or any other; below, the class that the model's output "
            f"{beside.output!r} names is taken, and each is held against the rest."
        )
        found.append({"code": "one_class_against_rest", "sentence": sentence})
    elif beside.classes is not None:
        sentence = (
            f"There are {len(beside.classes.classes)} classes. Rates and the result are about class "
            f"{report['positive']} against all others; below, each class is held against the rest."
        )
        found.append({"code": "one_class_against_rest", "sentence": sentence})
    return found


def errors(
    groups: Sequence[tuple[str, ...]],
    totals: regression.Totals,
    groupings: Groupings,
    attributes: Sequence[str],
    kind: tables.WeightKind,
    confidence: float,
) -> dict[str, Any]:
    """How far numeric predictions are off, for each of the report's groupings; a positive error is too high."""
    frequency = kind == "frequency"
    found = []
    for table in groupings:
        to = dict(enumerate(places(groups, attributes, table).tolist()))
        by = totals.by(to)
        seen = [_error_estimates(regression.figures(by, at, frequency)) for at in range(len(table["groups"]))]
        rows = [
            {key: group[key] for key in ("name", "values", "count", "unknown", "reference")}
            | {"metrics": shown(one, confidence)}
            for group, one in zip(table["groups"], seen, strict=True)
        ]
        compared = [{name: one[name] for name in ("mean_error", "mean_absolute_error")} for one in seen]
        found.append(grouping(table, rows, compared, confidence))
    whole = regression.figures(totals.by(dict.fromkeys(range(len(groups)), 0)), 0, frequency)
    return {
        "overall": {"count": whole.count, "metrics": shown(_error_estimates(whole), confidence)},
        "tables": found,
    }


def _error_estimates(found: regression.Errors) -> dict[str, Estimate]:
    return {
        "mean_error": found.mean_error,
        "mean_absolute_error": found.mean_absolute_error,
        "root_mean_squared_error": Estimate(found.root_mean_squared_error),
        "r_squared": Estimate(found.r_squared),
    }


def classes(
    counted: ClassCells, groupings: Groupings, positive: str, kind: tables.WeightKind, confidence: float
) -> dict[str, Any]:
    """Each class against the rest, and their plain mean, for each of the report's groupings."""
    each = {name: counted.against_rest(name) for name in counted.classes}
    return {
        "classes": list(counted.classes),
        "positive": positive,
        "tables": [
            _class_table(table, each, counted.agreement(), kind, confidence)
            for table in groupings
        ],
    }  # fmt: skip


def _class_table(
    table: Mapping[str, Any], each: Mapping[str, Cells], right: Cells, kind: tables.WeightKind, confidence: float
) -> dict[str, Any]:
    by = {name: cells.by(table["attributes"]) for name, cells in each.items()}
    figures = {name: _class_metrics(cells, kind, confidence) for name, cells in by.items()}
    accuracy = _class_metrics(right.by(table["attributes"]), kind, confidence)["selection_rate"]
    means = {name: macro(name, list(by.values())) for name in CLASS_METRICS}
    place = {group: at for at, group in enumerate(next(iter(by.values())).groups)}
    rows = []
    for group in table["groups"]:
        at = place[tuple(group["values"])]
        rows.append(
            {key: group[key] for key in ("name", "values", "count", "unknown", "reference")}
            | {
                "accuracy": accuracy[at],
                "classes": [
                    {"class": name, "metrics": {metric: found[at] for metric, found in figures[name].items()}}
                    for name in figures
                ],
                "macro": {
                    name: {"value": tables.number(float(value[at])), "classes": int(known[at])}
                    for name, (value, known) in means.items()
                },
            }
        )
    return {
        "attributes": list(table["attributes"]),
        "exploratory": bool(table.get("exploratory")),
        "groups": rows,
    }  # fmt: skip


def _class_metrics(cells: Cells, kind: tables.WeightKind, confidence: float) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for name in CLASS_METRICS:
        if name in RATES and RATES[name].is_rate:
            rates = tables.rates(name, cells, kind)
            interval = intervals.wilson([r.value for r in rates], [r.effective for r in rates], confidence)
            found[name] = [
                {
                    "value": tables.number(rate.value) if rate.size else None,
                    "low": tables.number(float(interval.low[i])) if rate.size else None,
                    "high": tables.number(float(interval.high[i])) if rate.size else None,
                    "size": rate.size,
                }
                for i, rate in enumerate(rates)
            ]
        else:
            values = metrics.values(name, cells.w, math.nan)
            found[name] = [{"value": tables.number(float(value)), "low": None, "high": None} for value in values]
    return found
