"""Where to draw: dot-and-whisker plots as plain numbers for an SVG template. No markup is made here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairness.metrics import WORDS

WIDTH, LEFT, RIGHT = 760, 250.0, 740.0
FIRST_ROW, ROW_HEIGHT = 40.0, 32.0
NAME_LENGTH = 30
NOTES = {
    "withheld": "withheld",
    "too_few": "too few to test",
    "not_tested": "not tested",
    "inconclusive": "inconclusive",
}
THIN_SPACE = "\u2009"


@dataclass(frozen=True)
class Row:
    """One group: `value` is None where there is no estimate, `low` and `high` where there is no interval."""

    name: str
    n: int | None
    value: float | None
    low: float | None
    high: float | None
    verdict: str = ""
    reference: bool = False
    note: str = ""


def axis_of(values: Sequence[float]) -> tuple[float, float, list[dict[str, Any]], Callable[[float], float]]:
    """Ends of an axis over all values, its ticks, and where on it a value lies."""
    low, high, step = _axis(values, None)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))

    def x(value: float) -> float:
        return round(LEFT + (min(max(value, low), high) - low) / (high - low) * (RIGHT - LEFT), 1)

    ticks = [low + i * step for i in range(round((high - low) / step) + 1)]
    return low, high, [{"x": x(t), "label": f"{t:.{digits}f}"} for t in ticks], x


def dot_whisker(title: str, rows: Sequence[Row], bound: float | None = None, bound_label: str = "") -> dict[str, Any]:
    """Coordinates in SVG units, origin top left, rounded to one decimal."""
    low, high, step = _axis([x for r in rows for x in (r.value, r.low, r.high) if x is not None], bound)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))

    def x(value: float) -> float:
        share = (min(max(value, low), high) - low) / (high - low)
        return round(LEFT + share * (RIGHT - LEFT), 1)

    axis_y = FIRST_ROW + ROW_HEIGHT * len(rows) - 8
    ticks = [low + i * step for i in range(round((high - low) / step) + 1)]
    return {
        "title": title,
        "width": WIDTH,
        "height": int(axis_y + 28),
        "plot_left": LEFT,
        "plot_right": RIGHT,
        "axis_y": axis_y,
        "ticks": [{"x": x(t), "label": f"{t:.{digits}f}"} for t in ticks],
        "bound": None if bound is None else {"x": x(bound), "label": bound_label or f"{bound:.2f} bound"},
        "rows": [_row(r, FIRST_ROW + ROW_HEIGHT * i, x, low, high) for i, r in enumerate(rows)],
    }


def of_result(report: Mapping[str, Any], attribute: str) -> dict[str, Any]:
    """The tested comparison of one attribute's groups, with the rule's bound."""
    rule = report["result"]["rule"]
    (found,) = [a for a in report["result"]["attributes"] if a["attribute"] == attribute]
    words = {"impact_ratio": "Impact ratio of the {}", "ratio_to_reference": "Ratio of the {} to the reference group"}
    named = words.get(rule["comparison"], "Compared {}").format(WORDS[rule["metric"]])
    rows = [
        Row(g["group"], g["size"], g["value"], g["low"], g["high"], g["verdict"], note=NOTES.get(g["verdict"], ""))
        for g in found["groups"]
    ]
    return dot_whisker(_title(named, attribute, rule["confidence"]), rows, rule["bound"])


def of_metric(table: Mapping[str, Any], metric: str, confidence: float = 0.95) -> dict[str, Any]:
    """One metric by group, of an attribute's or an intersection's table."""
    rows = []
    for g in table["groups"]:
        seen = g["metrics"][metric]
        low, high = (seen["low"], seen["high"]) if seen["value"] is not None else (None, None)
        note = "" if seen["value"] is not None else "not defined"
        rows.append(Row(g["name"], seen["size"], seen["value"], low, high, reference=g["reference"], note=note))
    words = WORDS[metric][0].upper() + WORDS[metric][1:]
    return dot_whisker(_title(words, " and ".join(table["attributes"]), confidence), rows)


def of_importance(explanation: Mapping[str, Any], most: int = 12) -> dict[str, Any]:
    """Mean absolute attribution of the strongest features."""
    rows = [Row(f["feature"], None, f["importance"], f["low"], f["high"]) for f in explanation["features"][:most]]
    return dot_whisker("Mean absolute attribution by feature with 95 % intervals; the table has the numbers", rows)


def _title(what: str, by: str, confidence: float) -> str:
    return f"{what} by {by} with {confidence * 100:g} % intervals; the table has the numbers"


def _axis(values: Sequence[float], bound: float | None) -> tuple[float, float, float]:
    """Ends and step of an axis with 4 to 8 round ticks over all values and the bound."""
    seen = [v for v in [*values, *([] if bound is None else [bound])] if math.isfinite(v)] or [0.0, 1.0]
    low, high = min(seen), max(seen)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough)
    return round(math.floor(low / step + 1e-9) * step, 12), round(math.ceil(high / step - 1e-9) * step, 12), step


def _row(row: Row, y: float, x: Any, low: float, high: float) -> dict[str, Any]:
    whisker = row.low is not None and row.high is not None
    ends = (row.low, row.high) if row.low is not None and row.high is not None else (0.0, 0.0)
    value = "" if row.value is None else f"{row.value:.3f}" + (f" [{ends[0]:.3f}, {ends[1]:.3f}]" if whisker else "")
    return {
        "y": y,
        "name": row.name if len(row.name) <= NAME_LENGTH else row.name[: NAME_LENGTH - 1] + "…",
        "n": "" if row.n is None else f"{row.n:,}".replace(",", THIN_SPACE),
        "dot_x": None if row.value is None or not math.isfinite(row.value) else x(row.value),
        "lo_x": x(ends[0]) if whisker else None,
        "hi_x": x(ends[1]) if whisker else None,
        "lo_cut": whisker and ends[0] < low,
        "hi_cut": whisker and ends[1] > high,
        "outside": row.verdict == "outside",
        "reference": row.reference,
        "note": row.note,
        "value": value,
    }
