"""Interactions of many rows summed up: which two features act together, how strongly, how sure. Plain values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fairness.explanation.interactions import Forest, along_paths, with_background
from fairness.explanation.summing import CONFIDENCE, SMALL_GROUP, correlation, leftover, ranks, resampled
from fairness.metrics import Floats
from fairness.tables import number

SHOWN = 10
FEWEST, MOST_NUMBERS, MOST_VISITS = 30, 4_000_000, 20_000_000
LINEAR = "A weighted sum of features has no interactions: each feature adds its part whatever the others are."
NO_TREES = (
    "Interactions are worked out for tree ensembles whose nodes can be read; this model's score is none that can."
)
ALONE = "No two features act together: each feature adds its part whatever the others are."


def none(why: str) -> dict[str, Any]:
    return {"why": why, "pairs": []}


def found(
    names: Sequence[str], forest: Forest, matrix: Floats, values: Floats, tolerance: float, seed: int,
    step: Callable[[float], None],
) -> dict[str, Any]:  # fmt: skip
    """Interactions in the first of the explained rows, as many as cost allows.

    `matrix` and `values` (rows, features) are the explained rows and their attributions; `step` is told the share done
    and may raise to stop.
    """
    count = most_rows(len(matrix), len(names), forest.leaves)
    rows = forest.rows[:count]
    joint = with_background(
        forest.trees, forest.owner, rows, forest.background, len(names), lambda share: step(share / 2)
    )
    seen = np.concatenate([forest.rows, forest.background])
    paths = along_paths(forest.trees, forest.owner, rows, seen, len(names), lambda share: step((1 + share) / 2))
    return summed(names, joint, paths, matrix[:count], values[:count], tolerance, seed) | {"of_rows": len(matrix)}


def most_rows(rows: int, width: int, leaves: int) -> int:
    """Rows whose matrices fit, and fewer for forests of very many leaves, each of which is worked out for each row."""
    return min(rows, max(FEWEST, min(MOST_NUMBERS // width**2, MOST_VISITS // max(1, leaves))))


def summed(
    names: Sequence[str], joint: Floats, paths: Floats, matrix: Floats, values: Floats, tolerance: float, seed: int
) -> dict[str, Any]:
    """`joint` and `paths` are interaction values (rows, features, features), `values` the attributions of the rows."""
    first, second = np.triu_indices(len(names), 1)
    effects, others = 2 * joint[:, first, second], 2 * paths[:, first, second]
    strength, along = np.abs(effects).mean(axis=0), np.abs(others).mean(axis=0)
    acting: list[int] = np.flatnonzero(strength > 0).tolist()
    named = [(names[i], names[j]) for i, j in zip(first.tolist(), second.tolist(), strict=True)]
    order = sorted(acting, key=lambda k: (-(number(float(strength[k])) or 0.0), named[k]))
    top = order[:SHOWN]
    ends = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
    low, high = np.quantile(resampled(effects[:, top], seed), ends, axis=0)
    places = ranks(along)
    residual = float(np.abs(joint.sum(axis=2) - values).max())
    whole = float(np.abs(joint).mean(axis=0).sum())
    return {
        "why": "" if len(top) else ALONE,
        "kind": "with_background",
        "rows": len(joint),
        "acting": len(acting),
        "share": number(float(strength.sum()) / whole) if whole > 0 else None,
        "rank_agreement": number(correlation(ranks(strength), places)) if len(acting) > 1 else None,
        "residual": {
            "largest": leftover(residual), "tolerance": number(tolerance), "holds": residual <= tolerance,
        },
        "pairs": [
            {
                "first": named[k][0],
                "second": named[k][1],
                "strength": number(float(strength[k])),
                "low": number(float(low[i])),
                "high": number(float(high[i])),
                "mean": number(float(effects[:, k].mean())),
                "along_paths": number(float(along[k])),
                "rank_along_paths": round(float(places[k])),
                "corners": corners(matrix[:, first[k]], matrix[:, second[k]], effects[:, k]),
            }
            for i, k in enumerate(top)
        ],
    }  # fmt: skip


def corners(first: Floats, second: Floats, effect: Floats) -> list[dict[str, Any]]:
    """Mean interaction where both values are low, one is, or neither; None for fewer than ten rows.

    Low is up to the median, or below it where none lies above.
    """
    high_first, high_second = upper(first), upper(second)
    made: list[dict[str, Any]] = []
    for one, a in (("low", ~high_first), ("high", high_first)):
        for other, b in (("low", ~high_second), ("high", high_second)):
            inside = a & b
            told: dict[str, Any] = {"first": one, "second": other, "rows": None, "mean": None}
            if inside.sum() >= SMALL_GROUP:
                told |= {"rows": int(inside.sum()), "mean": number(float(effect[inside].mean()))}
            made.append(told)
    return made


def upper(values: Floats) -> Any:
    """Whether a value lies over the median; where no value does, whether it is the median."""
    middle = np.quantile(values, 0.5, method="lower")
    return values > middle if values.max() > middle else values >= middle
