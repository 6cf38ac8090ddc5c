"""Rows counted by group, label and score, in bounded memory and in an order that owes nothing to how they came.

While there are at most `LARGEST` different combinations, scores are kept as they are and every figure is exact. Beyond
that the last bits of scores are dropped, one at a time, until the table fits: a row's score then stands for all that
share its leading bits. How many bits are kept depends on the rows alone, for fewer rows never need fewer bits, and
dropping bits twice is the same as dropping them once. Weights are summed as whole multiples of 2^-60 of the unit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairness.metrics import Floats, Ints

LARGEST = 1_000_000
# So many rows wait, beside the table, until they are sorted and counted.
WAITING = 2_000_000
EXACT = 53
FIRST_GRID, LAST_GRID = 24, 1
HALF = 30
LOW = (1 << HALF) - 1


@dataclass(frozen=True)
class Tally:
    """One group's rows by distinct score, ascending.

    `score` has the shape (scores,); `n`, `w` and `w2` (rows, sums of weights and of squared weights) have the shape
    (scores, 2) with the label, 0 or 1, on the last axis.
    """

    score: Floats
    n: Floats
    w: Floats
    w2: Floats

    @property
    def rows(self) -> int:
        return int(self.n.sum())

    def counting(self) -> Tally:
        """The same where weights say how many rows a row stands for."""
        return replace(self, n=self.w, w2=self.w)


@dataclass(frozen=True)
class Table:
    """What was counted: `group` and `label` by combination, in ascending order of score, group and label.

    `bits` is how many leading bits of each score were kept (53: all), `lowest` and `highest` are exact.
    """

    group: Ints
    label: Ints
    score: Floats
    n: Floats
    w: Floats
    w2: Floats
    bits: int
    lowest: float
    highest: float

    @property
    def exact(self) -> bool:
        return self.bits == EXACT

    def tallies(self, to: Ints, groups: int) -> list[Tally]:
        """A tally for each of so many groups; `to` says which one each group of the table belongs to."""
        belongs = np.asarray(to, dtype=np.int64)[self.group]
        order = np.argsort(belongs, kind="stable")
        ends = np.searchsorted(belongs[order], np.arange(groups + 1))
        return [self._one(order[start:end]) for start, end in pairwise(ends)]

    def _one(self, rows: Ints) -> Tally:
        score = self.score[rows]
        first = np.ones(len(rows), dtype=bool)
        first[1:] = score[1:] != score[:-1]
        at = (np.cumsum(first) - 1) * 2 + self.label[rows]
        size = int(first.sum())

        def spread(part: Floats) -> Floats:
            sums = np.bincount(at, weights=part[rows], minlength=2 * size)
            return np.asarray(sums, dtype=np.float64).reshape(size, 2)

        return Tally(score[first], spread(self.n), spread(self.w), spread(self.w2))


class Counter:
    """Counts rows as they come. `unit` is a power of two that no weight exceeds, or None where rows have no weights."""

    def __init__(self, unit: float | None = None, largest: int = LARGEST, waiting: int = WAITING) -> None:
        self.unit, self.largest, self.waiting, self.bits = unit, largest, waiting, EXACT
        self.lowest, self.highest = math.inf, -math.inf
        self._waiting: list[tuple[NDArray[np.int32], Floats, Ints]] = []
        self._rows = 0

    def add(self, group: NDArray[Any], label: NDArray[Any], score: Floats, weight: Floats | None = None) -> None:
        """Rows of groups 0, 1, … with labels 0 or 1 and finite scores; a weight each where there is a unit."""
        if not len(score):
            return
        self.lowest, self.highest = min(self.lowest, float(score.min())), max(self.highest, float(score.max()))
        code = (np.asarray(group, dtype=np.int32) * 2 + label).astype(np.int32)
        sums = np.ones((1, len(code)), dtype=np.int64)
        if self.unit is not None:
            assert weight is not None
            share = weight / self.unit
            sums = np.stack([sums[0], *_fixed(share), *_fixed(share * share)])
        # Adding nothing makes −0.0 a 0.0.
        self._waiting.append((code, _cut(score, self.bits) + 0.0, sums))
        self._rows += len(code)
        if self._rows > self.waiting + self.largest:
            self._settle()

    def finish(self, order: Ints) -> Table:
        """The table, with the groups renumbered: group i becomes order[i]. Raises ValueError without any rows."""
        if not self._waiting:
            raise ValueError("no rows were counted")
        self._settle()
        ((code, score, sums),) = self._waiting
        code = np.asarray(order, dtype=np.int64)[code >> 1] * 2 + (code & 1)
        place = np.lexsort((code, score))
        code, score, sums = code[place], score[place], sums[:, place]
        n = sums[0].astype(np.float64)
        if self.unit is None:
            w, w2 = n, n
        else:
            w, w2 = _float(sums[1], sums[2]) * self.unit, _float(sums[3], sums[4]) * self.unit**2
        middle = np.clip(_middle(score, self.bits), self.lowest, self.highest)
        return Table(code >> 1, code & 1, middle, n, w, w2, self.bits, self.lowest, self.highest)

    def _settle(self) -> None:
        """Make one part of all that wait, by group, label and score; coarser where it has become too large."""
        code, score = (np.concatenate([part[at] for part in self._waiting]) for at in (0, 1))
        order = np.lexsort((score, code))
        sums = np.concatenate([part[2] for part in self._waiting], axis=1)[:, order]
        code, score, sums = _merged(code[order], score[order], sums)
        while len(code) > self.largest and self.bits > LAST_GRID:
            self.bits = FIRST_GRID if self.bits == EXACT else self.bits - 1
            code, score, sums = _merged(code, _cut(score, self.bits), sums)
        self._waiting, self._rows = [(code, score, sums)], len(code)


def _merged(code: NDArray[np.int32], score: Floats, sums: Ints) -> tuple[NDArray[np.int32], Floats, Ints]:
    """Equal neighbours made one. Cutting scores leaves them in order, so that nothing is sorted again."""
    first = np.ones(len(code), dtype=bool)
    first[1:] = (code[1:] != code[:-1]) | (score[1:] != score[:-1])
    at = np.flatnonzero(first)
    return code[at], score[at], np.add.reduceat(sums, at, axis=1)


def _cut(score: Floats, bits: int) -> Floats:
    """Scores with their leading bits only, towards 0."""
    if bits == EXACT:
        return score
    part, power = np.frexp(score)
    return np.asarray(np.ldexp(np.trunc(part * 2.0**bits), power - bits))


def _middle(score: Floats, bits: int) -> Floats:
    """The middle of all scores that have these leading bits."""
    if bits == EXACT:
        return score
    part, power = np.frexp(score)
    return np.asarray(np.ldexp(part * 2.0**bits + np.sign(part) * 0.5, power - bits))


def _fixed(share: Floats) -> tuple[Ints, Ints]:
    whole = np.rint(share * 2.0 ** (2 * HALF)).astype(np.int64)
    return whole >> HALF, whole & LOW


def _float(high: Ints, low: Ints) -> Floats:
    return np.asarray((high.astype(np.float64) * 2.0**HALF + low) * 2.0 ** (-2 * HALF), dtype=np.float64)
