"""The section of a bias report on scores: how well they rank, how high they are, whether they are borne out.

It follows the report's own groupings, with the same references. Values are plain and ready for JSON.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fairness import calibration, extremes, intervals, metrics, ranking, tables
from fairness.metrics import Ints
from fairness.ranking import Estimate
from fairness.tallying import Table, Tally

Groupings = Sequence[Mapping[str, Any]]
Bounds = Callable[[Estimate, float], tuple[float, float]]
# What is a mean of something that has a least or a largest value.
BOUNDS: dict[str, Bounds] = {
    "auc": ranking.auc_bounds,
    "mean_score": ranking.bounds,
    "log_loss": lambda found, confidence: ranking.bounds(found, confidence, 0.0),
    "brier_score": lambda found, confidence: ranking.bounds(found, confidence, 0.0, 1.0),
    "mean_error": ranking.bounds,
    "mean_absolute_error": lambda found, confidence: ranking.bounds(found, confidence, 0.0),
    "root_mean_squared_error": ranking.bounds,
    "r_squared": ranking.bounds,
}


def scores(
    groups: Sequence[tuple[str, ...]],
    counted: Table,
    groupings: Groupings,
    attributes: Sequence[str],
    kind: tables.WeightKind,
    confidence: float,
    probability: bool,
) -> dict[str, Any]:
    """How well scores rank, how high they are, and whether they are borne out, for each of the report's groupings.

    `groups` are those of the finest grouping, by `attributes`; `groupings` are the report's tables. `probability` says
    whether scores are probabilities; without it there is neither loss nor calibration.
    """

    def tallies(to: Ints, size: int) -> list[Tally]:
        found = counted.tallies(to, size)
        return [tally.counting() for tally in found] if kind == "frequency" else found

    (whole,) = tallies(np.zeros(len(groups), dtype=np.int64), 1)
    cut, ties = ranking.median(whole)
    ends = calibration.edges(whole)
    found = []
    for table in groupings:
        to = places(groups, attributes, table)
        rows, each = [], tallies(to, len(table["groups"]))
        reference = next(tally for group, tally in zip(table["groups"], each, strict=True) if group["reference"])
        for group, tally in zip(table["groups"], each, strict=True):
            seen = _score_estimates(tally, probability)
            row = _head(group, tally) | {"metrics": shown(seen, confidence)}
            share = ranking.above(tally, cut)
            row["metrics"]["scoring_rate"] = _rate(share, confidence)
            row["metrics"]["standardised_mean_difference"] = _standardised(tally, reference, confidence)
            if probability and not table.get("exploratory"):
                row["calibration"] = _calibration(tally, ends, confidence)
            rows.append((row, seen, share))
        found.append(
            grouping(table, [row for row, _, _ in rows], [seen for _, seen, _ in rows], confidence)
            | {"scoring_ratios": _scoring_ratios([(row, share) for row, _, share in rows], confidence)}
        )
    overall = _score_estimates(whole, probability)
    return {
        "scale": "probability" if probability else "score",
        "exact": counted.exact,
        "bits": counted.bits,
        "lowest": tables.number(counted.lowest),
        "highest": tables.number(counted.highest),
        "median": tables.number(cut),
        "ties": ties,
        "overall": {"count": whole.rows, "metrics": shown(overall, confidence)}
        | ({"calibration": _calibration(whole, ends, confidence)} if probability else {}),
        "tables": found,
    }


def places(groups: Sequence[tuple[str, ...]], attributes: Sequence[str], table: Mapping[str, Any]) -> Ints:
    """For each of the finest groups its place in a grouping by some of the attributes."""
    at = [attributes.index(name) for name in table["attributes"]]
    known = {tuple(group["values"]): place for place, group in enumerate(table["groups"])}
    return np.array([known[tuple(group[i] for i in at)] for group in groups], dtype=np.int64)


def _score_estimates(tally: Tally, probability: bool) -> dict[str, Estimate]:
    found = {"auc": ranking.auc(tally), "mean_score": ranking.mean_score(tally)}
    if probability:
        found |= {"log_loss": ranking.log_loss(tally), "brier_score": ranking.brier(tally)}
    return found


def _head(group: Mapping[str, Any], tally: Tally) -> dict[str, Any]:
    return {
        "name": group["name"],
        "values": list(group["values"]),
        "count": group["count"],
        "unknown": group["unknown"],
        "reference": group["reference"],
        "positive": tables.number(float(tally.n[:, 1].sum())),
        "negative": tables.number(float(tally.n[:, 0].sum())),
    }


def shown(found: Mapping[str, Estimate], confidence: float) -> dict[str, dict[str, Any]]:
    return {name: estimate(seen, BOUNDS[name], confidence) for name, seen in found.items()}


def estimate(found: Estimate, bounds: Bounds, confidence: float) -> dict[str, Any]:
    low, high = bounds(found, confidence)
    return {"value": tables.number(found.value), "low": tables.number(low), "high": tables.number(high)}


def _rate(share: ranking.Share, confidence: float) -> dict[str, Any]:
    size = _size(share)
    interval = intervals.wilson(share.top / share.bottom, size, confidence)
    return {
        "value": tables.number(share.top / share.bottom),
        "low": tables.number(float(interval.low)),
        "high": tables.number(float(interval.high)),
        "size": share.size,
        "effective_size": tables.number(size),
    }


def _standardised(tally: Tally, reference: Tally, confidence: float) -> dict[str, Any]:
    """Nothing for the reference itself."""
    found = ranking.Standardised() if tally is reference else ranking.standardised(tally, reference)
    over = {"over": "pooled standard deviation", "spread": tables.number(found.spread)}
    return estimate(found.found, ranking.bounds, confidence) | over


def _size(share: ranking.Share) -> float:
    parts = (share.top, share.bottom, share.top_squares, share.bottom_squares)
    return float(intervals.effective_size(*parts))


def _scoring_ratios(
    rows: Sequence[tuple[Mapping[str, Any], ranking.Share]], confidence: float
) -> list[dict[str, Any]]:  # fmt: skip
    """Scoring rate over that of the group where it is highest, for groups with known attributes."""
    known = [(row, share) for row, share in rows if not row["unknown"]]
    rates = np.array([share.top / share.bottom for _, share in known])
    if len(known) < 2 or not rates.max() > 0:
        return []
    sizes = np.array([_size(share) for _, share in known])
    together = intervals.wilson(rates, sizes, intervals.simultaneous(confidence, len(known)))
    each, ratios = extremes.impact_ratios(together), metrics.impact_ratio(rates)
    return [
        {"group": row["name"], "value": tables.number(float(ratios[i])), "low": tables.number(float(each.low[i]))}
        | {"high": tables.number(float(each.high[i]))}
        for i, (row, _) in enumerate(known)
    ]


def _calibration(tally: Tally, ends: Any, confidence: float) -> dict[str, Any]:
    found, bins = calibration.recalibrated(tally), calibration.binned(tally, ends)
    sizes = intervals.effective_size(bins.top, bins.w, bins.top2, bins.w2)
    observed = intervals.wilson(np.nan_to_num(bins.observed), sizes, confidence)
    return {
        "intercept": _fitted(found.intercept, confidence) | {"expected": 0.0},
        "slope": _fitted(found.slope, confidence) | {"expected": 1.0},
        "moved": found.moved,
        "why": found.why,
        "error": tables.number(calibration.expected_error(bins)),
        "error_by_chance": tables.number(calibration.error_by_chance(bins)),
        "bins": [
            {
                "up_to": tables.number(float(ends[i])),
                "count": int(bins.n[i]),
                "predicted": tables.number(float(bins.predicted[i])),
                "observed": tables.number(float(bins.observed[i])),
                "low": tables.number(float(observed.low[i])) if bins.w[i] > 0 else None,
                "high": tables.number(float(observed.high[i])) if bins.w[i] > 0 else None,
            }
            for i in range(len(ends))
        ],
    }


def _fitted(found: Estimate, confidence: float) -> dict[str, Any]:
    """Without the last digits, which iteration leaves open."""
    return {name: None if x is None else round(x, 9) for name, x in estimate(found, ranking.bounds, confidence).items()}


def grouping(
    table: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    seen: Sequence[Mapping[str, Estimate]],
    confidence: float,
) -> dict[str, Any]:
    reference = next(i for i, row in enumerate(rows) if row["reference"])
    return {
        "attributes": list(table["attributes"]),
        "exploratory": bool(table.get("exploratory")),
        "reference": table["reference"],
        "groups": list(rows),
        "to_reference": [
            {
                "metric": name,
                "group": row["name"],
                "reference": table["reference"],
                "difference": estimate(
                    ranking.difference(seen[i][name], seen[reference][name]), ranking.bounds, confidence
                ),
            }
            for name in seen[reference]
            for i, row in enumerate(rows)
            if i != reference and not math.isnan(seen[i][name].value + seen[reference][name].value)
        ],
    }


def not_testable(section: Mapping[str, Any]) -> list[dict[str, str]]:
    """Groups of single attributes that cannot have a figure of the section on scores, and why."""
    found = []
    for table in section["tables"]:
        if table["exploratory"]:
            continue
        for group in table["groups"]:
            area, calibrated = group["metrics"]["auc"], group.get("calibration", {})
            if area["value"] is None:
                why = "all its outcomes are the same, so it has neither an AUC nor a calibration"
                found.append({"what": group["name"], "why": why})
                continue
            if area["low"] is None:
                least = min(group["positive"], group["negative"])
                why = "one outcome occurs once" if least < 2 else "its scores part the outcomes wholly"
                found.append({"what": group["name"], "why": f"the AUC has no interval: {why}"})
            if calibrated.get("why"):
                found.append({"what": group["name"], "why": f"no slope of calibration: {calibrated['why']}"})
    return found
