"""Confidence intervals for rates, their differences and their ratios.

Rates are given as a share `p` and a size `n`; with weights `n` is the effective size and need not be whole.
Everything is vectorised over groups. Sources: Wilson, J. Am. Stat. Assoc. 22 (1927) 209; Newcombe, Stat. Med. 17 (1998)
857 and 873; Koopman, Biometrics 40 (1984) 513; Kish, Survey Sampling (1965).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """Bounds of the same shape as the values they belong to."""

    low: Floats
    high: Floats


def critical(confidence: float) -> float:
    """Two-sided normal quantile: 1.96 for 0.95."""
    if not 0 < confidence < 1:
        raise ValueError("confidence lies between 0 and 1")
    return NormalDist().inv_cdf((1 + confidence) / 2)


def simultaneous(confidence: float, comparisons: int) -> float:
    """The confidence at which each of several intervals must be taken so that all hold together (Bonferroni)."""
    return 1 - (1 - confidence) / max(1, comparisons)


def effective_size(top: ArrayLike, bottom: ArrayLike, top_squares: ArrayLike, bottom_squares: ArrayLike) -> Floats:
    """Rows of equal weight that would be as informative about a weighted share; 0 where nothing was weighed.

    `top` and `bottom` are the sums of weights whose quotient is the share, `…_squares` those of squared weights. It is
    the smaller of Kish's size and the size that gives the share its linearised variance, so that heavy weights among
    the rarer outcome count in full. Without weights it is the number of rows.
    """
    a, b, a2, b2 = (np.asarray(x, dtype=np.float64) for x in (top, bottom, top_squares, bottom_squares))
    share = np.divide(a, b, out=np.zeros_like(b), where=b > 0)
    kish = np.divide(b**2, b2, out=np.zeros_like(b), where=b2 > 0)
    spread = (1 - share) ** 2 * a2 + share**2 * np.maximum(b2 - a2, 0.0)
    by_variance = np.divide(share * (1 - share) * b**2, spread, out=kish.copy(), where=(spread > 0) & (a > 0) & (a < b))
    return np.asarray(np.minimum(kish, by_variance))


def wilson(p: ArrayLike, n: ArrayLike, confidence: float = 0.95) -> Interval:
    """Score interval for shares; where n is 0 nothing is known and the interval is [0, 1]."""
    share, size = np.broadcast_arrays(np.asarray(p, dtype=np.float64), np.asarray(n, dtype=np.float64))
    z2 = critical(confidence) ** 2
    known = size > 0
    share = np.where(known, share, 0.5)
    size = np.where(known, size, 1.0)
    middle = share + z2 / (2 * size)
    reach = np.sqrt(z2 * (share * (1 - share) / size + z2 / (4 * size**2)))
    scale = 1 + z2 / size
    low = np.where(share <= 0, 0.0, np.clip((middle - reach) / scale, 0.0, share))
    high = np.where(share >= 1, 1.0, np.clip((middle + reach) / scale, share, 1.0))
    return Interval(np.where(known, low, 0.0), np.where(known, high, 1.0))


def newcombe(p: ArrayLike, n: ArrayLike, p0: ArrayLike, n0: ArrayLike, confidence: float = 0.95) -> Interval:
    """Hybrid score interval for the difference p − p0 of independent shares (Newcombe's method 10)."""
    a, b = wilson(p, n, confidence), wilson(p0, n0, confidence)
    share, share0 = np.asarray(p, dtype=np.float64), np.asarray(p0, dtype=np.float64)
    gap = share - share0
    return Interval(
        gap - np.hypot(share - a.low, b.high - share0),
        gap + np.hypot(a.high - share, share0 - b.low),
    )


def koopman(p: ArrayLike, n: ArrayLike, p0: ArrayLike, n0: ArrayLike, confidence: float = 0.95) -> Interval:
    """Score interval for the ratio p / p0 of independent shares; the upper bound is inf where p0 is 0."""
    share, size, share0, size0 = (
        np.atleast_1d(x) for x in np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (p, n, p0, n0)))
    )
    given = (share, size, share0, size0)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = np.log(share / share0)
    known = (size > 0) & (size0 > 0)
    least, most = _roots(given, middle, critical(confidence))
    low = np.where(known & (share > 0), least, 0.0)
    high = np.where(known & (share0 > 0), most, np.inf)
    shape = np.broadcast_shapes(*(np.shape(x) for x in (p, n, p0, n0)))
    return Interval(low.reshape(shape), high.reshape(shape))


REACH = 60.0


def _roots(given: tuple[Floats, Floats, Floats, Floats], middle: Floats, z: float) -> Floats:
    """The ratios at which the score equals z and −z, sought by halving their logarithms between the estimate and far
    away. Nearly all the time goes into calling numpy, so both are sought at once, and what no ratio changes is computed
    before.
    """
    share, size, share0, size0 = given
    both, yes, size_and_yes0 = size + size0, share * size + share0 * size0, size + share0 * size0
    side = np.array([-1.0, 1.0]).reshape(2, *(1 for _ in middle.shape))
    near = np.where(np.isfinite(middle), middle, -side * REACH)
    far = near + side * REACH * np.where(np.isfinite(middle), 1.0, 2.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(70):
            half = (near + far) / 2
            ratio = np.exp(half)
            a = both * ratio
            b = ratio * size_and_yes0 + share * size + size0
            likely0 = (b - np.sqrt(np.maximum(b**2 - 4 * a * yes, 0.0))) / (2 * a)
            likely = np.minimum(np.maximum(ratio * likely0, 0.0), 1.0)
            variance = likely * (1 - likely) / size + ratio**2 * likely0 * (1 - likely0) / size0
            gap = np.abs(share - ratio * share0)
            beyond = (gap >= 1e-15) & (gap / np.sqrt(np.maximum(variance, 0.0)) > z)
            far = np.where(beyond, half, far)
            near = np.where(beyond, near, half)
    return np.asarray(np.exp((near + far) / 2))


def p_value(p: ArrayLike, n: ArrayLike, p0: ArrayLike, n0: ArrayLike) -> Floats:
    """Two-sided p of equal shares by the pooled score (z) test; 1 where both groups are all alike."""
    share, size, share0, size0 = (np.asarray(x, dtype=np.float64) for x in (p, n, p0, n0))
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = (share * size + share0 * size0) / (size + size0)
        score = np.abs(share - share0) / np.sqrt(pooled * (1 - pooled) * (1 / size + 1 / size0))
    normal = NormalDist()
    tails = [2 * (1 - normal.cdf(float(s))) if s < 8 else _far_tail(float(s)) for s in np.nan_to_num(score).reshape(-1)]
    return np.array(tails, dtype=np.float64).reshape(np.shape(score))


def _far_tail(score: float) -> float:
    return float(np.sqrt(2 / np.pi) * np.exp(-(score**2) / 2) / score) if score < 38 else 0.0


def holm(p: ArrayLike) -> Floats:
    """p-values corrected over their family (Holm, Scand. J. Stat. 6 (1979) 65)."""
    raw = np.asarray(p, dtype=np.float64)
    order = np.argsort(raw, kind="stable")
    steps = raw[order] * np.arange(len(raw), 0, -1)
    out = np.empty_like(raw)
    out[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return out
