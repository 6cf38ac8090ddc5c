"""Reports as CSV: one line a number, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from fairness.ll144 import presenting as ll144
from fairness.tradeoff import presenting as tradeoff

Report = Mapping[str, Any]
# What a spreadsheet takes for the beginning of a formula.
DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n")
BIAS_HEAD = (
    "attributes", "group", "rows", "metric", "value", "low", "high", "low_together", "high_together", "size", "verdict",
)  # fmt: skip
EXPLANATION_HEAD = ("group", "rows", "feature", "attribution", "low", "high", "mean", "difference_to_all")

COMPARISON_HEAD = (
    "attributes", "group", "rows", "old", "new", "difference", "low", "high", "yes_only_before", "yes_only_now",
    "p_value",
)  # fmt: skip


def as_csv(report: Report) -> str:
    """UTF-8 text with a head line; text that a spreadsheet would run gets an apostrophe before it."""
    head, rows = KINDS[report["schema"].partition("/")[0]]
    return written(head, rows(report))


def written(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(head)
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return out.getvalue()


def harmless(cell: Any) -> Any:
    if isinstance(cell, str) and cell.startswith(DANGEROUS):
        return f"'{cell}"
    return "" if cell is None else cell


def bias_rows(report: Report) -> Iterator[tuple[Any, ...]]:
    rule = report["result"]["rule"]
    for result in report["result"]["attributes"]:
        for found in result["groups"]:
            yield (
                result["attribute"], found["group"], found["size"], f"{rule['comparison']} of {rule['metric']}",
                found["value"], found["low"], found["high"], None, None, found["size"], found["verdict"],
            )  # fmt: skip
    known = report.get("memberships", {}).get("result")
    for found in known["groups"] if known else ():
        what = f"{known['rule']['comparison']} of selection_rate"
        ends = (found["value"], found["low"], found["high"])
        yield ("membership", found["group"], None, what, *ends, None, None, None, found["verdict"])
    for table in [*report["attributes"], *report["intersections"]]:
        for group in table["groups"]:
            for metric, seen in group["metrics"].items():
                yield (
                    " × ".join(table["attributes"]), group["name"], group["count"], metric, seen["value"], seen["low"],
                    seen["high"], seen.get("low_together"), seen.get("high_together"), seen["size"], None,
                )  # fmt: skip
    for group in report.get("memberships", {}).get("groups", ()):
        rate, wide, count = group["selection_rate"], group["whatever"], group["expected"]
        kept = (group["effective_size"], None)
        yield (
            "membership", group["name"], count, "selection_rate, weighted", rate["value"], rate["low"], rate["high"],
            wide["low"], wide["high"], *kept,
        )  # fmt: skip
        crude = group["by_threshold"]
        yield (
            "membership", group["name"], count, "selection_rate, by threshold", crude["value"], None, None, None, None,
            crude["count"], None,
        )  # fmt: skip
    for name in ("scores", "errors", "classes"):
        for table in report.get(name, {}).get("tables", ()):
            for group in table["groups"]:
                for metric, seen in further(group):
                    yield (
                        " × ".join(table["attributes"]), group["name"], group["count"], metric, seen["value"],
                        seen.get("low"), seen.get("high"), None, None, seen.get("size"), None,
                    )  # fmt: skip


def further(group: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A group's figures on scores, errors or classes, each by its name."""
    yield from group.get("metrics", {}).items()
    if found := group.get("calibration"):
        yield "calibration_intercept", found["intercept"]
        yield "calibration_slope", found["slope"]
        yield "calibration_error", {"value": found["error"]}
        yield "calibration_error_by_chance", {"value": found["error_by_chance"]}
        for row in found["bins"]:
            observed = {"value": row["observed"], "low": row["low"], "high": row["high"], "size": row["count"]}
            yield f"observed where at most {row['up_to']:.6g}", observed
            yield f"predicted where at most {row['up_to']:.6g}", {"value": row["predicted"], "size": row["count"]}
    if "accuracy" in group:
        yield "accuracy of classes", group["accuracy"]
    for metric, seen in group.get("macro", {}).items():
        yield f"macro {metric}", {"value": seen["value"]}
    for each in group.get("classes", ()):
        for metric, seen in each["metrics"].items():
            yield f"{metric} of class {each['class']}", seen


def explanation_rows(report: Report) -> Iterator[tuple[Any, ...]]:
    for row in report["features"]:
        measured = (row["importance"], row["low"], row["high"], row["mean"])
        yield "all", report["method"]["rows"], row["feature"], *measured, None
    for group in report["groups"]:
        for row in group["features"]:
            yield group["group"], group["rows"], row["feature"], None, None, None, row["mean"], row["difference"]


def comparison_rows(report: Report) -> Iterator[tuple[Any, ...]]:
    whole = {"attributes": ["all rows"], "groups": [report["overall"]]}
    for table in [whole, *report["attributes"]]:
        for group in table["groups"]:
            pairs, gap = group["pairs"], group["difference"]
            yield (
                " × ".join(table["attributes"]), group["name"], group["count"], group["old"]["value"],
                group["new"]["value"], gap["value"], gap["low"], gap["high"], pairs["before"], pairs["after"],
                group["p_value"],
            )  # fmt: skip


KINDS: dict[str, tuple[tuple[str, ...], Callable[[Report], Iterator[tuple[Any, ...]]]]] = {
    "countersign.bias": (BIAS_HEAD, bias_rows),
    "countersign.explanation": (EXPLANATION_HEAD, explanation_rows),
    "countersign.comparison": (COMPARISON_HEAD, comparison_rows),
    "countersign.ll144": (ll144.HEAD, ll144.csv_rows),
    "countersign.tradeoff": (tradeoff.HEAD, tradeoff.csv_rows),
}
