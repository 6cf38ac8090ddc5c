"""Whether a group's probabilities are borne out: logistic recalibration, bins, and the error to expect by chance.

Recalibration (Cox, Biometrika 45 (1958) 562) fits the log odds of the outcome to the log odds of the probability. The
intercept is that of a fit whose slope is 1 (over 0: probabilities are too low), the slope that of a fit with both
(under 1: they are too extreme). Calibrated probabilities have 0 and 1. Bins are cut once, for all rows together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fairness.metrics import Floats
from fairness.ranking import NOTHING, Estimate
from fairness.tallying import Tally

# How far from 0 and 1 a probability must stay to have log odds; rows beyond are moved there and counted.
EDGE = 1e-6
BINS = 10
CLOSE = 1e-12


def edges(tally: Tally, bins: int = BINS) -> Floats:
    """Upper ends of bins that hold about equally many of all rows, ascending; fewer where scores repeat."""
    upto = np.cumsum(tally.n.sum(axis=1))
    at = np.searchsorted(upto, upto[-1] * np.arange(1, bins + 1) / bins, side="left")
    return np.unique(tally.score[np.minimum(at, len(upto) - 1)])


@dataclass(frozen=True)
class Bins:
    """By bin, each of shape (bins,): rows, Σw, Σw², and by label 1 Σw and Σw²; and the weighted mean probability."""

    n: Floats
    w: Floats
    w2: Floats
    top: Floats
    top2: Floats
    predicted: Floats

    @property
    def observed(self) -> Floats:
        return np.divide(self.top, self.w, out=np.full_like(self.w, np.nan), where=self.w > 0)


def binned(tally: Tally, ends: Floats) -> Bins:
    """A group's rows in the bins that `edges` cut; mean probability NaN in an empty one."""
    at = np.searchsorted(ends, tally.score, side="left")

    def sums(part: Floats) -> Floats:
        return np.bincount(at, weights=part, minlength=len(ends)).astype(np.float64)

    w = sums(tally.w.sum(axis=1))
    scores = sums(tally.w.sum(axis=1) * tally.score)
    predicted = np.divide(scores, w, out=np.full_like(w, np.nan), where=w > 0)
    squares = sums(tally.w2.sum(axis=1))
    return Bins(sums(tally.n.sum(axis=1)), w, squares, sums(tally.w[:, 1]), sums(tally.w2[:, 1]), predicted)


def expected_error(bins: Bins) -> float:
    """Mean distance between mean probability and observed share over rows (ECE); NaN without rows."""
    full = bins.w > 0
    if not full.any():
        return math.nan
    return float((bins.w[full] * np.abs(bins.observed - bins.predicted)[full]).sum() / bins.w.sum())


def error_by_chance(bins: Bins) -> float:
    """The ECE to expect of so many rows with these probabilities if they were calibrated exactly; NaN without rows.

    The mean distance of a binomial share from its probability is De Moivre's; weighted rows count by Kish's size.
    """
    full = np.flatnonzero(bins.w > 0)
    if not len(full):
        return math.nan
    sizes = np.maximum(1, np.rint(bins.w[full] ** 2 / bins.w2[full]))
    distances = [mean_distance(int(n), float(p)) for n, p in zip(sizes, bins.predicted[full], strict=True)]
    return float((bins.w[full] * np.array(distances)).sum() / bins.w.sum())


def mean_distance(n: int, p: float) -> float:
    """E|X/n − p| where X is binomial (Diaconis and Zabell, Stat. Sci. 6 (1991) 284)."""
    if not 0 < p < 1:
        return 0.0
    k = min(math.floor(n * p), n - 1)
    log_choose = math.lgamma(n + 1) - math.lgamma(k + 2) - math.lgamma(n - k)
    return 2 * (k + 1) / n * math.exp(log_choose + (k + 1) * math.log(p) + (n - k) * math.log1p(-p))


@dataclass(frozen=True)
class Recalibration:
    """Intercept (with slope 1) and slope.

    `moved` counts rows whose probability is almost 0 or 1, `why` says what is missing; it is empty where nothing is.
    """

    intercept: Estimate = NOTHING
    slope: Estimate = NOTHING
    moved: int = 0
    why: str = ""


