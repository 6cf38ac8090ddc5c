"""Intervals against published examples and against exact coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairness import extremes, intervals
from fairness.intervals import Interval

SHARES = st.floats(0, 1)
SIZES = st.integers(1, 5000)


# Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3.
@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_newcombes_examples(k: int, n: int, low: float, high: float) -> None:
    found = intervals.wilson(k / n, n)
    assert (float(found.low), float(found.high)) == pytest.approx((low, high), abs=5e-5)


# Newcombe, Statistics in Medicine 17 (1998) 873, table II, method 10.
@pytest.mark.parametrize(
    ("a", "m", "b", "n", "low", "high"),
    [
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (6, 7, 2, 7, 0.0582, 0.8062),
        (5, 56, 0, 29, -0.0381, 0.1926),
        (0, 10, 0, 20, -0.1611, 0.2775),
        (0, 10, 0, 10, -0.2775, 0.2775),
        (10, 10, 0, 20, 0.6791, 1.0),
        (10, 10, 0, 10, 0.6075, 1.0),
    ],
)
def test_newcombe_gives_his_examples(a: int, m: int, b: int, n: int, low: float, high: float) -> None:
    found = intervals.newcombe(a / m, m, b / n, n)
    assert (float(found.low), float(found.high)) == pytest.approx((low, high), abs=5e-5)


# 36/40 against 16/80: Koopman, Biometrics 40 (1984) 513, page 517. 7/34 against 1/34: riskscoreci of the R package
# PropCIs, as statsmodels' tests quote it.
@pytest.mark.parametrize(
    ("a", "m", "b", "n", "low", "high"), [(36, 40, 16, 80, 2.94, 7.15), (7, 34, 1, 34, 1.220853, 42.575718)]
)
def test_koopman_gives_published_examples(a: int, m: int, b: int, n: int, low: float, high: float) -> None:
    found = intervals.koopman(a / m, m, b / n, n)
    assert (float(found.low), float(found.high)) == pytest.approx((low, high), abs=5e-3)


def test_koopmans_bounds_are_where_the_score_test_stops_rejecting() -> None:
    from scipy.optimize import minimize_scalar
    from scipy.stats import chi2

    a, m, b, n = 13, 60, 31, 90
    found = intervals.koopman(a / m, m, b / n, n)
    for ratio in (float(found.low), float(found.high)):
        # The likeliest rates whose quotient is `ratio`, sought numerically.
        best = minimize_scalar(
            lambda q, r=ratio: (
                -(a * math.log(r * q) + (m - a) * math.log(1 - r * q) + b * math.log(q) + (n - b) * math.log(1 - q))
            ),
            bounds=(1e-6, min(1, 1 / ratio) - 1e-6),
            method="bounded",
            options={"xatol": 1e-12},
        )
        q, p = best.x, ratio * best.x
        statistic = (a - m * p) ** 2 / (m * p * (1 - p)) + (b - n * q) ** 2 / (n * q * (1 - q))
        assert statistic == pytest.approx(chi2.ppf(0.95, 1), rel=1e-5)


def test_koopman_at_the_edges() -> None:
    none = intervals.koopman(0.0, 10, 0.3, 10)
    assert float(none.low) == 0
    assert 1 < float(none.high) < 1.2
    endless = intervals.koopman(0.3, 10, 0.0, 10)
    assert float(endless.high) == math.inf
    assert float(endless.low) == pytest.approx(1 / float(none.high), rel=1e-6)
    nothing = intervals.koopman(0.0, 5, 0.0, 5)
    assert (float(nothing.low), float(nothing.high)) == (0, math.inf)
    unseen = intervals.koopman(0.0, 0, 0.5, 10)
    assert (float(unseen.low), float(unseen.high)) == (0, math.inf)
    every = intervals.koopman(1.0, 10, 1.0, 10)
    assert float(every.low) * float(every.high) == pytest.approx(1)


def test_koopman_covers_ninety_five_per_cent_exactly_counted() -> None:
    from scipy.stats import binom

    for m, n, p, q in [(30, 50, 0.3, 0.4), (60, 25, 0.5, 0.5), (80, 80, 0.15, 0.3)]:
        a, b = np.meshgrid(np.arange(m + 1), np.arange(n + 1), indexing="ij")
        found = intervals.koopman(a / m, m, b / n, n)
        inside = (found.low <= p / q) & (p / q <= found.high)
        chance = binom.pmf(a, m, p) * binom.pmf(b, n, q)
        assert 0.935 <= (chance * inside).sum() <= 0.97


def test_wilson_and_newcombe_cover_exactly_counted() -> None:
    from scipy.stats import binom

    for n, p in [(50, 0.1), (100, 0.3), (200, 0.05), (1000, 0.01)]:
        k = np.arange(n + 1)
        found = intervals.wilson(k / n, n)
        assert (binom.pmf(k, n, p) * ((found.low <= p) & (p <= found.high))).sum() >= 0.93
    a, b = np.meshgrid(np.arange(41), np.arange(61), indexing="ij")
    gap = intervals.newcombe(a / 40, 40, b / 60, 60)
    inside = (gap.low <= -0.1) & (gap.high >= -0.1)
    assert (binom.pmf(a, 40, 0.3) * binom.pmf(b, 60, 0.4) * inside).sum() >= 0.935


@given(SHARES, SIZES, st.sampled_from([0.8, 0.95, 0.999]))
def test_wilson_holds_its_share_and_stays_within_nought_and_one(p: float, n: int, confidence: float) -> None:
    found = intervals.wilson(p, n, confidence)
    assert 0 <= float(found.low) <= p <= float(found.high) <= 1
    wider = intervals.wilson(p, n, (1 + confidence) / 2)
    assert float(wider.low) <= float(found.low) + 1e-12
    assert float(wider.high) >= float(found.high) - 1e-12


@given(st.integers(0, 60), st.integers(0, 60), st.integers(60, 300), st.integers(60, 300))
def test_ratios_are_symmetrical_and_hold_their_estimate(a: int, b: int, m: int, n: int) -> None:
    one, other = intervals.koopman(a / m, m, b / n, n), intervals.koopman(b / n, n, a / m, m)
    if a and b:
        assert float(one.low) <= (a / m) / (b / n) * (1 + 1e-9)
        assert float(one.high) >= (a / m) / (b / n) * (1 - 1e-9)
        assert float(one.low) == pytest.approx(1 / float(other.high), rel=1e-6)
    gap, back = intervals.newcombe(a / m, m, b / n, n), intervals.newcombe(b / n, n, a / m, m)
    assert float(gap.low) == pytest.approx(-float(back.high), abs=1e-12)
    assert -1 <= float(gap.low) <= a / m - b / n <= float(gap.high) <= 1


def test_without_rows_nothing_is_known() -> None:
    found = intervals.wilson(0.3, 0)
    assert (float(found.low), float(found.high)) == (0, 1)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -1.0, 2.0])
def test_a_confidence_lies_between_nought_and_one(confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        intervals.critical(confidence)


def test_the_critical_value_is_the_normal_quantile() -> None:
    assert intervals.critical(0.95) == pytest.approx(1.959964, abs=1e-6)
    assert intervals.simultaneous(0.95, 5) == pytest.approx(0.99)
    assert intervals.simultaneous(0.95, 0) == 0.95


def test_equal_weights_are_worth_their_rows_and_unequal_ones_less() -> None:
    assert intervals.effective_size([30.0], [100.0], [30.0], [100.0]) == pytest.approx([100])
    assert intervals.effective_size([60.0], [200.0], [120.0], [400.0]) == pytest.approx([100])
    assert intervals.effective_size([0.0], [0.0], [0.0], [0.0]) == pytest.approx([0])
    w = np.random.default_rng(1).lognormal(0, 1, 500)
    y = np.arange(500) % 5 == 0
    size = float(intervals.effective_size(w[y].sum(), w.sum(), (w[y] ** 2).sum(), (w**2).sum()))
    assert 0 < size <= w.sum() ** 2 / (w**2).sum() + 1e-9 < 500


def test_weighted_rates_are_covered_in_simulation() -> None:
    rng = np.random.default_rng(11)
    runs, n, p = 4000, 300, 0.3
    w = rng.lognormal(0, 0.8, (runs, n))
    y = rng.random((runs, n)) < p
    top, bottom = (w * y).sum(axis=1), w.sum(axis=1)
    size = intervals.effective_size(top, bottom, (w**2 * y).sum(axis=1), (w**2).sum(axis=1))
    found = intervals.wilson(top / bottom, size)
    assert 0.93 <= ((found.low <= p) & (p <= found.high)).mean() <= 0.98


def test_p_values_equal_scipys_and_are_corrected_as_holm_says() -> None:
    from scipy.stats import chi2_contingency

    for a, m, b, n in [(20, 60, 40, 70), (5, 50, 5, 60), (1, 400, 380, 400)]:
        theirs = chi2_contingency([[a, m - a], [b, n - b]], correction=False)
        assert float(intervals.p_value(a / m, m, b / n, n)) == pytest.approx(theirs.pvalue, rel=0.03, abs=1e-300)
    assert float(intervals.p_value(0.0, 10, 0.0, 20)) == 1
    assert float(intervals.p_value(0.0, 1e7, 1.0, 1e7)) == 0
    # Holm's own order: the smallest is multiplied by the number of tests, and later ones are never smaller.
    assert intervals.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert intervals.holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert len(intervals.holm([])) == 0


def test_extremes_follow_from_intervals_that_hold_together() -> None:
    together = Interval(np.array([0.2, 0.4]), np.array([0.3, 0.6]))
    each = extremes.impact_ratios(together)
    assert each.low == pytest.approx([0.2 / 0.6, 0.4 / 0.6])
    assert each.high == pytest.approx([0.3 / 0.4, 1.0])
    assert extremes.min_max_ratio(together) == pytest.approx((0.2 / 0.6, 0.3 / 0.4))
    assert extremes.max_difference(together) == pytest.approx((0.1, 0.4))
    nothing = Interval(np.array([0.0, 0.0]), np.array([0.1, 0.2]))
    assert extremes.min_max_ratio(nothing) == pytest.approx((0.0, 1.0))
    assert extremes.max_difference(nothing) == pytest.approx((0.0, 0.2))


@given(st.lists(st.tuples(SHARES, SIZES), min_size=2, max_size=8))
def test_extremes_hold_what_was_seen(groups: list[tuple[float, int]]) -> None:
    p, n = np.array([g[0] for g in groups]), np.array([g[1] for g in groups])
    together = intervals.wilson(p, n, 0.99)
    low, high = extremes.min_max_ratio(together)
    if p.max() > 0:
        assert low - 1e-12 <= p.min() / p.max() <= high + 1e-12
    least, most = extremes.max_difference(together)
    assert least - 1e-12 <= p.max() - p.min() <= most + 1e-12
    each = extremes.gaps_to_highest(together)
    assert ((each.low - 1e-12 <= p.max() - p) & (p.max() - p <= each.high + 1e-12)).all()


def test_ten_equal_groups_show_a_ratio_of_0_72_by_chance() -> None:
    chance = extremes.by_chance(0.3, np.full(10, 200.0), seed=1)
    assert chance.ratio_median == pytest.approx(0.72, abs=0.01)
    assert chance == extremes.by_chance(0.3, np.full(10, 200.0), seed=1)
    assert chance.ratio_twentieth < chance.ratio_median
    assert chance.difference_twentieth > chance.difference_median > 0


def test_what_could_be_detected_grows_with_the_group() -> None:
    small = extremes.detectable(0.9, 2000, 100, 0.8, 0.975)
    large = extremes.detectable(0.9, 2000, 2000, 0.8, 0.975)
    assert small.outside is not None
    assert large.outside is not None
    assert small.within is not None
    assert large.within is not None
    assert small.outside < large.outside < 0.8 < large.within < small.within
    assert extremes.detectable(0.3, 200, 5, 0.8, 0.95) == extremes.Detectable(None, None)


def test_what_is_detectable_is_detected_four_times_in_five() -> None:
    at = extremes.detectable(0.6, 5000, 300, 0.8, 0.975)
    assert at.outside is not None
    rng = np.random.default_rng(3)
    p = rng.binomial(300, 0.6 * at.outside, 5000) / 300
    top = intervals.wilson(rng.binomial(5000, 0.6, 5000) / 5000, 5000, 0.975)
    found = intervals.wilson(p, 300, 0.975).high / top.low < 0.8
    assert 0.76 <= found.mean() <= 0.86
