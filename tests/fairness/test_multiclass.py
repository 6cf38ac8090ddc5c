"""Several classes, each against the rest, and their plain mean, against scikit-learn."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fairness import metrics
from fairness.multiclass import ClassCells, macro

CLASSES = ("high", "low", "middle")


def cells_of(group: Any, label: Any, chosen: Any, weight: Any) -> ClassCells:
    n = np.zeros((2, 3, 3), dtype=np.int64)
    w, w2 = np.zeros(n.shape), np.zeros(n.shape)
    np.add.at(n, (group, label, chosen), 1)
    np.add.at(w, (group, label, chosen), weight)
    np.add.at(w2, (group, label, chosen), weight**2)
    return ClassCells(("g",), (("a",), ("b",)), CLASSES, n, w, w2)


@st.composite
def rows(draw: Any) -> tuple[Any, ...]:
    count = draw(st.integers(2, 40))

    def lists(one: Any) -> Any:
        return np.array(draw(st.lists(one, min_size=count, max_size=count)))

    return lists(st.integers(0, 1)), lists(st.integers(0, 2)), lists(st.integers(0, 2)), lists(st.floats(0.1, 9))


@settings(max_examples=12, deadline=None)
@given(rows())
def test_each_class_and_their_mean_equal_scikit_learns(given_rows: Any) -> None:
    import sklearn.metrics as sk

    group, label, chosen, weight = given_rows
    cells = cells_of(*given_rows)
    each = [cells.against_rest(name) for name in CLASSES]
    precision, known = macro("positive_predictive_value", each)
    right = metrics.values("selection_rate", cells.agreement().w)
    for at in (0, 1):
        here = group == at
        if not here.any():
            assert np.isnan(precision[at])
            continue
        y, p, w = label[here], chosen[here], weight[here]
        for name, one in zip(range(3), each, strict=True):
            counted = np.array([[(~(y == name) & ~(p == name)).sum(), (~(y == name) & (p == name)).sum()],
                                [((y == name) & ~(p == name)).sum(), ((y == name) & (p == name)).sum()]])  # fmt: skip
            assert np.array_equal(one.n[at], counted)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            per_class = sk.precision_score(
                y, p, labels=[0, 1, 2], average=None, sample_weight=w, zero_division=np.nan
            )  # fmt: skip
        ours = [metrics.values("positive_predictive_value", one.w, np.nan)[at] for one in each]
        assert np.allclose(ours, per_class, rtol=1e-12, equal_nan=True)
        assert np.isclose(precision[at], np.nanmean(per_class), rtol=1e-12)
        assert known[at] == (~np.isnan(per_class)).sum()
        assert np.isclose(right[at], sk.accuracy_score(y, p, sample_weight=w), rtol=1e-12)
