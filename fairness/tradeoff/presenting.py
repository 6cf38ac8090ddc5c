"""Trade-offs made ready for a page: points of disparity against accuracy, drawn and in tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fairness.tradeoff.curves import undominated

Report = Mapping[str, Any]
WIDTH, HEIGHT = 760, 360
LEFT, RIGHT, TOP, BOTTOM = 60.0, 724.0, 16.0, 316.0
# Shapes tell the series apart where colours do not.
SHAPES = ("dot", "square", "triangle", "diamond")
SIZE = 5.0
HEAD = ("way", "setting", "own_rule", "accuracy", "selection_rate", "difference", "ratio", "equalised_odds")
SETTINGS = {
    "one_threshold": "Threshold", "group_thresholds": "Gap allowed", "equalised_odds": "", "reweighing": "Strength",
}  # fmt: skip


def parts(report: Report) -> dict[str, Any]:
    """What a trade-off report's page needs."""
    series = [(curve["title"], curve["points"]) for curve in report["curves"]]
    return {
        "plot": scatter(f"Accuracy by difference of selection rates between groups by {report['attribute']}", series),
        "curves": [
            {
                **curve, "setting_words": SETTINGS[curve["name"]],
                "rows": [{**row, "front": best} for row, best in shown(curve["points"])],
            }
            for curve in report["curves"]
        ],
    }  # fmt: skip


def shown(points: Sequence[Report]) -> list[tuple[Report, bool]]:
    """Those that no other of the same curve beats, and the version's own rule; each with whether it is unbeaten."""
    best = undominated([dict(row) for row in points])
    return [(row, at) for row, at in zip(points, best, strict=True) if at or row["own"]]


def scatter(title: str, series: Sequence[tuple[str, Sequence[Report]]]) -> dict[str, Any]:
    """Coordinates in SVG units, origin top left, rounded to one decimal. A point has `difference` and `accuracy`."""
    every = [row for _, points in series for row in points]
    low_x, high_x = 0.0, max(0.05, *(float(row["difference"]) for row in every))
    seen = [float(row["accuracy"]) for row in every]
    low_y, high_y = min(seen), max(seen)
    if high_y - low_y < 0.02:
        low_y, high_y = low_y - 0.01, high_y + 0.01

    def x(value: float) -> float:
        return round(LEFT + (value - low_x) / (high_x - low_x) * (RIGHT - LEFT), 1)

    def y(value: float) -> float:
        return round(BOTTOM - (value - low_y) / (high_y - low_y) * (BOTTOM - TOP), 1)

    return {
        "title": f"{title}; the table has the numbers",
        "width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM,
        "across": [{"x": x(at), "label": f"{at:.3g}"} for at in steps(low_x, high_x)],
        "up": [{"y": y(at), "label": f"{at * 100:.3g} %"} for at in steps(low_y, high_y)],
        "series": [
            {
                "title": name, "shape": SHAPES[number % len(SHAPES)],
                "marks": [mark(x(row["difference"]), y(row["accuracy"]), row) for row in sorted(points, key=own)],
            }
            for number, (name, points) in enumerate(series)
        ],
    }  # fmt: skip


def own(row: Report) -> bool:
    """The version's own rule; drawn last, so that nothing covers it."""
    return bool(row.get("own"))


def mark(x: float, y: float, row: Report) -> dict[str, Any]:
    return {
        "x": x, "y": y, "own": own(row), "name": row.get("name", ""),
        "left": round(x - SIZE, 1), "top": round(y - SIZE, 1), "side": 2 * SIZE,
        "triangle": f"{x},{round(y - SIZE, 1)} {round(x + SIZE, 1)},{round(y + SIZE, 1)} "
        f"{round(x - SIZE, 1)},{round(y + SIZE, 1)}",
        "diamond": f"{x},{round(y - SIZE, 1)} {round(x + SIZE, 1)},{y} {x},{round(y + SIZE, 1)} "
        f"{round(x - SIZE, 1)},{y}",
    }  # fmt: skip


def steps(low: float, high: float) -> list[float]:
    """Five even marks from end to end."""
    return [low + (high - low) * at / 4 for at in range(5)]


def csv_rows(report: Report) -> Iterator[tuple[Any, ...]]:
    for curve in report["curves"]:
        for row in curve["points"]:
            yield (
                curve["name"], row["setting"], row["own"], row["accuracy"], row["selection_rate"], row["difference"],
                row["ratio"], row["equalised_odds"],
            )  # fmt: skip
