"""The figures of a bias report beyond decisions, made ready for a page: plain dicts in, plain dicts out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fairness import plot
from fairness.metrics import WORDS as RATE_WORDS
from fairness.presenting import abreast, sentence_case

Part = Mapping[str, Any]
WORDS = {
    "auc": "AUC",
    "mean_score": "mean score",
    "log_loss": "log loss",
    "brier_score": "Brier score",
    "scoring_rate": "scoring rate",
    "standardised_mean_difference": "standardised mean difference",
    "mean_error": "mean error",
    "mean_absolute_error": "mean absolute error",
    "root_mean_squared_error": "root mean squared error",
    "r_squared": "R²",
}
NOTHING = {"value": None}
# Of each class; the CSV has the others.
CLASS_SHOWN = ("base_rate", "selection_rate", "true_positive_rate", "positive_predictive_value", "f1")
EXPLORATORY = "intersection, exploratory: no part of the result"


def sections(report: Part) -> list[dict[str, Any]]:
    """A panel for each grouping: on scores, on errors, on classes, as far as the report has them."""
    confidence = report["result"]["rule"]["confidence"]
    found = [score_section(table, report["scores"], confidence) for table in _tables(report, "scores")]
    found += [error_section(table, confidence) for table in _tables(report, "errors")]
    return found + [class_section(table) for table in _tables(report, "classes")]


def _tables(report: Part, name: str) -> Sequence[Part]:
    tables: Sequence[Part] = report.get(name, {}).get("tables", ())
    return tables


def score_section(table: Part, scores: Part, confidence: float) -> dict[str, Any]:
    groups = table["groups"]
    ratios = {row["group"]: row for row in table["scoring_ratios"]}
    rows = [(WORDS[name], [group["metrics"][name] for group in groups]) for name in groups[0]["metrics"]]
    rows.append(("scoring rate, ratio to the highest", [ratios.get(group["name"], NOTHING) for group in groups]))
    calibrated = [group["calibration"] for group in groups if "calibration" in group]
    if calibrated:
        rows += [
            ("calibration intercept (0 if calibrated)", [found["intercept"] for found in calibrated]),
            ("calibration slope (1 if calibrated)", [found["slope"] for found in calibrated]),
            ("calibration error (ECE)", [{"value": found["error"]} for found in calibrated]),
            ("calibration error by chance alone", [{"value": found["error_by_chance"]} for found in calibrated]),
        ]
    said = (
        f"Scoring rate: share of rows strictly above the median of all rows, {scores['median']:.4g}; "
        f"{scores['ties']:,} {'row has' if scores['ties'] == 1 else 'rows have'} just that score. Standardised mean "
        f"difference: mean score less that of {table['reference']}, over the standard deviation pooled over both."
    )
    return _section("Scores", table, rows, confidence, "auc") | {
        "said": said,
        "bins": list(_bins(groups)),
        "positive": [(group["positive"], group["negative"]) for group in groups],
    }


def _bins(groups: Sequence[Part]) -> Iterator[dict[str, Any]]:
    for group in groups:
        if bins := group.get("calibration", {}).get("bins"):
            yield {"group": group["name"], "rows": [row for row in bins if row["count"] != 0]}


def error_section(table: Part, confidence: float) -> dict[str, Any]:
    groups = table["groups"]
    rows = [(WORDS[name], [group["metrics"][name] for group in groups]) for name in groups[0]["metrics"]]
    said = "An error is the prediction less the outcome: over 0, predictions are too high."
    return _section("Errors", table, rows, confidence, "mean_error") | {"said": said}


def class_section(table: Part) -> dict[str, Any]:
    groups = table["groups"]
    rows = [("accuracy over all classes", [group["accuracy"] for group in groups])]
    rows += [
        (f"{RATE_WORDS[name]}, mean over classes", [group["macro"][name] for group in groups])
        for name in CLASS_SHOWN[2:]
    ]
    for at, found in enumerate(groups[0]["classes"]):
        rows += [
            (f"class {found['class']}: {RATE_WORDS[name]}", [group["classes"][at]["metrics"][name] for group in groups])
            for name in CLASS_SHOWN
        ]
    said = "Each class is held against all others; a mean over classes leaves out those that a group does not have."
    return _section("Classes", table, rows, 0, "") | {"said": said}


def _section(
    what: str, table: Part, rows: Sequence[tuple[str, Sequence[Part]]], confidence: float, drawn: str
) -> dict[str, Any]:
    groups, by = table["groups"], " × ".join(table["attributes"])
    slices = list(abreast(range(len(groups))))
    return {
        "heading": f"{what} by {by}",
        "note": EXPLORATORY if table["exploratory"] else "",
        "parts": [
            {
                "groups": [groups[at] for at in part],
                "rows": [(sentence_case(words), [cells[at] for at in part]) for words, cells in rows],
            }
            for part in slices
        ],
        "plot": _plot(drawn, groups, by, confidence) if drawn and not table["exploratory"] else None,
        "reference": table.get("reference", ""),
        "to_reference": [
            {**row, "words": sentence_case(WORDS[row["metric"]])} for row in table.get("to_reference", ())
        ],
    }


def _plot(name: str, groups: Sequence[Part], by: str, confidence: float) -> dict[str, Any]:
    rows = []
    for group in groups:
        seen = group["metrics"][name]
        note = "not defined" if seen["value"] is None else ""
        ends = (seen["low"], seen["high"])
        known = {"reference": group["reference"], "note": note}
        rows.append(plot.Row(group["name"], group["count"], seen["value"], *ends, **known))
    title = f"{sentence_case(WORDS[name])} by {by} with {confidence * 100:g} % intervals; the table has the numbers"
    return plot.dot_whisker(title, rows)
