"""Scores by group against scikit-learn, which is the oracle, and that counting owes nothing to order or batches."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairness import ranking, tallying
from fairness.ranking import Estimate
from fairness.tallying import Counter, Table, Tally


def counted(group: Any, label: Any, score: Any, weight: Any = None, *, batch: int = 10**9, **more: Any) -> Table:
    unit = None if weight is None else 2.0 ** math.ceil(math.log2(max(weight)))
    counter = Counter(unit, **more)
    group, label, score = np.array(group), np.array(label), np.array(score, dtype=np.float64)
    for at in range(0, len(score), batch):
        part = slice(at, at + batch)
        counter.add(group[part], label[part], score[part], None if weight is None else np.array(weight)[part])
    return counter.finish(np.arange(int(group.max()) + 1))


def tally(label: Any, score: Any, weight: Any = None) -> Tally:
    (found,) = counted([0] * len(label), label, score, weight).tallies(np.zeros(1, dtype=np.int64), 1)
    return found


@st.composite
def scored(draw: Any) -> tuple[list[int], list[float], list[float]]:
    count = draw(st.integers(2, 40))
    score = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1))
    weights = st.one_of(st.just([1.0] * count), st.lists(st.floats(0.01, 100), min_size=count, max_size=count))
    label = draw(st.lists(st.integers(0, 1), min_size=count, max_size=count))
    return label, draw(st.lists(score, min_size=count, max_size=count)), draw(weights)


@settings(max_examples=15, deadline=None)
@given(scored())
def test_figures_equal_scikit_learns(rows: Any) -> None:
    equal_scikit_learns(rows)


@pytest.mark.long
@settings(max_examples=500, deadline=None)
@given(scored())
def test_figures_equal_scikit_learns_at_length(rows: Any) -> None:
    equal_scikit_learns(rows)


def equal_scikit_learns(rows: Any) -> None:
    import sklearn.metrics as sk

    label, score, weight = rows
    found = tally(label, score, weight)
    near: Any = {"rel": 1e-12, "abs": 1e-12}
    if 0 < sum(label) < len(label):
        assert ranking.auc(found).value == pytest.approx(sk.roc_auc_score(label, score, sample_weight=weight), **near)
    else:
        assert math.isnan(ranking.auc(found).value)
    brier = sk.brier_score_loss(label, score, sample_weight=weight, pos_label=1, labels=[0, 1])
    assert ranking.brier(found).value == pytest.approx(brier, **near)
    loss = sk.log_loss(label, score, sample_weight=weight, labels=[0, 1])
    assert ranking.log_loss(found).value == pytest.approx(loss, **near)
    assert ranking.mean_score(found).value == pytest.approx(np.average(score, weights=weight), **near)


def delong(label: Any, score: Any) -> float:
    """DeLong's standard error, pair by pair."""
    yes, no = score[label == 1], score[label == 0]
    pairs = (yes[:, None] > no) + 0.5 * (yes[:, None] == no)
    rows = pairs.mean(axis=1).var(ddof=1) / len(yes) + pairs.mean(axis=0).var(ddof=1) / len(no)
    return math.sqrt(float(rows))


def test_the_standard_error_of_the_auc_is_delongs_with_ties() -> None:
    rng = np.random.default_rng(1)
    label = rng.integers(0, 2, 300)
    score = np.round(rng.normal(label * 0.8, 1), 1)
    found = ranking.auc(tally(label, score))
    assert found.error == pytest.approx(delong(label, score), rel=1e-12)
    low, high = ranking.auc_bounds(found, 0.95)
    assert low < found.value < high
    assert high - low == pytest.approx(2 * 1.96 * found.error, rel=0.05)


def test_a_frequency_weight_is_as_many_rows() -> None:
    label, score, times = [0, 0, 1, 1, 0, 1], [0.1, 0.4, 0.35, 0.8, 0.7, 0.7], [3, 1, 2, 4, 2, 2]
    weighted = tally(label, score, [float(t) for t in times]).counting()
    rows = tally(np.repeat(label, times), np.repeat(score, times))
    for figure in (ranking.auc, ranking.brier, ranking.log_loss, ranking.mean_score):
        one, other = figure(weighted), figure(rows)
        assert (one.value, one.error) == pytest.approx((other.value, other.error), rel=1e-12)
    assert ranking.median(weighted)[0] == ranking.median(rows)[0]