def recalibrated(tally: Tally) -> Recalibration:
    """Fit by Newton's method. Standard errors of weighted rows are Huber's, of others those of the information."""
    n = tally.n.sum(axis=0)
    clipped = np.clip(tally.score, EDGE, 1 - EDGE)
    moved = int(tally.n[clipped != tally.score].sum())
    if not (n > 0).all():
        return Recalibration(moved=moved, why="all its outcomes are the same")
    x = np.log(clipped / (1 - clipped))
    (intercept, _), (error, _) = _fit(x, tally, free=False)
    found = Estimate(intercept, error)
    no, yes = clipped[tally.n[:, 0] > 0], clipped[tally.n[:, 1] > 0]
    if no.max() <= yes.min() or yes.max() <= no.min():
        return Recalibration(found, moved=moved, why="its probabilities part the outcomes wholly")
    (_, slope), (_, error) = _fit(x, tally, free=True)
    why = "its probabilities are too much alike" if math.isnan(slope) else ""
    return Recalibration(found, Estimate(slope, error), moved, why)


def _fit(x: Floats, tally: Tally, *, free: bool) -> tuple[tuple[float, float], tuple[float, float]]:
    """Intercept and slope (`free`, or else 1) of a logistic regression that has a finite maximum, and their errors.

    NaN where the probabilities differ too little to give a slope.
    """
    weights, yes = tally.w.sum(axis=1), tally.w[:, 1]
    a, b, best = 0.0, 1.0, _likelihood(x, weights, yes)
    gain = math.inf
    # The last step, which hardly gains anything, squares an error that is small already.
    while gain > CLOSE * abs(best):
        chance = _expit(a + b * x)
        left = yes - weights * chance
        slope = (float(left.sum()), float((left * x).sum()) if free else 0.0)
        over, by = _times(_inverse(_squares(x, weights * chance * (1 - chance)), free), slope)
        if math.isnan(over):
            return (math.nan, math.nan), (math.nan, math.nan)
        # A step too far is halved until it leads upwards.
        while (new := _likelihood(a + over + (b + by) * x, weights, yes)) < best - CLOSE * abs(best):
            over, by = over / 2, by / 2
        a, b, gain, best = a + over, b + by, new - best, max(best, new)
    chance = _expit(a + b * x)
    inverse = _inverse(_squares(x, weights * chance * (1 - chance)), free)
    errors = (inverse[0], inverse[2])
    if not np.array_equal(tally.w, tally.w2):
        spread = _squares(x, tally.w2[:, 0] * chance**2 + tally.w2[:, 1] * (1 - chance) ** 2)
        errors = (_around(spread, inverse[:2]), _around(spread, inverse[1:]))
    return (a, b), (math.sqrt(errors[0]), math.sqrt(errors[1]))


# A symmetric matrix of two rows is its three numbers. Sums are numpy's, in a fixed order: those of a linear algebra
# library may depend on its threads.
Matrix = tuple[float, float, float]


def _squares(x: Floats, by: Floats) -> Matrix:
    """Sums over rows of 1, x and x², each times `by`."""
    once = by * x
    return float(by.sum()), float(once.sum()), float((once * x).sum())


def _inverse(m: Matrix, free: bool) -> Matrix:
    """Of the whole matrix, NaN where it has none, or of its first number alone."""
    if not free:
        return 1 / m[0], 0.0, 0.0
    size = m[0] * m[2] - m[1] ** 2
    if not size > CLOSE * m[0] * m[2]:
        return math.nan, math.nan, math.nan
    return m[2] / size, -m[1] / size, m[0] / size


def _times(m: Matrix, v: tuple[float, float]) -> tuple[float, float]:
    return m[0] * v[0] + m[1] * v[1], m[1] * v[0] + m[2] * v[1]


def _around(m: Matrix, v: tuple[float, ...]) -> float:
    """vᵀ m v"""
    return v[0] ** 2 * m[0] + 2 * v[0] * v[1] * m[1] + v[1] ** 2 * m[2]


def _likelihood(odds: Floats, weights: Floats, yes: Floats) -> float:
    return float((yes * odds - weights * np.logaddexp(0.0, odds)).sum())


def _expit(x: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(x / 2)))
