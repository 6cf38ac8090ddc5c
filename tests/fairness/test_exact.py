"""Exact bounds and Fisher's test against scipy and published examples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fairness import exact
from fairness.clusters import cluster_size, penalty
from fairness.intervals import Interval, koopman, newcombe, wilson


# Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 5.
@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0, 0.1684), (1, 29, 0.0009, 0.1776)],
)
def test_clopper_and_pearson_give_newcombes_examples(k: int, n: int, low: float, high: float) -> None:
    found = exact.clopper_pearson(k / n, n)
    assert (float(found.low), float(found.high)) == pytest.approx((low, high), abs=5e-5)


def test_exact_bounds_are_quantiles_of_the_beta_distribution() -> None:
    from scipy.special import betainc
    from scipy.stats import beta

    rng = np.random.default_rng(1)
    n = rng.integers(1, 3000, 40) * rng.choice([1.0, 0.37, 90.3], 40)
    k = np.where(rng.random(40) < 0.7, np.minimum(n, rng.integers(0, 20, 40)), n * rng.random(40))
    k[:3] = n[:3]
    for confidence in (0.95, 0.9995):
        found, tail = exact.clopper_pearson(k / n, n, confidence), (1 - confidence) / 2
        assert found.low == pytest.approx(np.nan_to_num(beta.ppf(tail, k, n - k + 1)), rel=1e-7, abs=1e-12)
        assert found.high == pytest.approx(np.nan_to_num(beta.ppf(1 - tail, k + 1, n - k), nan=1.0), abs=1e-9)
    a, b, x = rng.uniform(0.1, 50, (2, 20)), rng.uniform(0.1, 50, (2, 20)), rng.uniform(0.001, 0.999, (2, 20))
    for one, other, at in zip(a.flat, b.flat, x.flat, strict=True):
        assert exact.incomplete_beta(one, other, at) == pytest.approx(betainc(one, other, at), abs=1e-11)
    nothing = exact.clopper_pearson(0.4, 0)
    assert (float(nothing.low), float(nothing.high)) == (0, 1)


# Fisher's tea taster, as Agresti, Categorical Data Analysis (2002), table 3.8, has it: p = 0.486 two-sided.
def test_fishers_test_is_that_of_the_tea_taster_and_of_scipy() -> None:
    from scipy.stats import fisher_exact

    assert exact.fisher(3, 4, 1, 4) == pytest.approx(0.4857, abs=5e-5)
    # Convicts' twins: 10 of 13 monozygotic, 2 of 17 dizygotic (Fisher 1934; R's help of fisher.test gives this p).
    assert exact.fisher(10, 13, 2, 17) == pytest.approx(0.0005367, abs=5e-7)
    rng = np.random.default_rng(2)
    for n, m in rng.integers(1, 60, (60, 2)):
        k, j = rng.integers(0, n + 1), rng.integers(0, m + 1)
        theirs = fisher_exact([[k, n - k], [j, m - j]]).pvalue
        assert exact.fisher(int(k), int(n), int(j), int(m)) == pytest.approx(theirs, abs=1e-10)


def test_guarded_intervals_are_score_intervals_where_both_outcomes_are_many_and_wider_elsewhere() -> None:
    p, n = np.array([0.3, 0.01, 0.0, 1.0, 0.5]), np.array([200.0, 200.0, 30.0, 50.0, 0.0])
    score, guarded = wilson(p, n, 0.99), exact.guarded_rate(p, n, 0.99)
    assert (guarded.low[0], guarded.high[0]) == (score.low[0], score.high[0])
    assert (guarded.low <= score.low).all()
    assert (guarded.high >= score.high).all()
    assert guarded.low[1] < score.low[1]
    for mine, theirs in ((exact.guarded_difference, newcombe), (exact.guarded_ratio, koopman)):
        many = mine(p[:1], n[:1], 0.4, 300.0, 0.95)
        plain = theirs(p[:1], n[:1], 0.4, 300.0, 0.95)
        assert (many.low[0], many.high[0]) == (plain.low[0], plain.high[0])
        few, score_few = mine(p[1:3], n[1:3], 0.4, 300.0, 0.95), theirs(p[1:3], n[1:3], 0.4, 300.0, 0.95)
        assert (few.low <= score_few.low).all()
        assert (few.high >= score_few.high).all()
    assert exact.guarded_ratio(p[:1], n[:1], 0.0, 300.0, 0.95).high[0] == math.inf


def test_guarded_rates_miss_no_more_often_than_they_say_exactly_counted() -> None:
    from scipy.stats import binom

    at = 1 - 0.05 / 10
    for n, p in [(800, 0.01), (300, 0.03), (50, 0.02), (1000, 0.008)]:
        k = np.arange(n + 1)
        inside = {}
        for name, found in (("wilson", wilson(k / n, n, at)), ("guarded", exact.guarded_rate(k / n, n, at))):
            held: Interval = found
            inside[name] = float((binom.pmf(k, n, p) * ((held.low <= p) & (p <= held.high))).sum())
        assert inside["guarded"] >= at
        assert inside["guarded"] >= inside["wilson"]
    # What the guard is for: ten such groups together would hold in 92 % of cases only.
    k = np.arange(801)
    alone = wilson(k / 800, 800, at)
    held_by_score = (binom.pmf(k, 800, 0.01) * ((alone.low <= 0.01) & (alone.high >= 0.01))).sum()
    assert held_by_score**10 < 0.925


def test_whether_rows_are_enough_is_asked_of_both_outcomes() -> None:
    assert exact.enough([0.5, 0.5, 0.01, 0.99, 0.0, 0.03], [30, 8, 400, 400, 1000, 500], 0.95).tolist() == [
        True, False, False, False, False, True,
    ]  # fmt: skip


def test_clusters_of_one_row_are_rows_and_alike_rows_are_one() -> None:
    y = np.arange(400) % 4 == 0
    top, bottom = float(y.sum()), 400.0
    single = cluster_size([top], [bottom], [top], [top], [bottom], [400.0], [400.0], 0.95)
    assert single[0] == pytest.approx(400 * 399 / 400 * penalty(399, 0.95), rel=1e-9)
    # Each person four times, the same answer each time: a hundred people.
    alike = cluster_size([top], [bottom], [4 * top], [4 * top], [4 * bottom], [100.0], [400.0], 0.95)
    assert alike[0] == pytest.approx(100 * 99 / 100 * penalty(99, 0.95), rel=1e-9)
    # No spread to learn from, one cluster, and nothing at all.
    assert cluster_size([400.0], [400.0], [1600.0], [1600.0], [1600.0], [100.0], [400.0], 0.95)[0] == 100
    assert cluster_size([1.0], [4.0], [1.0], [4.0], [16.0], [1.0], [4.0], 0.95)[0] == 1
    assert cluster_size([0.0], [0.0], [0.0], [0.0], [0.0], [0.0], [0.0], 0.95)[0] == 0


def test_students_quantile_is_near_for_a_few_clusters() -> None:
    from scipy.stats import norm, t

    for freedom in (5, 10, 40, 400):
        expected = (norm.ppf(0.975) / t.ppf(0.975, freedom)) ** 2
        assert float(penalty(freedom, 0.95)) == pytest.approx(expected, rel=2e-3)
