"""Bounds and tests that hold at any number of rows, for where a normal approximation does not.

Clopper–Pearson bounds never cover less often than they say; with weights `n` is the effective size (Korn and Graubard,
Survey Methodology 24 (1998) 193). The guarded intervals are those of `intervals`, widened by them where few rows have
one of the two outcomes. Sources: Clopper and Pearson, Biometrika 26 (1934) 404; Fisher, Statistical Methods for
Research Workers (1934), § 21.02.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairness.intervals import Floats, Interval, koopman, newcombe, wilson

# Events, or rows without one, under which exact bounds widen a score interval. Far in the tail, where intervals are
# taken so that ten groups hold together, a score interval at 8 expected events misses almost twice as often as it says.
EXACT_UNDER = 20.0
# Events and rows without one that must be expected for a score interval to show that a bound is kept.
EXPECTED = 5.0
# Rows of two groups together up to which Fisher's test is computed; beyond, the score test says the same.
FISHER_ROWS = 100_000
TINY = 1e-300
STEPS = 200
LOG_GAMMA = np.frompyfunc(math.lgamma, 1, 1)


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Regularised incomplete beta function for a, b > 0 and 0 < x < 1, by Lentz's continued fraction."""
    return _incomplete(a, b, x, _log_front(a, b, x))


def _incomplete(a: float, b: float, x: float, log_front: float) -> float:
    turned = x > (a + 1) / (a + b + 2)
    one, other, at = (b, a, 1 - x) if turned else (a, b, x)
    value = math.exp(log_front) / one * _fraction(one, other, at)
    return 1 - value if turned else value


def _log_front(a: float, b: float, x: float) -> float:
    gammas = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return gammas + a * math.log(x) + b * math.log1p(-x)


def _fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    out = d
    for m in range(1, STEPS):
        step = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d, c = 1 / (1 + step * d), 1 + step / c
        out *= d * c
        step = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d, c = 1 / (1 + step * d), 1 + step / c
        out *= d * c
        if abs(d * c - 1) < 1e-14:
            break
    return out


@functools.lru_cache(maxsize=20_000)
def _beta_quantile(tail: float, a: float, b: float) -> float:
    """Where the incomplete beta function is `tail`, under a half.

    Newton's steps on the logarithm of the function, which is concave in the log-odds, within a closing bracket.
    """
    low, high, at = -700.0, 36.0, math.log(a / b)
    for _ in range(STEPS):
        x = 1 / (1 + math.exp(-at))
        log_front = _log_front(a, b, x)
        found = max(_incomplete(a, b, x, log_front), TINY)
        over = math.log(found / tail)
        low, high = (at, high) if over < 0 else (low, at)
        moved = at - over * found / max(math.exp(log_front), TINY)
        moved = moved if low < moved < high else (low + high) / 2
        near = abs(moved - at) < 1e-10 * max(1.0, abs(at))
        at = moved
        if near:
            break
    return 1 / (1 + math.exp(-at))


def clopper_pearson(p: ArrayLike, n: ArrayLike, confidence: float = 0.95) -> Interval:
    """Exact interval for shares; where n is 0 nothing is known and the interval is [0, 1]."""
    share, size = np.broadcast_arrays(np.asarray(p, dtype=np.float64), np.asarray(n, dtype=np.float64))
    tail = (1 - confidence) / 2
    low, high = np.zeros(share.shape), np.ones(share.shape)
    for at in np.ndindex(share.shape):
        p1, n1 = float(share[at]), float(size[at])
        k = p1 * n1
        if n1 > 0 and k > 0:
            low[at] = min(p1, _beta_quantile(tail, k, n1 - k + 1))
        if n1 > 0 and k < n1:
            high[at] = max(p1, 1 - _beta_quantile(tail, n1 - k, k + 1))
    return Interval(low, high)


def _hull(one: Interval, other: Interval) -> Interval:
    return Interval(np.minimum(one.low, other.low), np.maximum(one.high, other.high))


