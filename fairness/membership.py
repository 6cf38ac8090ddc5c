"""Selection rates of groups that nobody knows of a row, from the probabilities of belonging to them.

Each row has a probability for each group of one attribute, as BISG makes them from surname and address. The weighted
estimator of a group's rate is Σ p·y / Σ p. It is right where, among rows of the same probability, membership and
decision have nothing to do with each other; else it is off by their mean covariance over the group's share (Chen,
Kallus, Mao, Svacha and Udell, Fairness Under Unawareness, FAT* 2019). What can be said without that is a range: a share
of members who were selected is at least p + y - 1 and at most the smaller of p and y, on average over any rows
(Fréchet's bounds, as in Kallus, Mao and Zhou, Management Science 68 (2022) 1959). Only that range, widened by its
sampling error, decides a rule.

Everything comes from sums by group, hundredth of probability, and decision, in whole multiples of 2^-30: they depend
neither on the order of rows nor on batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fairness import extremes
from fairness.deciding import Comparison, limits, ratios_to
from fairness.exact import enough, guarded_rate
from fairness.intervals import Floats, Interval, wilson
from fairness.metrics import Ints
from fairness.rules import Verdict

UNIT = 1 << 30
BINS = 100
# From here on the threshold estimator counts a row as of the group.
AT_LEAST = 0.5
BY_DECISION = np.tile([0.0, 1.0], (BINS + 1, 1))


@dataclass
class Sums:
    """Rows, sums of probabilities and of their squares, in units of 2^-30: shape (3, groups, BINS + 1, 2)."""

    groups: tuple[str, ...]
    sums: Ints = field(init=False)

    def __post_init__(self) -> None:
        self.sums = np.zeros((3, len(self.groups), BINS + 1, 2), dtype=np.int64)

    def add(self, probability: Floats, selected: NDArray[np.bool_]) -> None:
        """One batch of at most 2^20 rows: probabilities from 0 to 1 of the shape (groups, rows), a decision a row."""
        whole = np.rint(probability * UNIT).astype(np.int64)
        for at, row in enumerate(whole):
            place = (row * BINS >> 30) * 2 + selected
            share = row / UNIT
            for part, weights in enumerate((np.ones(len(row)), row, np.rint(share * share * UNIT))):
                found = np.bincount(place, weights=weights, minlength=2 * (BINS + 1))
                self.sums[part, at] += found.astype(np.int64).reshape(BINS + 1, 2)

    def finish(self) -> Members:
        n, p, p2 = self.sums.astype(np.float64)
        return Members(self.groups, n, p / UNIT, p2 / UNIT)


@dataclass(frozen=True)
class Bounded:
    """A share by group with the number of rows that it is worth."""

    value: Floats
    size: Floats


@dataclass(frozen=True)
class Members:
    """Rows `n`, and sums of probabilities `p` and of their squares `p2`, each of shape (groups, BINS + 1, 2)."""

    groups: tuple[str, ...]
    n: Floats
    p: Floats
    p2: Floats

    @property
    def expected(self) -> Floats:
        """How many rows of each group there are to be expected."""
        return np.asarray(self.p.sum(axis=(1, 2)))

    @property
    def overall(self) -> float:
        """The selection rate of all rows."""
        return float(self.n[0, :, 1].sum() / self.n[0].sum())

    def weighted(self) -> Bounded:
        """The weighted estimator."""
        return self._share(BY_DECISION, np.zeros((BINS + 1, 2)))

    def least(self) -> Bounded:
        """A lower bound, whatever membership and decision have to do with each other.

        Each choice of rows gives one; this is that of the rows in which p + y - 1 is to be expected over 0.
        """
        taken = _from(1 - self.overall)
        return self._share(taken * np.ones(2), taken * np.array([-1.0, 0.0]))

    def most(self) -> Bounded:
        """An upper bound: decisions where they are to be expected under the probability, else the probability."""
        taken = _from(self.overall)
        return self._share((1 - taken) * np.ones(2), taken * np.array([0.0, 1.0]))

    def by_threshold(self) -> tuple[Ints, Floats]:
        """Rows whose probability is at least a half, and their selection rate, NaN without any."""
        rows = self.n[:, round(AT_LEAST * BINS) :, :].sum(axis=1)
        count = rows.sum(axis=1)
        share = np.divide(rows[:, 1], count, out=np.full(len(count), np.nan), where=count > 0)
        return count.astype(np.int64), share

    def _share(self, slope: Floats, rest: Floats) -> Bounded:
        """Σ (slope·p + rest) / Σ p, either by bin and decision; cut at 0 and 1. Worth as many rows as give its
        linearised variance, and never more than Kish's number for weights p."""
        total, square = self.expected, self.p2.sum(axis=(1, 2))
        kish = np.divide(total**2, square, out=np.zeros_like(total), where=square > 0)
        top = (slope * self.p + rest * self.n).sum(axis=(1, 2))
        value = np.clip(np.divide(top, total, out=np.zeros_like(total), where=total > 0), 0.0, 1.0)
        turned = slope - value[:, None, None]
        squares = (turned**2 * self.p2 + 2 * turned * rest * self.p + rest**2 * self.n).sum(axis=(1, 2))
        open_ = (squares > 0) & (value > 0) & (value < 1)
        size = np.divide(value * (1 - value) * total**2, squares, out=kish.copy(), where=open_)
        return Bounded(value, np.minimum(kish, size))


