"""How well one feature alone tells people's groups apart: plain measures of association, with what chance would show.

Numbers: the correlation ratio η² (share of the feature's variance that lies between groups), and for each group the
chance that one of its rows has a higher value than a row of another group (AUC, ties count half). Text: Cramér's V.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairness.metrics import Floats
from fairness.naming import UNKNOWN
from fairness.tables import number

LEAST = 10
# From so much separation on (an AUC, or V turned into one by (1 + V) / 2) a feature is said to tell that much.
STEPS = ((0.85, "nearly everything"), (0.7, "much"), (0.6, "something"), (0.0, "little"))


def associations(
    attribute: str, column: Sequence[str], names: Sequence[str], matrix: Floats, text: Sequence[str]
) -> dict[str, Any]:
    """One attribute with every feature, the strongest first. Rows whose group is unknown are left out and counted."""
    groups, sizes = np.unique([value for value in column if value != UNKNOWN], return_counts=True)
    used = [str(g) for g, size in zip(groups, sizes, strict=True) if size >= LEAST]
    inside = np.array([value in used for value in column], dtype=bool)
    places = np.array([used.index(value) for value in column if value in used], dtype=np.int64)
    found = {"attribute": attribute, "rows": int(inside.sum()), "left_out": int((~inside).sum()), "groups": used}
    if len(used) < 2:
        return found | {"features": []}
    measured = [
        _of_text(name, matrix[inside, i], places, used)
        if name in text
        else _of_number(name, matrix[inside, i], places, used)
        for i, name in enumerate(names)
    ]
    return found | {"features": sorted(measured, key=lambda row: (-(row["separation"] or 0.0), row["feature"]))}


def _of_number(name: str, values: Floats, places: NDArray[np.int64], groups: Sequence[str]) -> dict[str, Any]:
    sizes = np.bincount(places)
    means = np.bincount(places, weights=values) / sizes
    total = float(((values - values.mean()) ** 2).sum())
    between = float((sizes * (means - values.mean()) ** 2).sum())
    eta = between / total if total > 1e-12 else 0.0
    areas = _areas(values, places, sizes)
    far = int(np.argmax(np.abs(areas - 0.5)))
    separation = float(max(areas[far], 1 - areas[far]))
    return _told(name, "correlation ratio", eta, (len(sizes) - 1) / (len(values) - 1), separation) | {
        "auc": number(float(areas[far])), "group": groups[far]
    }  # fmt: skip


def _areas(values: Floats, places: NDArray[np.int64], sizes: NDArray[np.int64]) -> Floats:
    """For each group the chance that its value is the higher one, against all others."""
    _, rank, times = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(times) - (times - 1) / 2
    sums = np.bincount(places, weights=middle[rank])
    others = len(values) - sizes
    found: Floats = (sums - sizes * (sizes + 1) / 2) / (sizes * others)
    return found


def _of_text(name: str, values: Floats, places: NDArray[np.int64], groups: Sequence[str]) -> dict[str, Any]:
    """Cramér's V without its bias (Bergsma, J. Korean Stat. Soc. 42 (2013) 323)."""
    _, level = np.unique(values, return_inverse=True)
    levels, n = int(level.max()) + 1, len(values)
    table = np.bincount(level * len(groups) + places, minlength=levels * len(groups)).reshape(levels, len(groups))
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    squared = float(((table - expected) ** 2 / expected).sum()) / n
    chance = (levels - 1) * (len(groups) - 1) / (n - 1)
    smaller = min(levels - (levels - 1) ** 2 / (n - 1), len(groups) - (len(groups) - 1) ** 2 / (n - 1)) - 1
    v = float(np.sqrt(max(0.0, squared - chance) / smaller)) if smaller > 0 else 0.0
    return _told(name, "Cramér's V", min(1.0, v), 0.0, (1 + min(1.0, v)) / 2) | {"auc": None, "group": None}


def _told(name: str, measure: str, value: float, chance: float, separation: float) -> dict[str, Any]:
    words = next(words for least, words in STEPS if separation >= least)
    return {
        "feature": name, "measure": measure, "value": number(value), "by_chance": number(chance),
        "separation": number(separation), "tells": words,
    }  # fmt: skip
