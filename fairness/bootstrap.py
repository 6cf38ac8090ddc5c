"""Multinomial bootstrap over cells: resampling rows with replacement is one multinomial draw of the cell counts.

It serves composites such as F1 and balanced accuracy, for which no score interval exists. It is no good for rare rates
(an empty cell never fills) nor for the smallest or largest of several groups (biased): use `intervals` there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairness.clusters import ClusteredCells
from fairness.metrics import Cells, Floats, values


@dataclass(frozen=True)
class Spread:
    """Percentile bounds for each group and how many replicates were undefined there; shapes (groups,)."""

    low: Floats
    high: Floats
    undefined: Floats
    replicates: int


def replicates(cells: Cells, times: int, seed: int) -> Floats:
    """`times` resampled tables of weight sums, shape (times, groups, 2, 2).

    Clusters are drawn whole. With unequal weights a cell's sum is its count times the mean weight, plus normal noise of
    the weights' variance.
    """
    rng = np.random.default_rng(seed)
    if isinstance(cells, ClusteredCells):
        # A group's totals over clusters drawn with replacement, by their mean and covariance.
        powers, vectors = np.linalg.eigh(cells.spread())
        roots = (vectors * np.sqrt(np.maximum(powers, 0.0))[:, None, :]) @ np.swapaxes(vectors, -1, -2)
        noise = rng.standard_normal((times, len(cells.groups), 4))
        totals = cells.w.reshape(-1, 4) + np.einsum("gij,tgj->tgi", roots, noise)
        return np.asarray(np.maximum(totals, 0.0).reshape(times, *cells.n.shape))
    n = cells.n.reshape(-1)
    total = int(n.sum())
    drawn = rng.multinomial(total, n / total, size=times).astype(np.float64)
    if cells.weighted:
        some = np.maximum(n, 1)
        mean = cells.w.reshape(-1) / some
        variance = np.maximum(cells.w2.reshape(-1) / some - mean**2, 0.0)
        drawn = np.maximum(drawn * mean + rng.standard_normal(drawn.shape) * np.sqrt(drawn * variance), 0.0)
    return drawn.reshape(times, *cells.n.shape)


def spread(name: str, sample: Floats, confidence: float) -> Spread:
    """Percentile interval of a metric from the tables that `replicates` drew."""
    seen = values(name, sample, np.nan)
    missing = np.isnan(seen)
    low, high = np.full(seen.shape[1], np.nan), np.full(seen.shape[1], np.nan)
    tail = (1 - confidence) / 2
    for group in np.flatnonzero(~missing.all(axis=0)):
        low[group], high[group] = np.nanquantile(seen[:, group], [tail, 1 - tail])
    return Spread(low, high, missing.sum(axis=0).astype(np.float64), len(seen))
