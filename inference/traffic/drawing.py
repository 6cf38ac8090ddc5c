"""Where to draw the bars of requests over time: plain numbers for an SVG template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

WIDTH, HEIGHT = 760, 220
LEFT, RIGHT, TOP, BOTTOM = 64.0, 748.0, 32.0, 192.0
SECOND = 160.0  # where the legend goes on
GAP = 0.2
LABELS = 6


def bars(title: str, names: Sequence[str], pairs: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """A bar for each pair of answered and refused requests, the refused above; as many names as pairs.

    Coordinates in SVG units, origin top left, rounded to one decimal.
    """
    step = nice(max((sum(pair) for pair in pairs), default=0))
    most = 4 * step
    wide = (RIGHT - LEFT) / len(pairs)

    def height(count: int) -> float:
        return round(count / most * (BOTTOM - TOP), 1)

    drawn = []
    for number, (answered, refused) in enumerate(pairs):
        low, high = height(answered), height(answered + refused)
        drawn.append({
            "x": round(LEFT + (number + GAP / 2) * wide, 1), "width": round(wide * (1 - GAP), 1),
            "answered_y": round(BOTTOM - low, 1), "answered": low,
            "refused_y": round(BOTTOM - high, 1), "refused": round(high - low, 1),
        })  # fmt: skip
    every = max(1, -(-len(names) // LABELS))
    return {
        "title": title, "width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "bottom": BOTTOM,
        "second": SECOND, "bars": drawn,
        "up": [{"y": round(BOTTOM - height(at), 1), "label": f"{at:,}"} for at in range(0, most + 1, step)],
        "across": [
            {"x": round(LEFT + (number + 0.5) * wide, 1), "label": name}
            for number, name in enumerate(names)
            if number % every == 0
        ],
    }  # fmt: skip


def nice(most: int) -> int:
    """A quarter of the axis: 1, 2 or 5 times a power of ten, so that four of them hold `most`."""
    size = 1
    while True:
        for one in (size, 2 * size, 5 * size):
            if 4 * one >= most:
                return one
        size *= 10
