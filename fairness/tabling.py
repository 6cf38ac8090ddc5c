"""Reports as CSV: one line a number, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
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


def as_csv(report: Report) -> str:
    """UTF-8 text with a head line; text that a spreadsheet would run gets an apostrophe before it."""
    if report["schema"].startswith("countersign.ll144/"):
        return written(ll144.HEAD, ll144.csv_rows(report))
    if report["schema"].startswith("countersign.tradeoff/"):
        return written(tradeoff.HEAD, tradeoff.csv_rows(report))
    bias = report["schema"].startswith("countersign.bias/")
    head, rows = (BIAS_HEAD, bias_rows(report)) if bias else (EXPLANATION_HEAD, explanation_rows(report))
    return written(head, rows)


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
    for table in [*report["attributes"], *report["intersections"]]:
        for group in table["groups"]:
            for metric, seen in group["metrics"].items():
                yield (
                    " × ".join(table["attributes"]), group["name"], group["count"], metric, seen["value"], seen["low"],
                    seen["high"], seen.get("low_together"), seen.get("high_together"), seen["size"], None,
                )  # fmt: skip


def explanation_rows(report: Report) -> Iterator[tuple[Any, ...]]:
    for row in report["features"]:
        measured = (row["importance"], row["low"], row["high"], row["mean"])
        yield "all", report["method"]["rows"], row["feature"], *measured, None
    for group in report["groups"]:
        for row in group["features"]:
            yield group["group"], group["rows"], row["feature"], None, None, None, row["mean"], row["difference"]