def _from(edge: float) -> Floats:
    """1 for bins whose middle lies over an edge, and for a probability of just 1; never for next to 0. A column."""
    taken = np.append((np.arange(BINS) + 0.5) / BINS > edge, True).astype(np.float64)
    taken[0] = 0.0
    return np.asarray(taken[:, None])


def sampling(members: Members, confidence: float) -> Interval:
    """Interval of the weighted estimator for sampling alone."""
    found = members.weighted()
    return wilson(found.value, found.size, confidence)


def honest(members: Members, at: float) -> Interval:
    """The range in which each group's rate lies whatever membership and decision have to do with each other, with
    sampling error at the confidence `at` on either side."""
    least, most = members.least(), members.most()
    return Interval(guarded_rate(least.value, least.size, at).low, guarded_rate(most.value, most.size, at).high)


@dataclass(frozen=True)
class Judged:
    """One group under a rule: the compared value, its range, and the verdict there."""

    verdict: Verdict
    value: float | None = None
    low: float | None = None
    high: float | None = None


def compared(comparison: Comparison, rates: Floats, range_: Interval, reference: int | None) -> tuple[Floats, Interval]:
    """The value that a rule compares, by group, and its range. The reference's own is exactly 1 or 0."""
    if comparison in ("at_least", "at_most"):
        return rates, range_
    if comparison == "impact_ratio":
        return ratios_to(rates, rates.max()), extremes.impact_ratios(range_)
    if comparison == "difference":
        return rates.max() - rates, extremes.gaps_to_highest(range_)
    assert reference is not None, "a comparison with a reference needs one"
    base, low, high = rates[reference], range_.low[reference], range_.high[reference]
    if comparison == "ratio_to_reference":
        with np.errstate(divide="ignore"):
            found, least, most = ratios_to(rates, base), range_.low / high, range_.high / low
        own = 1.0
    else:
        found, least, most, own = rates - base, range_.low - high, range_.high - low, 0.0
    for each in (found, least, most):
        each[reference] = own
    return found, Interval(least, most)


def judged(
    members: Members, comparison: Comparison, bound: float, minimum: int, confidence: float, at: float,
    reference: str | None,
) -> list[Judged]:  # fmt: skip
    """Each group's verdict; `at` is the confidence that holds for the whole family. A group with fewer rows to be
    expected than the minimum is neither compared nor compared with."""
    tested = [i for i, rows in enumerate(members.expected) if rows >= minimum]
    names = [members.groups[i] for i in tested]
    found = [Judged("too_few") for _ in members.groups]
    needs = 1 if comparison in ("at_least", "at_most") else 2
    to_reference = comparison in ("ratio_to_reference", "difference_to_reference")
    if len(tested) < needs or (to_reference and reference not in names):
        return found
    least, most, range_ = members.least(), members.most(), honest(members, at)
    solid = enough(least.value, least.size, confidence) & enough(most.value, most.size, confidence)
    base = names.index(reference) if to_reference and reference else None
    part = Interval(range_.low[tested], range_.high[tested])
    value, seen = compared(comparison, members.weighted().value[tested], part, base)
    lowest, highest = limits(comparison, bound)
    # What a group is compared with rests on rows of its own.
    firm = bool(solid[tested].all())
    for place, i in enumerate(tested):
        low, high = float(seen.low[place]), float(seen.high[place])
        verdict: Verdict = "inconclusive"
        if low > highest or high < lowest:
            verdict = "outside"
        elif low >= lowest and high <= highest and (firm or place == base):
            verdict = "within"
        found[i] = Judged(verdict, float(value[place]), low, high)
    return found


def family(members: Members, minimums: Sequence[int]) -> int:
    """How many groups rules with these minimum sizes judge together."""
    return int(sum((members.expected >= minimum).sum() for minimum in minimums))
