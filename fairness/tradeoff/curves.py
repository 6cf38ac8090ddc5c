"""Disparity against accuracy, of decisions that may be drawn by lot: pure numbers.

A decision is given as the probability `p` of saying yes to a row, so that what fairlearn's randomised thresholds do on
average is counted exactly. Shapes: (rows,); `group` holds whole numbers from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairness.tables import number

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
THRESHOLDS = 40


def point(p: Floats, label: Bools, group: Ints, groups: int) -> dict[str, float | None]:
    """Accuracy over all rows; the gaps between the highest and the lowest group, and the lowest ratio.

    `difference` and `ratio` are of selection rates; `equalised_odds` is the larger gap of true and false positive
    rates, None where a group has no row of a label.
    """
    rates = shares(p, group, groups)
    spread = [gap(shares(p[label == at], group[label == at], groups)) for at in (True, False)]
    return {
        "accuracy": number(float(np.where(label, p, 1 - p).mean())),
        "selection_rate": number(float(p.mean())),
        "difference": number(float(rates.max() - rates.min())),
        "ratio": number(float(rates.min() / rates.max())) if rates.max() > 0 else None,
        "equalised_odds": None if None in spread else number(max(each for each in spread if each is not None)),
    }


def shares(p: Floats, group: Ints, groups: int) -> Floats:
    """Mean of `p` by group; NaN for a group without rows. Sums run in the order of the rows."""
    sizes = np.bincount(group, minlength=groups)
    sums = np.bincount(group, weights=p, minlength=groups)
    return np.asarray(np.divide(sums, sizes, out=np.full(groups, np.nan), where=sizes > 0))


def gap(rates: Floats) -> float | None:
    return None if np.isnan(rates).any() else float(rates.max() - rates.min())


def thresholds(scores: Floats, own: float | None = None) -> list[float]:
    """Up to 40 cut-offs that leave equal shares of the scores between them, and the rule's own."""
    found = set(np.quantile(scores, np.linspace(0.02, 0.98, THRESHOLDS), method="higher").tolist())
    return sorted(found | ({own} if own is not None else set()))


def halves(rows: int, seed: int) -> tuple[Ints, Ints]:
    """Two halves of the rows, drawn by the seed, each in the order of the rows: one to set thresholds, one to judge."""
    order = np.random.default_rng(seed).permutation(rows)
    return np.sort(order[: rows // 2]), np.sort(order[rows // 2 :])


def undominated(points: Sequence[dict[str, Any]], disparity: str = "difference") -> list[bool]:
    """Whether no other point is at least as good in accuracy and in disparity, and better in one of them."""
    a = np.array([each["accuracy"] for each in points], dtype=np.float64)
    d = np.array([each[disparity] for each in points], dtype=np.float64)
    return [
        not bool(((a >= a[at]) & (d <= d[at]) & ((a > a[at]) | (d < d[at]))).any()) for at in range(len(points))
    ]  # fmt: skip


def reweighing(label: Bools, group: Ints, groups: int, strength: float) -> Floats:
    """Weights of Kamiran and Calders (Knowl. Inf. Syst. 33 (2012) 1), to the power of `strength` from 0 to 1.

    At 1 the weighted share of each label is the same in every group; at 0 all weights are 1.
    """
    cells = np.bincount(group * 2 + label, minlength=2 * groups).astype(np.float64).reshape(groups, 2)
    expected = np.outer(cells.sum(axis=1), cells.sum(axis=0)) / len(label)
    weights = np.divide(expected, cells, out=np.ones_like(cells), where=cells > 0)
    return np.asarray(weights[group, label.astype(np.int64)] ** strength)
