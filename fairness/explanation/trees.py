"""Interventional Shapley values of decision trees, exact, without asking the model.

A leaf is reached by a mixture of a row x and a background row z when, for each feature on its path, the one or the
other passes that feature's tests. With a features that only x passes and b that only z passes, the leaf's value counts
(a-1)! b! / (a+b)! for each of the first and -a! (b-1)! / (a+b)! for each of the second (Lundberg et al., Nature Machine
Intelligence 2 (2020) 56, interventional TreeSHAP). Rows that pass the same tests are alike, so each leaf is worked out
once for each pattern of tests passed instead of once for each pair of rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bits = NDArray[np.int64]
# Up to so many features on a path all patterns are worked out beforehand.
TABLED = 6


@dataclass(frozen=True)
class Tree:
    """Nodes by number, the root is 0. `yes[i]` is -1 for a leaf, else the next node where the test holds.

    `passes(rows)` says which of the rows (rows, columns) pass each node's test: (rows, nodes) of booleans.
    """

    column: NDArray[np.int64]
    passes: Callable[[NDArray[np.float64]], NDArray[np.bool_]]
    yes: NDArray[np.int64]
    no: NDArray[np.int64]
    value: Floats


Path = list[tuple[int, bool]]


def leaves(tree: Tree) -> Iterator[tuple[int, Path]]:
    """Each leaf with the tests on its way: number of the node, and whether it holds."""
    waiting: list[tuple[int, Path]] = [(0, [])]
    while waiting:
        node, path = waiting.pop()
        if tree.yes[node] < 0:
            yield node, path
        else:
            waiting.append((int(tree.no[node]), [*path, (node, False)]))
            waiting.append((int(tree.yes[node]), [*path, (node, True)]))


def interventional(
    trees: Sequence[Tree],
    owner: NDArray[np.int64],
    rows: Floats,
    background: Floats,
    width: int,
    step: Callable[[float], None] = lambda share: None,
) -> tuple[Floats, Floats, Floats]:
    """Values (rows, width), and the trees' sums for rows and for background rows.

    `rows` and `background` are what the trees see; `owner` names the feature that each of their columns comes from.
    `step` is told the share of trees done and may raise to stop.
    """
    together, count = np.concatenate([rows, background]), len(rows)
    values, sums = np.zeros((count, width)), np.zeros(len(together))
    for done, tree in enumerate(trees):
        passes, owners = tree.passes(together), owner[tree.column].tolist()
        for leaf, path in leaves(tree):
            weight = float(tree.value[leaf])
            patterns, features = patterns_of(passes, path, owners)
            sums += weight * (patterns == (1 << len(features)) - 1)
            if features and weight:
                _add_leaf(values, weight, patterns[:count], patterns[count:], features)
        step((done + 1) / len(trees))
    return values, sums[:count], sums[count:]


def patterns_of(passes: NDArray[np.bool_], path: Path, owners: list[int]) -> tuple[Bits, list[int]]:
    """For each row a bit for each feature on the path: whether the row passes all of that feature's tests."""
    held: dict[int, NDArray[np.bool_]] = {}
    for node, wanted in path:
        found = passes[:, node] if wanted else ~passes[:, node]
        feature = owners[node]
        held[feature] = held[feature] & found if feature in held else found
    pattern = np.zeros(len(passes), dtype=np.int64)
    for bit, found in enumerate(held.values()):
        pattern |= found.astype(np.int64) << bit
    return pattern, list(held)


def _add_leaf(values: Floats, weight: float, x: Bits, z: Bits, features: list[int]) -> None:
    count = len(features)
    if count <= TABLED:
        shares = np.bincount(z, minlength=1 << count) * (weight / len(z))
        values[:, features] += (_table(count) @ shares).reshape(-1, count)[x]
        return
    kinds, place = np.unique(x, return_inverse=True)
    ground, times = np.unique(z, return_counts=True)
    values[:, features] += _between(kinds, ground, times * (weight / len(z)), count)[place]


def _between(kinds: Bits, ground: Bits, shares: NDArray[Any], count: int) -> Floats:
    """What a leaf gives each feature (patterns of x, features), summed over patterns of z with their shares."""
    reached = (kinds[:, None] | ground[None, :]) == (1 << count) - 1
    only_x = np.bitwise_count(kinds[:, None] & ~ground[None, :]).astype(np.int64)
    only_z = np.bitwise_count(ground[None, :] & ~kinds[:, None]).astype(np.int64)
    gain, loss = _weights(count)
    bits = np.arange(count)
    x_has = (kinds[:, None] >> bits & 1).astype(np.float64)
    z_has = (ground[:, None] >> bits & 1).astype(np.float64)
    given = np.where(reached, gain[only_x, only_z], 0.0) * shares
    taken = np.where(reached, loss[only_x, only_z], 0.0) * shares
    found: Floats = x_has * (given @ (1 - z_has)) - (1 - x_has) * (taken @ z_has)
    return found


@cache
def _table(count: int) -> Floats:
    """`_between` for all patterns of so many features as a matrix: (patterns of x × features, patterns of z)."""
    patterns = np.arange(1 << count)
    each = [_between(patterns, patterns[[z]], np.ones(1), count).reshape(-1) for z in patterns]
    return np.stack(each, axis=1)


@cache
def _weights(count: int) -> tuple[Floats, Floats]:
    """(a-1)! b! / (a+b)! and a! (b-1)! / (a+b)! for a and b from 0 to `count`; 0 where there is no such factorial."""
    gain = np.zeros((count + 1, count + 1))
    for a in range(1, count + 1):
        for b in range(count + 1 - a):
            gain[a, b] = math.factorial(a - 1) * math.factorial(b) / math.factorial(a + b)
    return gain, gain.T
