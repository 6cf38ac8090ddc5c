"""Interaction values of decision trees, exact: what two features add to a score together, beyond each by itself.

The Shapley interaction index of a pair is split evenly between both of its places, and what is left of a feature's
attribution is its main effect, so that each row of a matrix adds up to that feature's attribution (Lundberg et al.,
Nature Machine Intelligence 2 (2020) 56, SHAP interaction values). Two ways of leaving features out are worked out:

*With background*, as attributions are here: an absent feature takes the values of the background rows, all features
of one row together. A leaf with a features that only the row x passes and b that only the background row z passes
counts (a-2)! b! / (a+b-1)! for two of the first, a! (b-2)! / (a+b-1)! for two of the second and -(a-1)! (b-1)! /
(a+b-1)! for one of each.

*Along paths*, which is what shap calls tree_path_dependent: an absent feature follows both branches of each of its
tests, weighed by the share of rows that go each way. A leaf counts the product of the features' parts, a feature's part
being whether x passes where it is present and its share r where it is absent; the index is the integral over t from 0
to 1 of the product of t x + (1-t) r over the other features (Owen, Management Science 18 (1972) 64), a polynomial,
which Gauss's quadrature gives exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from fairness.explanation.trees import TABLED, Bits, Floats, Path, Tree, leaves, patterns_of

Step = Callable[[float], None]
# Where nobody goes is taken for next to nobody, so that parts can be divided by.
LEAST = 1e-12


@dataclass(frozen=True)
class Forest:
    """Trees, the feature that `owner` names for each column they see, and what they see of the rows (rows, columns)."""

    trees: Sequence[Tree]
    owner: NDArray[np.int64]
    rows: Floats
    background: Floats

    @property
    def leaves(self) -> int:
        return sum(int((tree.yes < 0).sum()) for tree in self.trees)


def with_background(
    trees: Sequence[Tree], owner: NDArray[np.int64], rows: Floats, background: Floats, width: int,
    step: Step = lambda share: None,
) -> Floats:  # fmt: skip
    """Interaction values (rows, width, width), main effects on the diagonal. `step` may raise to stop.

    `rows` and `background` are what the trees see; `owner` names the feature that each of their columns comes from.
    """
    together, count = np.concatenate([rows, background]), len(rows)
    found = np.zeros((count, width, width))
    for done, tree in enumerate(trees):
        passes, owners = tree.passes(together), owner[tree.column].tolist()
        for leaf, path in leaves(tree):
            if path and tree.value[leaf]:
                patterns, features = patterns_of(passes, path, owners)
                add(found, features, tree.value[leaf] * of_leaf(patterns[:count], patterns[count:], len(features)))
        step((done + 1) / len(trees))
    return found


def along_paths(
    trees: Sequence[Tree], owner: NDArray[np.int64], rows: Floats, seen: Floats, width: int,
    step: Step = lambda share: None,
) -> Floats:  # fmt: skip
    """The same, with the shares of the rows `seen` that go each way at a test; half each where none comes by."""
    found = np.zeros((len(rows), width, width))
    for done, tree in enumerate(trees):
        passes, owners, shares = tree.passes(rows), owner[tree.column].tolist(), ways(tree, seen)
        for leaf, path in leaves(tree):
            if path and tree.value[leaf]:
                patterns, features = patterns_of(passes, path, owners)
                r = parts(path, owners, shares)
                add(found, features, tree.value[leaf] * of_shares(patterns, r))
        step((done + 1) / len(trees))
    return found


def add(found: Floats, features: Sequence[int], amount: Floats) -> None:
    at = np.array(features)
    found[:, at[:, None], at] += amount


def of_leaf(x: Bits, z: Bits, count: int) -> Floats:
    """What a leaf of value 1 gives (rows, features, features), by the features' patterns of rows and background."""
    if count <= TABLED:
        shares = np.bincount(z, minlength=1 << count) / len(z)
        tabled: Floats = (table(count) @ shares).reshape(-1, count, count)[x]
        return tabled
    kinds, place = np.unique(x, return_inverse=True)
    ground, times = np.unique(z, return_counts=True)
    return between(kinds, ground, times / len(z), count)[place]