def _few(p: Floats, n: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.minimum(p, 1 - p) * n < EXACT_UNDER)


def guarded_rate(p: ArrayLike, n: ArrayLike, confidence: float) -> Interval:
    """Wilson's interval, and where one outcome is rare the exact one too, whichever is wider."""
    share, size = np.broadcast_arrays(np.asarray(p, dtype=np.float64), np.asarray(n, dtype=np.float64))
    score = wilson(share, size, confidence)
    few = _few(share, size) & (size > 0)
    low, high = score.low.copy(), score.high.copy()
    if few.any():
        wide = _hull(Interval(low[few], high[few]), clopper_pearson(share[few], size[few], confidence))
        low[few], high[few] = wide.low, wide.high
    return Interval(low, high)


def guarded_difference(p: ArrayLike, n: ArrayLike, p0: ArrayLike, n0: ArrayLike, confidence: float) -> Interval:
    """Newcombe's interval for p − p0, widened where one outcome is rare by the exact bounds of both, half the error
    each.
    """
    score = newcombe(p, n, p0, n0, confidence)
    few, own, base = _apart(p, n, p0, n0, confidence)
    wide = _hull(score, Interval(own.low - base.high, own.high - base.low))
    return Interval(np.where(few, wide.low, score.low), np.where(few, wide.high, score.high))


def guarded_ratio(p: ArrayLike, n: ArrayLike, p0: ArrayLike, n0: ArrayLike, confidence: float) -> Interval:
    """Koopman's interval for p / p0, widened likewise; the upper bound is inf where p0 may be 0."""
    score = koopman(p, n, p0, n0, confidence)
    few, own, base = _apart(p, n, p0, n0, confidence)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        high = np.where(base.low > 0, own.high / base.low, np.inf)
    wide = _hull(score, Interval(own.low / base.high, high))
    return Interval(np.where(few, wide.low, score.low), np.where(few, wide.high, score.high))


def _apart(
    p: ArrayLike, n: ArrayLike, p0: ArrayLike, n0: ArrayLike, confidence: float
) -> tuple[NDArray[np.bool_], Interval, Interval]:
    """Where an outcome is rare in either group, and intervals for both that hold together."""
    half = (1 + confidence) / 2
    share, size = np.asarray(p, dtype=np.float64), np.asarray(n, dtype=np.float64)
    base = np.asarray(p0, dtype=np.float64), np.asarray(n0, dtype=np.float64)
    few = _few(share, size) | _few(*base)
    if not few.any():
        nothing = Interval(share, share)
        return few, nothing, nothing
    return few, clopper_pearson(share, size, half), clopper_pearson(*base, half)


def enough(p: ArrayLike, n: ArrayLike, confidence: float) -> NDArray[np.bool_]:
    """Whether it is sure that five events, and five rows without one, were to be expected: see `EXPECTED`."""
    found, size = wilson(p, n, confidence), np.asarray(n, dtype=np.float64)
    return np.asarray((found.low * size >= EXPECTED) & ((1 - found.high) * size >= EXPECTED))


def fisher(k: int, n: int, k0: int, n0: int) -> float:
    """Two-sided p of equal shares k/n and k0/n0: all tables with these margins that are no likelier than the one seen.

    As R's fisher.test it takes tables within 1e-7 of the seen one's chance for equally likely.
    """
    events = k + k0
    at = np.arange(max(0, events - n0), min(n, events) + 1, dtype=np.float64)

    def choose(of: int, take: Floats) -> Floats:
        logs = LOG_GAMMA(take + 1) + LOG_GAMMA(of - take + 1)
        return math.lgamma(of + 1) - np.asarray(logs, dtype=np.float64)

    logs = choose(n, at) + choose(n0, events - at)
    chance = np.exp(logs - logs.max())
    seen = chance[k - int(at[0])]
    return float(min(1.0, chance[chance <= seen * (1 + 1e-7)].sum() / chance.sum()))
