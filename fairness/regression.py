"""How far numeric predictions are from what happened, by group.

Sums are exact: each product of a row is a whole multiple of 2^-1126, and Python's integers add those without rounding.
So a figure depends neither on the order of rows nor on how they were cut into batches.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairness.metrics import Floats, Ints
from fairness.ranking import Estimate

# No number of a row may be larger: its square still is a number.
LARGEST = 1e150
NAMES = ("w", "w2", "e", "size", "ee", "y", "yy", "w2e", "w2size", "w2ee")
SMALLEST = 1126
HALF = 26
Sums = dict[int, list[int]]


def errors(label: Floats, prediction: Floats, weight: Floats) -> Floats:
    """What is summed of each row, shape (len(NAMES), rows)."""
    error, square = prediction - label, weight * weight
    size = np.abs(error)
    return np.stack(
        [
            weight, square, weight * error, weight * size, weight * error * error, weight * label,
            weight * label * label, square * error, square * size, square * error * error,
        ]
    )  # fmt: skip


@dataclass
class Totals:
    """Rows and exact sums by group, the latter in units of 2^-1126."""

    rows: dict[int, int] = field(default_factory=dict)
    sums: Sums = field(default_factory=dict)

    def add(self, group: NDArray[Any], label: Floats, prediction: Floats, weight: Floats | None = None) -> None:
        """Rows of groups 0, 1, …; every number is finite and at most LARGEST in size."""
        group = np.asarray(group, dtype=np.int64)
        weight = np.ones_like(label) if weight is None else weight
        for at, count in enumerate(np.bincount(group)):
            if count:
                self.rows[at] = self.rows.get(at, 0) + int(count)
                self.sums.setdefault(at, [0] * len(NAMES))
        for place, values in enumerate(errors(label, prediction, weight)):
            for at, total in _exact(group, values):
                self.sums[at][place] += total

    def by(self, to: Mapping[int, int]) -> Totals:
        """The same with groups taken together: group i belongs to group to[i], or to none."""
        out = Totals()
        for at, sums in self.sums.items():
            if at in to:
                new = to[at]
                out.rows[new] = out.rows.get(new, 0) + self.rows[at]
                out.sums[new] = [a + b for a, b in zip(out.sums.get(new, [0] * len(NAMES)), sums, strict=True)]
        return out


def _exact(group: Ints, values: Floats) -> list[tuple[int, int]]:
    """Group and exact sum, for each group and power of two that occurs."""
    part, power = np.frexp(values)
    whole = np.ldexp(part, 53).astype(np.int64)
    lowest = int(power.min())
    span = int(power.max()) - lowest + 1
    keys, at = np.unique(group * span + (power - lowest), return_inverse=True)
    # Halves of 26 and 27 bits: a double adds 2^26 of them without rounding, more rows than a batch has.
    high = np.bincount(at, weights=(whole >> HALF).astype(np.float64))
    low = np.bincount(at, weights=(whole & ((1 << HALF) - 1)).astype(np.float64))
    found = []
    for index, code in enumerate(keys.tolist()):
        total = (int(high[index]) << HALF) + int(low[index])
        found.append((code // span, total << (code % span + lowest + SMALLEST - 53)))
    return found


@dataclass(frozen=True)
class Errors:
    """A group's figures; `squared` (R²) is NaN where its outcomes do not vary."""

    count: int
    mean_error: Estimate
    mean_absolute_error: Estimate
    root_mean_squared_error: float
    r_squared: float


def figures(totals: Totals, group: int, frequency: bool = False) -> Errors:
    """Of one group's rows. With `frequency` a weight is a number of rows, else standard errors are linearised."""
    w, w2, e, size, ee, y, yy, w2e, w2size, w2ee = (Fraction(value, 1 << SMALLEST) for value in totals.sums[group])
    n = w if frequency else Fraction(totals.rows[group])
    if frequency:
        w2, w2e, w2size, w2ee = w, e, size, ee
    spread = yy - y * y / w
    return Errors(
        totals.rows[group],
        _mean(e, w, n, w2, w2e, w2ee),
        _mean(size, w, n, w2, w2size, w2ee),
        math.sqrt(ee / w),
        float(1 - ee / spread) if spread > 0 else math.nan,
    )


def _mean(total: Fraction, w: Fraction, n: Fraction, w2: Fraction, cross: Fraction, squares: Fraction) -> Estimate:
    """A weighted mean and its standard error: Σw²(x − m)² / (Σw)² · n / (n − 1), worked out exactly."""
    value = total / w
    if n <= 1:
        return Estimate(float(value))
    variance = (squares - 2 * value * cross + value * value * w2) / (w * w) * n / (n - 1)
    # Rounded products may leave a hair less than nothing where all errors are the same.
    return Estimate(float(value), math.sqrt(max(float(variance), 0.0)))