def between(kinds: Bits, ground: Bits, shares: Floats, count: int) -> Floats:
    """What a leaf gives (patterns of x, features, features), summed over patterns of z with their shares.

    Where the leaf is reached, a feature that z does not pass is one that only x passes, and the other way round.
    """
    mixture, ground_at = np.nonzero((kinds[:, None] | ground[None, :]) == (1 << count) - 1)
    found = np.zeros((len(kinds), count, count))
    if not len(mixture):
        return found
    bits = np.arange(count)
    only_x = 1.0 - (ground[ground_at, None] >> bits & 1)
    only_z = 1.0 - (kinds[mixture, None] >> bits & 1)
    a, b = only_x.sum(axis=1).astype(np.int64), only_z.sum(axis=1).astype(np.int64)
    both_x, mixed, both_z, main_x, main_z = ((each[a, b] * shares[ground_at])[:, None] for each in weights(count))
    # An index is bilinear in who has which feature: what stands on the left for x and for z, times x and z.
    each = (both_x * only_x + mixed * only_z)[:, :, None] * only_x[:, None, :]
    each += (mixed * only_x + both_z * only_z)[:, :, None] * only_z[:, None, :]
    each[:, bits, bits] = main_x * only_x + main_z * only_z
    first = np.flatnonzero(np.diff(mixture, prepend=-1))
    found[mixture[first]] = np.add.reduceat(each, first, axis=0)
    return found


@cache
def table(count: int) -> Floats:
    """`between` for all patterns of so many features as a matrix: (patterns of x × pairs, patterns of z)."""
    patterns = np.arange(1 << count)
    each = [between(patterns, patterns[[z]], np.ones(1), count).reshape(-1) for z in patterns]
    return np.stack(each, axis=1)


@cache
def weights(count: int) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """By a and b from 0 to `count`: half of a pair's index (both x, one of each, both z), and the two main effects.

    A feature's indices with all others add up to what it adds last less what it adds first, so its main effect is its
    attribution less half of that; it needs no pair.
    """
    both_x, mixed, main_x, main_z = (np.zeros((count + 1, count + 1)) for _ in range(4))
    for a in range(1, count + 1):
        for b in range(count + 1 - a):
            attribution = math.factorial(a - 1) * math.factorial(b) / math.factorial(a + b)
            half = ((b == 0) - (a == 1)) / 2
            main_x[a, b], main_z[b, a] = attribution - half, -attribution - half
            if a > 1:
                both_x[a, b] = math.factorial(a - 2) * math.factorial(b) / math.factorial(a + b - 1) / 2
            if b:
                mixed[a, b] = -math.factorial(a - 1) * math.factorial(b - 1) / math.factorial(a + b - 1) / 2
    return both_x, mixed, both_x.T, main_x, main_z


def ways(tree: Tree, seen: Floats) -> Floats:
    """For each node the share of the rows that come by which pass its test."""
    passes = tree.passes(seen)
    shares = np.full(len(tree.yes), 0.5)
    waiting = [(0, np.arange(len(seen)))]
    while waiting:
        node, here = waiting.pop()
        if tree.yes[node] >= 0 and len(here):
            passed = passes[here, node]
            shares[node] = passed.mean()
            waiting += [(int(tree.yes[node]), here[passed]), (int(tree.no[node]), here[~passed])]
    return shares


def parts(path: Path, owners: Sequence[int], shares: Floats) -> Floats:
    """For each feature on a path the share of rows that go along it at all of that feature's tests."""
    held: dict[int, float] = {}
    for node, wanted in path:
        feature = owners[node]
        held[feature] = held.get(feature, 1.0) * float(shares[node] if wanted else 1 - shares[node])
    found: Floats = np.maximum(np.array(list(held.values())), LEAST)
    return found


def of_shares(patterns: Bits, r: Floats) -> Floats:
    """What a leaf of value 1 gives (rows, features, features), where absent features pass with the shares `r`."""
    count = len(r)
    kinds, place = np.unique(patterns, return_inverse=True)
    x = (kinds[:, None] >> np.arange(count) & 1).astype(np.float64)
    gained = x - r
    pair, alone = np.zeros((len(kinds), count, count)), np.zeros((len(kinds), count))
    for t, weight in zip(*points(count), strict=True):
        part = t * x + (1 - t) * r
        inverse = 1 / part
        whole = weight * part.prod(axis=1)[:, None] * inverse
        alone += whole
        pair += whole[:, :, None] * inverse[:, None, :]
    pair *= gained[:, :, None] * gained[:, None, :] / 2
    last = np.where(np.eye(count, dtype=bool), 1.0, x[:, None, :]).prod(axis=2)
    first = r.prod() / r
    bits = np.arange(count)
    pair[:, bits, bits] = gained * (alone - (last - first) / 2)
    return pair[place]


@cache
def points(count: int) -> tuple[list[float], list[float]]:
    """Points and weights on (0, 1) that integrate polynomials of degree `count` - 1 exactly."""
    at, weight = np.polynomial.legendre.leggauss((count + 1) // 2)
    return ((at + 1) / 2).tolist(), (weight / 2).tolist()
