"""Rows that belong together: one person with many rows is worth less than as many people.

A rate is a ratio of sums over clusters, and its linearised variance follows from sums of squares and products of the
clusters' totals (Kish, Survey Sampling (1965), § 6.4; Korn and Graubard, Survey Methodology 24 (1998) 193).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fairness.intervals import Floats, critical
from fairness.metrics import RATES, Cells

# Of a sum of products in 38 decimal digits.
MOST_BITS = 120


def cluster_size(
    top: ArrayLike, bottom: ArrayLike, tops: ArrayLike, products: ArrayLike, bottoms: ArrayLike, clusters: ArrayLike,
    rows: ArrayLike, confidence: float,
) -> Floats:  # fmt: skip
    """Independent rows of equal weight that would be as informative about the share `top` / `bottom`.

    `tops`, `products` and `bottoms` are the sums over clusters of a², ab and b², where a and b are one cluster's parts
    of `top` and `bottom`; `rows` is the size if rows were independent, which clusters never exceed. Few clusters tell
    little about their own spread: the size is reduced by the squared ratio of the normal to Student's quantile with
    clusters − 1 degrees of freedom. Where all rows are alike there is no spread to learn from, and a cluster counts as
    one row.
    """
    a, b, a2, ab, b2, m = (np.asarray(x, dtype=np.float64) for x in (top, bottom, tops, products, bottoms, clusters))
    share = np.divide(a, b, out=np.zeros_like(b), where=b > 0)
    kish = np.divide(b**2, b2, out=np.zeros_like(b), where=b2 > 0)
    spread = np.maximum(a2 - 2 * share * ab + share**2 * b2, 0.0) * np.divide(
        m, m - 1, out=np.ones_like(m), where=m > 1
    )
    known = (m > 1) & (spread > 1e-12 * b2) & (share > 0) & (share < 1)
    found = np.divide(share * (1 - share) * b**2, spread, out=kish.copy(), where=known)
    return np.asarray(np.minimum(rows, np.where(known, found * penalty(m - 1, confidence), kish)))


def penalty(freedom: ArrayLike, confidence: float) -> Floats:
    """Squared ratio of the normal quantile to Student's, by the latter's expansion (Abramowitz and Stegun 26.7.5)."""
    v, z = np.maximum(np.asarray(freedom, dtype=np.float64), 1.0), critical(confidence)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    t = z + sum(term / v ** (i + 1) for i, term in enumerate(terms))
    return np.asarray((z / t) ** 2)


@dataclass(frozen=True)
class Moments:
    """One grouping's clusters: how many each group has, and the sums over them of products of their four cells.

    `clusters` has the shape (groups,), `products` (groups, 4, 4), with the cells in the order of `metrics.RATES`.
    """

    groups: tuple[tuple[str, ...], ...]
    clusters: Floats
    products: Floats


@dataclass(frozen=True)
class ClusteredCells(Cells):
    """Cells whose rows come in clusters; `confidence` is that of the intervals that they are for."""

    moments: Moments
    confidence: float

    def effective(self, metric: str, rows: Floats) -> Floats:
        """Independent rows that each group's rate is worth; `rows` if all rows were independent."""
        rate = RATES[metric]
        t, u = (np.array(part, dtype=np.float64) for part in (rate.top, rate.bottom))
        flat, m = self.w.reshape(-1, 4), self.moments.products
        sums = (t @ m @ t, t @ m @ u, u @ m @ u)
        return cluster_size(flat @ t, flat @ u, *sums, self.moments.clusters, rows, self.confidence)

    def spread(self) -> Floats:
        """Covariance of the four totals when clusters are drawn with replacement, shape (groups, 4, 4)."""
        flat, m = self.w.reshape(-1, 4), np.maximum(self.moments.clusters, 1.0)[:, None, None]
        return np.asarray(self.moments.products - flat[:, :, None] * flat[:, None, :] / m)


@dataclass(frozen=True)
class CountedCells(Cells):
    """What a dataset with a cluster column comes down to: cells, and the moments of every grouping of attributes."""

    moments: dict[tuple[str, ...], Moments]

    def grouped(self, attributes: Sequence[str], confidence: float) -> ClusteredCells:
        """The cells of one grouping, of all rows together where it names no attribute."""
        cells, found = self.by(attributes), self.moments[tuple(attributes)]
        return ClusteredCells(cells.attributes, cells.groups, cells.n, cells.w, cells.w2, found, confidence)


def grouped(cells: Cells, attributes: Sequence[str], confidence: float) -> Cells:
    """Cells by these attributes, with their clusters where the data have them."""
    return cells.grouped(attributes, confidence) if isinstance(cells, CountedCells) else cells.by(attributes)


def moments(con: Any, rows: Any, counted: Cells, depth: int, scale: int) -> dict[tuple[str, ...], Moments]:
    """Moments of every grouping up to `depth` attributes, each from one GROUP BY cluster and then group.

    `rows` is an Ibis table with cluster__, s0 …, and y__ and p__ as booleans, and w__ as whole multiples of 2^-scale.
    Memory is DuckDB's own, which spills to disk; sums of products are of whole numbers and owe nothing to threads.
    """
    names = counted.attributes
    wanted = [chosen for size in range(depth + 1) for chosen in itertools.combinations(range(len(names)), size)]
    shift = max(0, 2 * math.ceil(math.log2(max(2.0, float(counted.w.sum())))) + 2 * scale - MOST_BITS)
    out = {}
    for chosen in wanted:
        keys = [f"s{i}" for i in chosen]
        parts = {
            f"x{2 * y + p}": rows["w__"].sum(where=(rows["y__"] == bool(y)) & (rows["p__"] == bool(p)))
            for y in (0, 1)
            for p in (0, 1)
        }
        each = rows.group_by(["cluster__", *keys]).aggregate(**parts)
        each = each.select(*keys, **{x: each[x].fill_null(0).cast("float64") for x in parts})
        sums: dict[str, Any] = {"m": each.count()}
        for a, b in itertools.combinations_with_replacement(range(4), 2):
            product = each[f"x{a}"] * each[f"x{b}"] * 2.0**-shift
            sums[f"x{a}{b}"] = product.cast("decimal(38, 0)").sum()
        found = con.to_pyarrow(each.group_by(keys).aggregate(**sums) if keys else each.aggregate(**sums)).to_pylist()
        attributes = tuple(names[i] for i in chosen)
        out[attributes] = _arranged(found, keys, counted.by(attributes).groups, shift - 2 * scale)
    return out


def _arranged(found: list[dict[str, Any]], keys: list[str], groups: tuple[tuple[str, ...], ...], power: int) -> Moments:
    place = {group: i for i, group in enumerate(groups)}
    clusters, products = np.zeros(len(groups)), np.zeros((len(groups), 4, 4))
    for row in found:
        at = place[tuple(row[key] for key in keys)]
        clusters[at] = row["m"]
        for a, b in itertools.combinations_with_replacement(range(4), 2):
            products[at, a, b] = products[at, b, a] = math.ldexp(float(row[f"x{a}{b}"]), power)
    return Moments(groups, clusters, products)
