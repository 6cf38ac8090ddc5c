"""Two decisions about each of the same rows: how a rate has moved, and how sure that is.

Counts are given as `both` (yes before and after), `before` (yes before only), `after` (yes after only) and `neither`.
Sources: Newcombe, Stat. Med. 17 (1998) 2635, method 10; McNemar, Psychometrika 12 (1947) 153. Worked examples: Altman,
Machin, Bryant and Gardner, Statistics with Confidence (2nd ed., 2000), table 6.2; Fagerland, Lydersen and Laake, BMC
Med. Res. Methodol. 13 (2013) 91.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fairness.intervals import wilson

# From so many rows that changed sides on, the normal curve is as good as the exact test, and far quicker.
LARGE = 1000


@dataclass(frozen=True)
class Pairs:
    """Rows by decision before and decision after."""

    both: int
    before: int
    after: int
    neither: int

    def __post_init__(self) -> None:
        if min(self.both, self.before, self.after, self.neither) < 0:
            raise ValueError("counts are not negative")

    @property
    def rows(self) -> int:
        return self.both + self.before + self.after + self.neither

    @property
    def old(self) -> float:
        """The rate before."""
        return (self.both + self.before) / self.rows

    @property
    def new(self) -> float:
        """The rate after."""
        return (self.both + self.after) / self.rows


def difference(pairs: Pairs, confidence: float = 0.95) -> tuple[float, float, float]:
    """New rate less old rate with its interval: Wilson intervals of both, joined with the correlation of the pairs."""
    if not pairs.rows:
        raise ValueError("there are no rows")
    old, new, n = pairs.old, pairs.new, pairs.rows
    within = wilson([old, new], [n, n], confidence)
    below_old, below_new = old - float(within.low[0]), new - float(within.low[1])
    above_old, above_new = float(within.high[0]) - old, float(within.high[1]) - new
    phi = correlation(pairs)
    gap = (pairs.after - pairs.before) / n
    return gap, gap - joined(below_new, above_old, phi), gap + joined(above_new, below_old, phi)


def joined(one: float, other: float, phi: float) -> float:
    """The reach of a difference whose sides reach so far and go together as `phi` says."""
    return math.sqrt(max(one**2 - 2 * phi * one * other + other**2, 0.0))


def correlation(pairs: Pairs) -> float:
    """The phi coefficient, brought nearer to 0 by n / 2 in its numerator where it is positive."""
    a, b, c, d = pairs.both, pairs.before, pairs.after, pairs.neither
    spread = (a + b) * (c + d) * (a + c) * (b + d)
    if not spread:
        return 0.0
    top = a * d - b * c
    corrected = max(top - pairs.rows / 2, 0.0) if top > 0 else float(top)
    return corrected / math.sqrt(spread)


def mcnemar(pairs: Pairs) -> float:
    """Two-sided p of no change: exact (binomial) for few rows that changed sides, for many the normal curve.

    The curve has the continuity correction of Edwards, Psychometrika 13 (1948) 185.
    """
    changed = pairs.before + pairs.after
    if not changed:
        return 1.0
    if changed > LARGE:
        return math.erfc(max(abs(pairs.before - pairs.after) - 1, 0) / math.sqrt(2 * changed))
    tail = sum(math.comb(changed, k) for k in range(min(pairs.before, pairs.after) + 1))
    return float(min(1.0, 2 * tail / 2**changed))
