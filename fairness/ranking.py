"""What scores say of a group: how well they rank it, how far they are from its outcomes, how high they are.

The area under the ROC curve is the share of pairs, a positive and a negative row, in which the positive one has the
higher score; a tie counts half. Its variance is DeLong's (Biometrics 44 (1988) 837). Means have the variance of the
linearised weighted mean. A standardised mean difference has the large-sample variance of Hedges and Olkin (Statistical
Methods for Meta-Analysis (1985), chapter 5). Where every row counts once, all are the textbook formulas.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fairness.intervals import critical
from fairness.metrics import Floats
from fairness.tallying import Tally

# Scikit-learn's: how far from 0 and 1 a probability must stay in a logarithm.
TINY = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Estimate:
    """A figure with its standard error; NaN where the rows cannot give it."""

    value: float = math.nan
    error: float = math.nan


NOTHING = Estimate()


def auc(tally: Tally) -> Estimate:
    """Area under the ROC curve. NaN without both labels; no standard error below two rows of each."""
    n, total = tally.n.sum(axis=0), tally.w.sum(axis=0)
    if not (n > 0).all():
        return NOTHING
    negative, positive = tally.w[:, 0], tally.w[:, 1]
    # Of a positive row: the share of negative ones below it. Of a negative row: that of positive ones above it.
    below = (np.cumsum(negative) - negative / 2) / total[0]
    above = (total[1] - np.cumsum(positive) + positive / 2) / total[1]
    value = float((positive * below).sum() / total[1])
    if (n < 2).any():
        return Estimate(value)
    variance = _variance(below, tally.w2[:, 1], total[1], n[1], value)
    variance += _variance(above, tally.w2[:, 0], total[0], n[0], value)
    return Estimate(value, math.sqrt(variance))


def mean(values: Floats, tally: Tally) -> Estimate:
    """Mean over rows of a value by score and label, shape (scores, 2); no standard error below two rows."""
    total, n = float(tally.w.sum()), float(tally.n.sum())
    if not n > 0:
        return NOTHING
    value = float((tally.w * values).sum() / total)
    if n < 2:
        return Estimate(value)
    return Estimate(value, math.sqrt(_variance(values, tally.w2, total, n, value)))


def _variance(values: Floats, squares: Floats, total: float, n: float, value: float) -> float:
    return float((squares * (values - value) ** 2).sum() / total**2 * n / (n - 1))


def mean_score(tally: Tally) -> Estimate:
    return mean(np.stack([tally.score, tally.score], axis=1), tally)


def brier(tally: Tally) -> Estimate:
    """Mean squared distance of probabilities from outcomes."""
    return mean(np.stack([tally.score**2, (1 - tally.score) ** 2], axis=1), tally)


def log_loss(tally: Tally) -> Estimate:
    """Mean of −log of the probability that was given to what happened."""
    yes, no = np.maximum(tally.score, TINY), np.maximum(1 - tally.score, TINY)
    return mean(np.stack([-np.log(no), -np.log(yes)], axis=1), tally)


def bounds(found: Estimate, confidence: float, low: float = -math.inf, high: float = math.inf) -> tuple[float, float]:
    """Normal interval, cut at what is possible."""
    reach = critical(confidence) * found.error
    if math.isnan(reach):
        return math.nan, math.nan
    return max(low, found.value - reach), min(high, found.value + reach)


def auc_bounds(found: Estimate, confidence: float) -> tuple[float, float]:
    """Normal interval of the log odds, so that it stays within 0 and 1.

    NaN where the scores part the labels wholly: the variance is then 0, which says nothing of how sure that is.
    """
    if not 0 < found.value < 1 or not found.error > 0:
        return math.nan, math.nan
    middle = math.log(found.value / (1 - found.value))
    reach = critical(confidence) * found.error / (found.value * (1 - found.value))
    return _expit(middle - reach), _expit(middle + reach)


def _expit(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def difference(one: Estimate, other: Estimate) -> Estimate:
    """Of two groups that share no rows."""
    return Estimate(one.value - other.value, math.hypot(one.error, other.error))


@dataclass(frozen=True)
class Standardised:
    """A difference of means in units of `spread`, the standard deviation pooled over both groups; NaN without one."""

    found: Estimate = NOTHING
    spread: float = math.nan


def standardised(one: Tally, other: Tally) -> Standardised:
    """How much higher the mean score of `one` is than that of `other`, over their pooled standard deviation.

    With weights a group counts as Kish's effective number of rows. The standard error is that of groups that share no
    rows and whose scores are normal and equally spread. Nothing where a group has a single row, or no score differs.
    """
    if len(one.score) == len(other.score) == 1:
        return Standardised()
    (mean_of_one, variance, size), (mean_of_other, against, rows) = _moments(one), _moments(other)
    if not min(size, rows) > 1:
        return Standardised()
    spread = math.sqrt(((size - 1) * variance + (rows - 1) * against) / (size + rows - 2))
    value = (mean_of_one - mean_of_other) / spread
    error = math.sqrt((size + rows) / (size * rows) + value**2 / (2 * (size + rows)))
    return Standardised(Estimate(value, error), spread)


def _moments(tally: Tally) -> tuple[float, float, float]:
    """Mean and variance of the scores, and the number of rows that they are worth."""
    weight, total = tally.w.sum(axis=1), float(tally.w.sum())
    size = total**2 / float(tally.w2.sum())
    middle = float((weight * tally.score).sum() / total)
    spread = float((weight * (tally.score - middle) ** 2).sum() / total)
    return middle, spread * size / (size - 1) if size > 1 else math.nan, size


def median(tally: Tally) -> tuple[float, int]:
    """Median score over weights, halfway between the middle two where there are two; and the rows that have just it."""
    weights = tally.w.sum(axis=1)
    upto, half = np.cumsum(weights), weights.sum() / 2
    at = int(np.searchsorted(upto, half, side="left"))
    if upto[at] == half and at + 1 < len(upto):
        value = float((tally.score[at] + tally.score[at + 1]) / 2)
    else:
        value = float(tally.score[at])
    return value, int(tally.n[tally.score == value].sum())


@dataclass(frozen=True)
class Share:
    """A share of rows by sums of weights and of squared weights; `size` counts rows."""

    top: float
    bottom: float
    top_squares: float
    bottom_squares: float
    size: int


def above(tally: Tally, cut: float) -> Share:
    """Rows whose score is strictly above `cut`, among all."""
    over = tally.score > cut
    return Share(
        float(tally.w[over].sum()), float(tally.w.sum()), float(tally.w2[over].sum()), float(tally.w2.sum()), tally.rows
    )
