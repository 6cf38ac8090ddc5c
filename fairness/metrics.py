"""Metrics of binary decisions by group, computed from counts.

Everything comes from one table of cells: group × label × prediction. An array of cells has the shape (…, groups, 2, 2)
with the label on the axis before the last and the prediction on the last, 1 being the positive outcome; leading axes
are free, so a thousand bootstrap replicates are one more axis.

Values agree with fairlearn's MetricFrame. Where a rate has an empty denominator (the true positive rate of a group in
which nobody is positive) fairlearn, through scikit-learn, says 0; pass `undefined=nan` to be told instead. A group
without any rows has NaN in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fairness.naming import UNKNOWN

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Metric:
    """A share: `top` and `bottom` weight the cells ((tn, fp), (fn, tp)) of numerator and denominator."""

    name: str
    words: str
    top: tuple[int, int, int, int]
    bottom: tuple[int, int, int, int]
    is_rate: bool = True


ALL = (1, 1, 1, 1)
RATES = {
    m.name: m
    for m in (
        Metric("base_rate", "base rate", (0, 0, 1, 1), ALL),
        Metric("selection_rate", "selection rate", (0, 1, 0, 1), ALL),
        Metric("accuracy", "accuracy", (1, 0, 0, 1), ALL),
        Metric("true_positive_rate", "true positive rate", (0, 0, 0, 1), (0, 0, 1, 1)),
        Metric("false_positive_rate", "false positive rate", (0, 1, 0, 0), (1, 1, 0, 0)),
        Metric("false_negative_rate", "false negative rate", (0, 0, 1, 0), (0, 0, 1, 1)),
        Metric("true_negative_rate", "true negative rate", (1, 0, 0, 0), (1, 1, 0, 0)),
        Metric("positive_predictive_value", "positive predictive value", (0, 0, 0, 1), (0, 1, 0, 1)),
        Metric("negative_predictive_value", "negative predictive value", (1, 0, 0, 0), (1, 0, 1, 0)),
        Metric("f1", "F1", (0, 0, 0, 2), (0, 1, 1, 2), is_rate=False),
    )
}
WORDS = {name: m.words for name, m in RATES.items()} | {"balanced_accuracy": "balanced accuracy", "count": "count"}
NAMES = ("count", *RATES, "balanced_accuracy")


@dataclass(frozen=True)
class Cells:
    """Counts of rows `n`, sums of weights `w` and of squared weights `w2`, each of shape (groups, 2, 2)."""

    attributes: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    n: Ints
    w: Floats
    w2: Floats

    def by(self, attributes: Sequence[str]) -> Cells:
        """The same rows grouped by fewer attributes; groups in ascending order."""
        at = [self.attributes.index(name) for name in attributes]
        keys = [tuple(group[i] for i in at) for group in self.groups]
        groups = tuple(sorted(set(keys)))
        to = np.array([groups.index(key) for key in keys], dtype=np.int64)
        return Cells(tuple(attributes), groups, *(_gather(part, to, len(groups)) for part in (self.n, self.w, self.w2)))

    @property
    def sizes(self) -> Ints:
        return np.asarray(self.n.sum(axis=(1, 2)), dtype=np.int64)

    @property
    def rows(self) -> int:
        return int(self.n.sum())

    @property
    def weighted(self) -> bool:
        return not np.array_equal(self.n, self.w)

    def unknown(self) -> tuple[bool, ...]:
        """For each group whether one of its attributes is missing."""
        return tuple(UNKNOWN in group for group in self.groups)


def _gather(part: NDArray[Any], to: Ints, size: int) -> NDArray[Any]:
    out = np.zeros((size, 2, 2), dtype=part.dtype)
    np.add.at(out, to, part)
    return out


def parts(name: str, cells: NDArray[Any]) -> tuple[Floats, Floats]:
    """Numerator and denominator of a rate, each of the cells' shape without the last two axes."""
    metric = RATES[name]
    flat = np.asarray(cells, dtype=np.float64).reshape(*cells.shape[:-2], 4)
    top, bottom = (np.array(weights, dtype=np.float64) for weights in (metric.top, metric.bottom))
    return np.asarray(flat @ top), np.asarray(flat @ bottom)


