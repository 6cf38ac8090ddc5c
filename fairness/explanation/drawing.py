"""Where to draw an explanation: plain numbers in SVG units, origin top left. No markup is made here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairness.plot import FIRST_ROW, LEFT, NAME_LENGTH, RIGHT, ROW_HEIGHT, WIDTH, Row, axis_of, dot_whisker

MOST_BARS = 10
SWARM_HEIGHT = 26.0
LOW, HIGH = 1 / 3, 2 / 3


def short(name: str) -> str:
    return name if len(name) <= NAME_LENGTH else name[: NAME_LENGTH - 1] + "…"


def waterfall(base: float, features: Sequence[Mapping[str, Any]], cut: float | None) -> dict[str, Any]:
    """From the base value to the row's score: a bar for each of the strongest features, the others in one.

    `features` have feature, value and attribution. The bars' ends add up from the top.
    """
    ordered = sorted(features, key=lambda f: (-abs(f["attribution"]), f["feature"]))
    steps = [(f"{short(f['feature'])} = {shown(f['value'])}", f["attribution"]) for f in ordered[:MOST_BARS]]
    if rest := ordered[MOST_BARS:]:
        steps.append((f"{len(rest)} other features", sum(f["attribution"] for f in rest)))
    ends = [base]
    for _, amount in steps:
        ends.append(ends[-1] + amount)
    *_, ticks, x = axis_of([*ends, *([] if cut is None else [cut])])
    bars = [
        {
            "y": FIRST_ROW + ROW_HEIGHT * i,
            "top": FIRST_ROW + ROW_HEIGHT * i - 8,
            "name": short(name),
            "left": min(x(start), x(end)),
            "width": max(1.0, round(abs(x(end) - x(start)), 1)),
            "raises": end >= start,
            "value": f"{amount:+.4f}",
        }
        for i, ((name, amount), start, end) in enumerate(zip(steps, ends, ends[1:], strict=False))
    ]
    axis_y = FIRST_ROW + ROW_HEIGHT * len(bars) - 8
    return {
        "title": "How the row's features lead from the base value to its score; the table has the numbers",
        "width": WIDTH, "height": int(axis_y + 28), "plot_left": LEFT, "plot_right": RIGHT, "axis_y": axis_y,
        "ticks": ticks, "base_x": x(base), "bars": bars,
        "bound": None if cut is None else {"x": x(cut), "label": "yes from here on"},
    }  # fmt: skip


def shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def swarm(found: Mapping[str, Any]) -> dict[str, Any]:
    """A line of dots for each feature: where rows' attributions lie, wide where many do, by how high the value is."""
    edge, count = found["edge"], found["bins"]
    *_, ticks, x = axis_of([-edge, edge])
    lines = []
    for i, feature in enumerate(found["features"]):
        most = max(b["rows"] for b in feature["bins"])
        dots = [
            {
                "x": x(-edge + (b["bin"] + 0.5) * 2 * edge / count),
                "r": round(1.5 + 8.5 * (b["rows"] / most) ** 0.5, 1),
                "kind": kind_of(b["level"]),
                "rows": b["rows"],
            }
            for b in feature["bins"]
        ]
        rows = {kind: sum(d["rows"] for d in dots if d["kind"] == kind) for kind in ("low", "mid", "high")}
        fullest = next(b for b in feature["bins"] if b["rows"] == most)
        left = -edge + fullest["bin"] * 2 * edge / count
        most_in = {"most_from": left, "most_to": left + 2 * edge / count, "most_rows": most}
        about = {"y": FIRST_ROW + SWARM_HEIGHT * i, "name": short(feature["feature"])}
        lines.append(about | {"dots": dots} | rows | most_in)
    axis_y = FIRST_ROW + SWARM_HEIGHT * len(lines) - 6
    return {
        "title": "Attributions of all rows by feature: dots grow with the number of rows; the table has the numbers",
        "width": WIDTH, "height": int(axis_y + 28), "plot_left": LEFT, "plot_right": RIGHT, "axis_y": axis_y,
        "ticks": ticks, "zero_x": x(0.0), "lines": lines,
    }  # fmt: skip


def kind_of(level: float | None) -> str:
    """The third of the feature's values in which a dot's rows lie on average."""
    if level is None or LOW <= level <= HIGH:
        return "mid"
    return "low" if level < LOW else "high"


def dependence(found: Mapping[str, Any]) -> dict[str, Any]:
    """Mean attribution along the values of one feature, with the middle 80 % of rows."""
    rows = [Row(shown(p["at"]), p["rows"], p["mean"], p["low"], p["high"]) for p in found["points"]]
    title = (
        f"Attribution of {found['feature']} along its values, mean and middle 80 % of rows; the table has the numbers"
    )
    return dot_whisker(title, rows)


def pairs(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean absolute interaction of pairs of features, with intervals."""
    rows = [Row(pair_name(p["first"], p["second"]), None, p["strength"], p["low"], p["high"]) for p in found]
    title = "Mean absolute interaction of two features with 95 % intervals; the table has the numbers"
    return dot_whisker(title, rows)


def pair_name(first: str, second: str) -> str:
    """Both names in the room of one."""
    most = (NAME_LENGTH - 3) // 2
    return " × ".join(name if len(name) <= most else name[: most - 1] + "…" for name in (first, second))
