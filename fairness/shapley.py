"""Shapley values of a black box, where absent features take the values of background rows.

The estimators are those of the shap package (Lundberg and Lee, NeurIPS 2017), written so that many coalitions of many
rows go to the model in one batch. With the same seed `by_permutations` draws the permutations that
shap.PermutationExplainer draws, and gives its values.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Score = Callable[[Floats], Floats]
BATCH = 60_000


@dataclass(frozen=True)
class Attribution:
    """`values` (rows, features) sum with `base` to `scores` (rows,); `evaluations` counts rows the model scored."""

    values: Floats
    base: float
    scores: Floats
    evaluations: int


def by_permutations(
    score: Score,
    background: Floats,
    explained: Floats,
    passes: int,
    seed: int,
    step: Callable[[int], None] = lambda done: None,
) -> Attribution:
    """Mean marginal contribution over `passes` random orders, each walked forwards and backwards.

    `step` is told the rows done and may raise to stop.
    """
    base, scores = float(score(background).mean()), score(explained)
    # The legacy generator's stream is frozen for good, and it is the one that shap draws from.
    rng = np.random.RandomState(seed)
    values = np.zeros(explained.shape)
    evaluations = len(background) + len(explained)
    orders = [_orders(rng, background, row, passes) for row in explained]
    for start, end in _spans([sum(max(0, 2 * (len(o) - 1)) for o in drawn) for drawn in orders], len(background)):
        walks = [(i, order) for i in range(start, end) for order in orders[i]]
        masks = [_walk(order, explained.shape[1]) for _, order in walks]
        seen, used = _means(score, background, explained, [i for i, _ in walks], masks)
        evaluations += used
        for (i, order), inside in zip(walks, seen, strict=True):
            half = len(order) - 1
            forward = np.concatenate([[base], inside[:half], [scores[i]]])
            backward = np.concatenate([[scores[i]], inside[half:], [base]])
            values[i, order] += (np.diff(forward) - np.diff(backward)) / (2 * passes)
        step(end)
    return Attribution(values, base, scores, evaluations)


def exact(
    score: Score, background: Floats, explained: Floats, step: Callable[[int], None] = lambda done: None
) -> Attribution:
    """Shapley values over all 2^features coalitions. `step` is told the rows done and may raise to stop."""
    width = explained.shape[1]
    masks = (np.arange(2**width)[:, None] >> np.arange(width)) & 1 == 1
    present = masks.sum(axis=1)
    weight = np.array([math.factorial(k) * math.factorial(width - k - 1) / math.factorial(width) for k in range(width)])
    values, scores = np.zeros(explained.shape), np.zeros(len(explained))
    base, evaluations = 0.0, 0
    for start, end in _spans([len(masks)] * len(explained), len(background)):
        seen, used = _means(score, background, explained, list(range(start, end)), [masks] * (end - start))
        evaluations += used
        for i, mean in zip(range(start, end), seen, strict=True):
            base, scores[i] = float(mean[0]), mean[-1]
            for feature in range(width):
                without = np.flatnonzero(~masks[:, feature])
                gain = mean[without | (1 << feature)] - mean[without]
                values[i, feature] = float((weight[present[without]] * gain).sum())
        step(end)
    return Attribution(values, base, scores, evaluations)


def _orders(rng: np.random.RandomState, background: Floats, row: Floats, passes: int) -> list[NDArray[np.int64]]:
    """Random orders of the features in which the row differs from any background row; others contribute nothing."""
    varying = np.flatnonzero(~np.isclose(row, background).all(axis=0))
    drawn = []
    for _ in range(passes):
        rng.shuffle(varying)
        drawn.append(varying.copy())
    return [order for order in drawn if len(order)]


def _walk(order: NDArray[np.int64], width: int) -> NDArray[np.bool_]:
    """Coalitions met on the way, both ends left out: features switched on in order, then off in the same order."""
    on = np.zeros((len(order) - 1, width), dtype=bool)
    for k in range(len(order) - 1):
        on[k:, order[k]] = True
    off = ~on
    fixed = np.setdiff1d(np.arange(width), order)
    on[:, fixed] = off[:, fixed] = True
    return np.concatenate([on, off])


def _spans(costs: list[int], background: int) -> list[tuple[int, int]]:
    """Consecutive rows whose coalitions together make about one batch."""
    spans, start, sum_ = [], 0, 0
    for i, cost in enumerate(costs):
        sum_ += cost * background
        if sum_ >= BATCH:
            spans.append((start, i + 1))
            start, sum_ = i + 1, 0
    return [*spans, (start, len(costs))] if start < len(costs) else spans


def _means(
    score: Score, background: Floats, explained: Floats, rows: list[int], masks: list[NDArray[np.bool_]]
) -> tuple[list[Floats], int]:
    """For each row and its masks (coalitions, features) the mean score over the background."""
    if not sum(len(m) for m in masks):
        return [np.zeros(0) for _ in masks], 0
    filled = [
        np.where(mask[:, None, :], explained[i], background[None, :, :]) for i, mask in zip(rows, masks, strict=True)
    ]
    table = np.concatenate(filled).reshape(-1, explained.shape[1])
    parts = [score(table[at : at + 4 * BATCH]) for at in range(0, len(table), 4 * BATCH)]
    means = np.concatenate(parts).reshape(-1, len(background)).mean(axis=1)
    return np.split(means, np.cumsum([len(m) for m in masks])[:-1]), len(table)
