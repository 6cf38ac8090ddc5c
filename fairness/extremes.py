"""Bounds on comparisons with the smallest or largest of several groups, and what chance alone would show.

Which group is highest is read from the same data, so the plain ratio is biased downwards and no percentile interval
repairs it. The bounds here follow from intervals that hold for all groups together. Shapes: (…, groups).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairness.intervals import Floats, Interval, wilson

POWER = 0.8
POWER_QUANTILE = 0.8416212335729143


def impact_ratios(together: Interval) -> Interval:
    """Each group's rate over that of the highest group, from intervals that hold together."""
    top_low, top_high = together.low.max(axis=-1, keepdims=True), together.high.max(axis=-1, keepdims=True)
    # A lower bound may be next to nothing; what lies beyond the largest number is over 1 too.
    with np.errstate(over="ignore"):
        high = np.divide(together.high, top_low, out=np.ones_like(together.high), where=top_low > 0)
    return Interval(together.low / top_high, np.minimum(1.0, high))


def min_max_ratio(together: Interval) -> tuple[float, float]:
    """The lowest rate over the highest."""
    each = impact_ratios(together)
    return float(each.low.min()), float(each.high.min())


def gaps_to_highest(together: Interval) -> Interval:
    """The highest group's rate less each group's rate."""
    low = np.maximum(0.0, together.low.max(axis=-1, keepdims=True) - together.high)
    return Interval(low, np.asarray(together.high.max(axis=-1, keepdims=True) - together.low))


def max_difference(together: Interval) -> tuple[float, float]:
    """The highest rate less the lowest."""
    each = gaps_to_highest(together)
    return float(each.low.max()), float(each.high.max())


@dataclass(frozen=True)
class Chance:
    """What equal groups of these sizes show by chance: the median and the least favourable twentieth."""

    ratio_median: float
    ratio_twentieth: float
    difference_median: float
    difference_twentieth: float


def by_chance(rate: float, sizes: Floats, seed: int, draws: int = 4000) -> Chance:
    """Lowest over highest rate, and their difference, where every group's true rate is `rate`; seeded simulation."""
    n = np.maximum(1, np.rint(sizes)).astype(np.int64)
    seen = np.random.default_rng(seed).binomial(n, rate, size=(draws, len(n))) / n
    low, high = seen.min(axis=1), seen.max(axis=1)
    ratios = np.divide(low, high, out=np.ones(draws), where=high > 0)
    gaps = high - low
    return Chance(
        float(np.quantile(ratios, 0.5)),
        float(np.quantile(ratios, 0.05)),
        float(np.quantile(gaps, 0.5)),
        float(np.quantile(gaps, 0.95)),
    )


@dataclass(frozen=True)
class Detectable:
    """True ratios to the highest group: at or under `outside` and at or over `within` the rule would probably say so.

    None where no ratio would: these sizes cannot show it.
    """

    outside: float | None
    within: float | None


def detectable(top_rate: float, top_size: float, size: float, bound: float, confidence: float) -> Detectable:
    """For a group of `size` against the highest group, with a power of about 80 % (normal approximation).

    `confidence` is that of each single interval. The highest group's own luck is left out.
    """
    top = wilson(top_rate, top_size, confidence)
    ratios = np.linspace(0.0, 1.0, 1001)
    rates = ratios * top_rate
    luck = POWER_QUANTILE * np.sqrt(rates * (1 - rates) / size)
    high = wilson(np.minimum(1.0, rates + luck), size, confidence).high
    low = wilson(np.maximum(0.0, rates - luck), size, confidence).low
    out = ratios[high < bound * float(top.low)]
    inside = ratios[low >= bound * float(top.high)]
    return Detectable(
        float(out.max()) if len(out) else None,
        float(inside.min()) if len(inside) else None,
    )
