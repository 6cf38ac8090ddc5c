"""What decides a rule: the intervals that are set against its bound. Arrays have the shape (…, groups).

Leading axes are free, so that the bench of coverage asks ten thousand worlds the very question that a report asks one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fairness.exact import enough, guarded_difference, guarded_rate, guarded_ratio
from fairness.extremes import gaps_to_highest, impact_ratios
from fairness.intervals import Floats, Interval, koopman, newcombe, simultaneous, wilson

Comparison = Literal[
    "impact_ratio", "difference", "ratio_to_reference", "difference_to_reference", "at_least", "at_most"
]
TO_REFERENCE = ("ratio_to_reference", "difference_to_reference")
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Decision:
    """The compared values, and intervals of them: `alone` holds for one group at a time and has to lie inside for all,
    `sure` holds for all groups together and proves a breach.

    `inside`: `alone` lies within the bound. `solid`: enough rows have either outcome to rely upon that.
    """

    shown: Floats
    alone: Interval
    sure: Interval
    outside: Flags
    inside: Flags
    solid: Flags

    @property
    def within(self) -> Flags:
        return self.inside & self.solid & ~self.outside


def limits(comparison: Comparison, bound: float) -> tuple[float, float]:
    """The bound as the allowed range of the compared value."""
    if comparison in ("impact_ratio", "at_least"):
        return bound, np.inf
    if comparison == "ratio_to_reference":
        return bound, 1 / bound
    if comparison == "difference_to_reference":
        return -bound, bound
    return -np.inf, bound


def decide(
    comparison: Comparison, bound: float, confidence: float, at: float, p: Floats, n: Floats,
    base: tuple[Floats, Floats] | None = None,
) -> Decision:  # fmt: skip
    """Set groups' shares `p` of `n` rows against a bound; `at` is the confidence of each interval of a breach.

    `base` has the reference group's share and size, of the shape (…, 1), for comparisons with a reference.
    """
    solid = enough(p, n, confidence)
    if comparison in TO_REFERENCE:
        assert base is not None
        solid = solid & enough(*base, confidence)
        shown, alone, sure = _to_reference(comparison, confidence, at, p, n, base)
    else:
        shown, alone, sure = _among(comparison, confidence, at, p, n)
    least, most = limits(comparison, bound)
    outside = (sure.high < least) | (sure.low > most)
    inside = (alone.low >= least) & (alone.high <= most) & ~outside
    return Decision(shown, alone, sure, outside, inside, solid)


def _among(
    comparison: Comparison, confidence: float, at: float, p: Floats, n: Floats
) -> tuple[Floats, Interval, Interval]:
    together = guarded_rate(p, n, at)
    if comparison in ("at_least", "at_most"):
        return p, wilson(p, n, confidence), together
    # An attribute passes when all its groups do, so other attributes do not widen that; a breach is sought in them all.
    here = guarded_rate(p, n, simultaneous(confidence, p.shape[-1]))
    top = p.max(axis=-1, keepdims=True)
    if comparison == "impact_ratio":
        return ratios_to(p, top), impact_ratios(here), impact_ratios(together)
    return top - p, gaps_to_highest(here), gaps_to_highest(together)


def _to_reference(
    comparison: Comparison, confidence: float, at: float, p: Floats, n: Floats, base: tuple[Floats, Floats]
) -> tuple[Floats, Interval, Interval]:
    if comparison == "ratio_to_reference":
        return ratios_to(p, base[0]), koopman(p, n, *base, confidence), guarded_ratio(p, n, *base, at)
    return p - base[0], newcombe(p, n, *base, confidence), guarded_difference(p, n, *base, at)


def ratios_to(p: Floats, base: Floats) -> Floats:
    """Shares `p` against the one that they are compared with. Nobody here and nobody there is as many."""
    return np.divide(p, base, out=np.where(p > 0, np.inf, 1.0), where=base > 0)
