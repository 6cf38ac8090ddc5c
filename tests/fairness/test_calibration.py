"""Calibration by group: recalibration against scikit-learn, bins, and the error that chance makes."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest

from fairness import calibration
from tests.fairness.test_ranking import tally


def drawn(rows: int, seed: int = 2, wrong: float = 1.0) -> tuple[Any, Any]:
    """Outcomes and probabilities; with `wrong` over 1 the probabilities are too extreme."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 1, rows)
    label = (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(int)
    return label, 1 / (1 + np.exp(-odds * wrong))


@pytest.mark.parametrize("weighted", [False, True], ids=["rows", "weights"])
def test_the_slope_is_that_of_a_logistic_regression(weighted: bool) -> None:
    from sklearn.linear_model import LogisticRegression

    label, score = drawn(800, wrong=1.7)
    weight = np.random.default_rng(3).random(800) + 0.2 if weighted else None
    found = calibration.recalibrated(tally(label, score, weight))
    odds = np.log(score / (1 - score))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogisticRegression(C=1e12, tol=1e-12, max_iter=1000).fit(odds[:, None], label, sample_weight=weight)
    assert found.slope.value == pytest.approx(model.coef_[0, 0], abs=1e-5)
    assert found.slope.value < 0.75
    assert (found.moved, found.why) == (0, "")
    w = np.ones(800) if weight is None else weight
    shifted = 1 / (1 + np.exp(-odds - found.intercept.value))
    assert (w * (label - shifted)).sum() == pytest.approx(0, abs=1e-8), "the intercept alone balances the outcomes"
    information = (w * shifted * (1 - shifted)).sum()
    spread = (w**2 * (label - shifted) ** 2).sum() if weighted else information
    assert found.intercept.error == pytest.approx(math.sqrt(spread) / information, rel=1e-6)


def test_intervals_of_calibrated_probabilities_hold_nothing_and_one() -> None:
    hits = 0
    for seed in range(25):
        found = calibration.recalibrated(tally(*drawn(300, seed)))
        hits += abs(found.slope.value - 1) < 1.96 * found.slope.error
        hits += abs(found.intercept.value) < 1.96 * found.intercept.error
    assert 44 <= hits <= 50


def test_what_has_no_slope_says_why() -> None:
    same = calibration.recalibrated(tally([1, 1], [0.2, 1.0]))
    assert math.isnan(same.intercept.value)
    assert (same.moved, same.why) == (1, "all its outcomes are the same")
    for label in ([0, 0, 1, 1], [1, 1, 0, 0]):
        parted = calibration.recalibrated(tally(label, [0.1, 0.4, 0.4, 0.9]))
        assert math.isfinite(parted.intercept.value)
        assert math.isnan(parted.slope.value)
        assert parted.why == "its probabilities part the outcomes wholly"


def test_probabilities_that_hardly_differ_have_no_slope() -> None:
    alike = calibration.recalibrated(tally([0, 1, 0, 1], [0.9, 0.9, 0.9000000000000001, 0.9000000000000001]))
    assert alike.intercept.value == pytest.approx(-math.log(9), abs=1e-9)
    assert math.isnan(alike.slope.value)
    assert alike.why == "its probabilities are too much alike"


def test_far_off_probabilities_still_find_their_intercept() -> None:
    label = [0] * 40 + [1]
    found = calibration.recalibrated(tally(label, [0.999999] * 20 + [0.9] * 21))
    odds = np.log(np.array([0.999999] * 20 + [0.9] * 21) / (1 - np.array([0.999999] * 20 + [0.9] * 21)))
    assert (1 / (1 + np.exp(-odds - found.intercept.value))).sum() == pytest.approx(1, abs=1e-6)


def test_bins_hold_about_equally_many_and_repeat_no_end() -> None:
    label, score = drawn(1000)
    found = tally(label, score)
    ends = calibration.edges(found)
    bins = calibration.binned(found, ends)
    assert bins.n.tolist() == [100.0] * 10
    assert ends[-1] == score.max()
    first = score <= ends[0]
    assert bins.observed[0] == pytest.approx(label[first].mean())
    assert bins.predicted[0] == pytest.approx(score[first].mean())
    assert calibration.edges(tally([0, 1, 1], [0.5, 0.5, 0.5])).tolist() == [0.5]
    part = calibration.binned(tally(label[first], score[first]), ends)
    assert part.n.tolist() == [100.0] + [0.0] * 9
    assert np.isnan(part.observed[1])


@pytest.mark.parametrize(("rows", "expected"), [(50, 0.137), (10_000, 0.010)], ids=["50", "10000"])
def test_calibrated_rows_show_an_error_that_chance_foretells(rows: int, expected: float) -> None:
    rng = np.random.default_rng(rows)
    seen, foretold = [], []
    for _ in range(12):
        score = rng.random(rows)
        label = (rng.random(rows) < score).astype(int)
        bins = calibration.binned(tally(label, score), np.arange(1, 11) / 10)
        seen.append(calibration.expected_error(bins))
        foretold.append(calibration.error_by_chance(bins))
    assert np.mean(seen) == pytest.approx(expected, rel=0.15)
    assert np.mean(foretold) == pytest.approx(expected, rel=0.1)


def test_the_mean_distance_of_a_binomial_share_is_exact() -> None:
    for n, p in ((1, 0.3), (5, 0.5), (17, 0.04), (40, 0.9)):
        chance = [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
        exact = sum(c * abs(k / n - p) for k, c in enumerate(chance))
        assert calibration.mean_distance(n, p) == pytest.approx(exact, rel=1e-12)
    assert calibration.mean_distance(9, 0.0) == calibration.mean_distance(9, 1.0) == 0


def test_a_group_without_rows_has_no_error() -> None:
    zero = np.zeros(3)
    nothing = calibration.Bins(zero, zero, zero, zero, zero, np.full(3, np.nan))
    assert math.isnan(calibration.expected_error(nothing))
    assert math.isnan(calibration.error_by_chance(nothing))