def test_weighted_means_have_the_linearised_variance() -> None:
    rng = np.random.default_rng(4)
    score, weight = rng.random(50), rng.random(50) + 0.1
    found = ranking.mean_score(tally(np.arange(50) % 2, score, weight))
    mean = np.average(score, weights=weight)
    assert found.error**2 == pytest.approx((weight**2 * (score - mean) ** 2).sum() / weight.sum() ** 2 * 50 / 49)


def test_what_few_rows_cannot_say() -> None:
    one = ranking.auc(tally([0, 0, 1], [0.1, 0.5, 0.3]))
    assert one.value == 0.5
    assert math.isnan(one.error)
    assert all(map(math.isnan, ranking.auc_bounds(one, 0.95)))
    parted = ranking.auc(tally([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]))
    assert (parted.value, parted.error) == (1.0, 0.0)
    assert all(map(math.isnan, ranking.auc_bounds(parted, 0.95)))
    assert all(map(math.isnan, ranking.auc_bounds(Estimate(0.5, 0.0), 0.95)))
    assert ranking.auc_bounds(Estimate(1e-9, 1e-6), 0.95)[0] == 0.0
    alone = ranking.mean_score(tally([1], [0.4]))
    assert alone.value == 0.4
    assert math.isnan(ranking.bounds(alone, 0.95)[0])
    nobody = Tally(*(np.zeros(shape) for shape in ((0,), (0, 2), (0, 2), (0, 2))))
    assert math.isnan(ranking.mean_score(nobody).value)
    assert ranking.bounds(Estimate(0.01, 0.1), 0.95, 0.0, 1.0)[0] == 0.0


def test_two_groups_differ_with_both_their_errors() -> None:
    found = ranking.difference(Estimate(0.7, 0.03), Estimate(0.5, 0.04))
    assert (found.value, found.error) == pytest.approx((0.2, 0.05))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=30))
def test_the_median_is_numpys_and_a_scoring_rate_is_strictly_above_it(score: list[int]) -> None:
    found = tally([0] * len(score), score)
    cut, ties = ranking.median(found)
    assert cut == np.median(score)
    assert ties == sum(each == cut for each in score)
    share = ranking.above(found, cut)
    assert (share.top, share.bottom, share.size) == (sum(s > cut for s in score), len(score), len(score))


def same(one: Table, other: Table) -> None:
    for name in ("group", "label", "score", "n", "w", "w2"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert (one.bits, one.lowest, one.highest) == (other.bits, other.lowest, other.highest)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60), st.sampled_from([5, 30, 10**6]))
def test_a_table_owes_nothing_to_order_batches_or_what_waits(seed: int, batch: int, largest: int) -> None:
    rng = np.random.default_rng(seed)
    n = 120
    rows = (rng.integers(0, 3, n), rng.integers(0, 2, n), rng.choice(rng.normal(size=80), n), rng.random(n) + 0.01)
    at = rng.permutation(n)
    whole = counted(*rows, largest=largest)
    same(whole, counted(*(part[at] for part in rows), batch=batch, largest=largest, waiting=7))
    assert whole.exact == (largest > n)
    assert whole.n.sum() == n
    assert whole.w.sum() == pytest.approx(rows[3].sum(), rel=1e-12)
    assert whole.w2.sum() == pytest.approx((rows[3] ** 2).sum(), rel=1e-12)


def test_rounded_scores_are_near_and_within_what_was_seen() -> None:
    rng = np.random.default_rng(8)
    score = rng.random(20_000)
    label = (rng.random(20_000) < score).astype(int)
    found = counted(np.zeros(20_000, dtype=int), label, score, largest=3000)
    assert not found.exact
    assert len(found.score) <= 3000
    assert 0 <= found.score.min() <= found.score.max() <= score.max()
    (rounded,) = found.tallies(np.zeros(1, dtype=np.int64), 1)
    exact = tally(label, score)
    assert ranking.auc(rounded).value == pytest.approx(ranking.auc(exact).value, abs=1e-4)
    assert ranking.brier(rounded).value == pytest.approx(ranking.brier(exact).value, abs=1e-4)
    one_bit = counted([0] * 40, [0, 1] * 20, np.arange(1.0, 41.0), largest=3)
    assert one_bit.bits == tallying.LAST_GRID