def values(name: str, cells: NDArray[Any], undefined: float = 0.0) -> Floats:
    """A metric for each table of cells; `undefined` stands where rows exist but the denominator is empty."""
    total = np.asarray(cells, dtype=np.float64).sum(axis=(-2, -1))
    if name == "count":
        return np.asarray(total, dtype=np.float64)
    if name == "balanced_accuracy":
        both = np.stack([values(n, cells, np.nan) for n in ("true_positive_rate", "true_negative_rate")])
        known = ~np.isnan(both)
        out = np.where(known, both, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        # Scikit-learn averages over the classes that occur; a strict reader wants both.
        complete = known.all(axis=0) if np.isnan(undefined) else known.any(axis=0)
        return np.where(complete, out, np.nan)
    top, bottom = parts(name, cells)
    out = np.full(top.shape, undefined, dtype=np.float64)
    np.divide(top, bottom, out=out, where=bottom > 0)
    return np.where(total > 0, out, np.nan)


def table(cells: Cells, undefined: float = 0.0) -> dict[str, Floats]:
    """Every metric by group, each of shape (groups,); `count` counts rows, all others use the weights."""
    return {name: values(name, cells.n if name == "count" else cells.w, undefined) for name in NAMES}


def overall(cells: Cells, undefined: float = 0.0) -> dict[str, float]:
    """Every metric over all rows together."""
    return {
        name: float(values(name, (cells.n if name == "count" else cells.w).sum(axis=0), undefined)) for name in NAMES
    }


def group_min(by_group: Floats) -> Floats:
    """Smallest defined value over the last axis."""
    return np.asarray(np.fmin.reduce(by_group, axis=-1), dtype=np.float64)


def group_max(by_group: Floats) -> Floats:
    """Largest defined value over the last axis."""
    return np.asarray(np.fmax.reduce(by_group, axis=-1), dtype=np.float64)


def difference(by_group: Floats, whole: Floats | float | None = None) -> Floats:
    """Largest gap between two groups or, with `whole`, between a group and the overall value. Last axis is groups."""
    if whole is None:
        return np.asarray(group_max(by_group) - group_min(by_group), dtype=np.float64)
    return group_max(np.abs(by_group - np.asarray(whole)[..., None]))


def ratio(by_group: Floats, whole: Floats | float | None = None) -> Floats:
    """Smallest group value over the largest or, with `whole`, the ratio to overall farthest under 1.

    As in MetricFrame a ratio to overall above 1 is folded to its inverse; `to_overall` keeps the direction.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        if whole is None:
            return np.asarray(group_min(by_group) / group_max(by_group), dtype=np.float64)
        ratios = to_overall(by_group, whole)
        return group_min(np.where(ratios > 1, 1 / ratios, ratios))


def to_overall(by_group: Floats, whole: Floats | float) -> Floats:
    """Each group's value over the overall value, unfolded."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(by_group / np.asarray(whole, dtype=np.float64)[..., None], dtype=np.float64)


def to_reference(by_group: Floats, reference: int) -> tuple[Floats, Floats]:
    """Each group's difference and ratio to the group at index `reference`."""
    base = by_group[..., reference, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(by_group - base), np.asarray(by_group / base)


def impact_ratio(by_group: Floats) -> Floats:
    """Each group's value over that of the group where it is highest (for selection rates: the most selected)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(by_group / group_max(by_group)[..., None], dtype=np.float64)


def demographic_parity(by_group: dict[str, Floats]) -> tuple[Floats, Floats]:
    """Difference and ratio of selection rates between groups."""
    rates = by_group["selection_rate"]
    return difference(rates), ratio(rates)


def equal_opportunity(by_group: dict[str, Floats]) -> tuple[Floats, Floats]:
    """Difference and ratio of true positive rates between groups."""
    rates = by_group["true_positive_rate"]
    return difference(rates), ratio(rates)


def equalised_odds(
    by_group: dict[str, Floats], how: Literal["worst_case", "mean"] = "worst_case"
) -> tuple[Floats, Floats]:
    """Difference and ratio of true and false positive rates together: the worse of the two, or their mean."""
    both = [by_group[name] for name in ("true_positive_rate", "false_positive_rate")]
    gaps, ratios = [difference(r) for r in both], [ratio(r) for r in both]
    if how == "mean":
        return np.mean(gaps, axis=0), np.mean(ratios, axis=0)
    return np.maximum(*gaps), np.minimum(*ratios)
