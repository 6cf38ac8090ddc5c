"""Errors of numeric predictions by group against scikit-learn, from sums that do not round."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairness.regression import LARGEST, Totals, figures

NUMBER = st.one_of(st.integers(-5, 5).map(float), st.floats(-1e6, 1e6))


@st.composite
def rows(draw: Any) -> tuple[Any, Any, Any, Any]:
    count = draw(st.integers(2, 40))

    def lists(one: Any) -> Any:
        return np.array(draw(st.lists(one, min_size=count, max_size=count)))

    return lists(st.integers(0, 2)), lists(NUMBER), lists(NUMBER), lists(st.floats(0.01, 100))


@settings(max_examples=15, deadline=None)
@given(rows())
def test_errors_equal_scikit_learns(given_rows: Any) -> None:
    import sklearn.metrics as sk

    group, label, prediction, weight = given_rows
    totals = Totals()
    totals.add(group, label, prediction, weight)
    near: Any = {"rel": 1e-12, "abs": 1e-12}
    for at in np.unique(group).tolist():
        here = group == at
        y, p, w = label[here], prediction[here], weight[here]
        found = figures(totals, at)
        assert found.count == here.sum()
        assert found.mean_error.value == pytest.approx(math.fsum(w * (p - y)) / math.fsum(w), **near)
        mae = sk.mean_absolute_error(y, p, sample_weight=w)
        assert found.mean_absolute_error.value == pytest.approx(mae, **near)
        rmse = sk.root_mean_squared_error(y, p, sample_weight=w)
        assert found.root_mean_squared_error == pytest.approx(rmse, **near)
        if here.sum() > 1 and np.ptp(y) > 1e-3 * (1 + np.abs(y).max()):
            assert found.r_squared == pytest.approx(sk.r2_score(y, p, sample_weight=w), rel=1e-9, abs=1e-9)


@settings(max_examples=12, deadline=None)
@given(rows(), st.integers(0, 10**6), st.integers(1, 20))
def test_sums_owe_nothing_to_order_or_batches(given_rows: Any, seed: int, batch: int) -> None:
    at = np.random.default_rng(seed).permutation(len(given_rows[0]))
    whole, parts = Totals(), Totals()
    whole.add(*given_rows)
    for start in range(0, len(at), batch):
        parts.add(*(column[at[start : start + batch]] for column in given_rows))
    assert whole.rows == parts.rows
    assert whole.sums == parts.sums
    together = whole.by({0: 0, 2: 0})
    assert together.rows.get(0, 0) == np.isin(given_rows[0], [0, 2]).sum()
    assert set(together.rows) <= {0}


def test_standard_errors_are_those_of_means_and_frequencies_are_rows() -> None:
    rng = np.random.default_rng(6)
    label, prediction, times = rng.normal(size=30), rng.normal(size=30), rng.integers(1, 5, 30)
    plain, weighted, repeated = Totals(), Totals(), Totals()
    nobody = np.zeros(30, dtype=int)
    plain.add(nobody, label, prediction)
    error = prediction - label
    found = figures(plain, 0)
    assert found.mean_error.error == pytest.approx(error.std(ddof=1) / math.sqrt(30), rel=1e-12)
    assert found.mean_absolute_error.error == pytest.approx(np.abs(error).std(ddof=1) / math.sqrt(30), rel=1e-12)
    weighted.add(nobody, label, prediction, times.astype(float))
    repeated.add(np.zeros(times.sum(), dtype=int), np.repeat(label, times), np.repeat(prediction, times))
    one, other = figures(weighted, 0, frequency=True), figures(repeated, 0)
    assert one.mean_error == other.mean_error
    assert one.r_squared == pytest.approx(other.r_squared, rel=1e-12)
    mean = np.average(error, weights=times)
    linearised = (times**2 * (error - mean) ** 2).sum() / times.sum() ** 2 * 30 / 29
    assert figures(weighted, 0).mean_error.error == pytest.approx(math.sqrt(linearised), rel=1e-12)


def test_what_few_or_equal_rows_cannot_say() -> None:
    totals = Totals()
    totals.add(np.array([0, 2, 2]), np.array([1.0, 3.0, 3.0]), np.array([2.0, 4.5, 4.5]))
    alone = figures(totals, 0)
    assert (alone.mean_error.value, math.isnan(alone.mean_error.error)) == (1.0, True)
    flat = figures(totals, 2)
    assert math.isnan(flat.r_squared)
    assert flat.mean_error.error == 0
    assert set(totals.rows) == {0, 2}


def test_very_large_and_very_small_numbers_are_added_exactly() -> None:
    totals = Totals()
    totals.add(np.zeros(3, dtype=int), np.zeros(3), np.array([LARGEST, 1.0, -LARGEST]))
    assert figures(totals, 0).mean_error.value == pytest.approx(1 / 3, rel=1e-15)
    totals = Totals()
    totals.add(np.zeros(2, dtype=int), np.zeros(2), np.array([5e-324, 5e-324]))
    assert figures(totals, 0).mean_error.value == 5e-324