def test_groups_are_renumbered_and_taken_together() -> None:
    counter = Counter()
    counter.add(np.array([], dtype=int), np.array([], dtype=int), np.array([]))
    with pytest.raises(ValueError, match="no rows"):
        counter.finish(np.arange(1))
    counter.add(np.array([0, 1, 2]), np.array([1, 0, 1]), np.array([0.3, -0.0, 0.0]))
    table = counter.finish(np.array([2, 1, 0]))
    assert table.group.tolist() == [0, 1, 2]
    one, other = table.tallies(np.array([0, 0, 1]), 2)
    assert one.score.tolist() == [0.0]
    assert one.n.tolist() == [[1.0, 1.0]]
    assert (one.rows, other.rows) == (2, 1)


def standardised(one: Any, other: Any, *weights: Any) -> ranking.Standardised:
    given = [
        tally([0] * len(score), score, weight)
        for score, weight in zip((one, other), weights or (None, None), strict=True)
    ]
    return ranking.standardised(*given)


def test_the_standardised_difference_is_the_textbooks() -> None:
    one, other = [0.2, 0.4, 0.9, 0.5], [0.1, 0.3, 0.2]
    found = standardised(one, other)
    spread = math.sqrt((3 * np.var(one, ddof=1) + 2 * np.var(other, ddof=1)) / 5)
    d = (np.mean(one) - np.mean(other)) / spread
    assert found.spread == pytest.approx(spread)
    assert found.found.value == pytest.approx(d)
    assert found.found.error == pytest.approx(math.sqrt(7 / 12 + d**2 / 14))
    # Two rows of a half weigh as one: what weights say of a group is how many rows it is worth.
    heavy = standardised(one, other, [3.0] * 4, [7.0] * 3)
    assert heavy.found.value == pytest.approx(d)
    assert heavy.found.error == pytest.approx(found.found.error)
    twice = standardised([*one, *one], other, [0.5] * 8, [1.0] * 3)
    assert twice.found.error < found.found.error


@pytest.mark.parametrize(
    ("one", "other"),
    [([0.5], [0.1, 0.2]), ([0.1, 0.2], [0.5]), ([0.3, 0.3], [0.3]), ([0.1] * 3, [0.1] * 4), ([0.1] * 3, [0.2] * 4)],
)
def test_without_two_rows_or_any_spread_there_is_no_standardised_difference(one: Any, other: Any) -> None:
    assert math.isnan(standardised(one, other).found.value)
    assert math.isnan(standardised(one, other).spread)


GRID = st.lists(st.integers(0, 20).map(lambda x: x / 20), min_size=2, max_size=30)


@settings(max_examples=30, deadline=None)
@given(GRID, GRID, st.sampled_from([0.5, 4.0]), st.integers(-3, 3))
def test_the_standardised_difference_has_no_scale_and_turns_round(one: Any, other: Any, by: float, more: int) -> None:
    found, turned = standardised(one, other), standardised(other, one)
    if math.isnan(found.found.value):
        assert len({*one}) == len({*other}) == 1
        return
    assert turned.found.value == pytest.approx(-found.found.value)
    assert turned.found.error == pytest.approx(found.found.error)
    scaled = standardised(*([x * by + more for x in each] for each in (one, other)))
    assert scaled.found.value == pytest.approx(found.found.value, rel=1e-6, abs=1e-9)
    assert scaled.spread == pytest.approx(found.spread * by, rel=1e-6)


def test_its_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Normal scores 0.5 standard deviations apart, 40 rows against 80."""
    random, held, draws = np.random.default_rng(7), 0, 600
    for _ in range(draws):
        one, other = (
            Tally(np.sort(random.normal(mean, 2.0, size)), *[np.stack([np.ones(size), np.zeros(size)], axis=1)] * 3)
            for mean, size in ((1.0, 40), (0.0, 80))
        )
        low, high = ranking.bounds(ranking.standardised(one, other).found, 0.95)
        held += low <= 0.5 <= high
    assert 0.93 <= held / draws <= 0.97
