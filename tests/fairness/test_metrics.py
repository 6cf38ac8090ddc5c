"""Metrics from cells against fairlearn's MetricFrame, which is the oracle."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairness import bootstrap, metrics
from fairness.metrics import Cells
from fairness.naming import UNKNOWN

LEVELS = ("a", "b", UNKNOWN)


def cells_of(groups: Sequence[tuple[str, ...]], label: list[int], chosen: list[int], weight: list[float]) -> Cells:
    names = tuple(sorted(set(groups)))
    n, w, w2 = np.zeros((len(names), 2, 2), dtype=np.int64), np.zeros((len(names), 2, 2)), np.zeros((len(names), 2, 2))
    for group, y, p, one in zip(groups, label, chosen, weight, strict=True):
        at = (names.index(group), y, p)
        n[at] += 1
        w[at] += one
        w2[at] += one**2
    return Cells(tuple(f"s{i}" for i in range(len(groups[0]))), names, n, w, w2)


@st.composite
def rows(draw: Any) -> tuple[list[tuple[str, ...]], list[int], list[int], list[float]]:
    width, count = draw(st.integers(1, 3)), draw(st.integers(2, 60))
    group = st.tuples(*[st.sampled_from(LEVELS)] * width)
    groups = draw(st.lists(group, min_size=count, max_size=count))
    bits = st.lists(st.integers(0, 1), min_size=count, max_size=count)
    sizes = st.one_of(st.just([1.0] * count), st.lists(st.floats(0.01, 100), min_size=count, max_size=count))
    return groups, draw(bits), draw(bits), draw(sizes)


def remembered(function: Callable[..., float]) -> Callable[..., float]:
    """The same metric, worked out once for the same rows: small groups repeat, and scikit-learn checks at length."""
    known: dict[tuple[bytes, ...], float] = {}

    def metric(t: Any, p: Any, sample_weight: Any) -> float:
        key = (t.tobytes(), p.tobytes(), sample_weight.tobytes())
        if key not in known:
            known[key] = function(t, p, sample_weight=sample_weight)
        return known[key]

    return metric


@cache
def oracles() -> dict[str, Callable[..., float]]:
    import fairlearn.metrics as fl
    import sklearn.metrics as sk

    functions = {
        "base_rate": lambda t, p, sample_weight: fl.selection_rate(t, t, sample_weight=sample_weight),
        "selection_rate": fl.selection_rate,
        "accuracy": sk.accuracy_score,
        "true_positive_rate": fl.true_positive_rate,
        "false_positive_rate": fl.false_positive_rate,
        "false_negative_rate": fl.false_negative_rate,
        "true_negative_rate": fl.true_negative_rate,
        "positive_predictive_value": lambda t, p, sample_weight: sk.precision_score(
            t, p, sample_weight=sample_weight, zero_division=0
        ),
        "negative_predictive_value": lambda t, p, sample_weight: sk.precision_score(
            t, p, sample_weight=sample_weight, pos_label=0, zero_division=0
        ),
        "f1": lambda t, p, sample_weight: sk.f1_score(t, p, sample_weight=sample_weight, zero_division=0),
        "balanced_accuracy": sk.balanced_accuracy_score,
    }
    return {name: remembered(function) for name, function in functions.items()}


def frame_of(groups: list[tuple[str, ...]], label: list[int], chosen: list[int], weight: list[float]) -> Any:
    import fairlearn.metrics as fl
    import pandas as pd

    functions = oracles()
    sensitive = pd.DataFrame({f"s{i}": [g[i] for g in groups] for i in range(len(groups[0]))})
    frame = fl.MetricFrame(
        metrics=functions,
        y_true=np.array(label),
        y_pred=np.array(chosen),
        sensitive_features=sensitive,
        sample_params={name: {"sample_weight": np.array(weight)} for name in functions},
    )
    counted = fl.MetricFrame(
        metrics={"count": fl.count}, y_true=np.array(label), y_pred=np.array(chosen), sensitive_features=sensitive
    )
    return frame, counted


def same(ours: Any, theirs: Any, what: str) -> None:
    assert np.allclose(ours, theirs, rtol=1e-12, atol=1e-12, equal_nan=True), (what, ours, theirs)


@settings(max_examples=12, deadline=None)
@given(rows())
def test_everything_equals_metric_frame(given_rows: Any) -> None:
    equals_metric_frame(given_rows)


@pytest.mark.long
@settings(max_examples=400, deadline=None)
@given(rows())
def test_everything_equals_metric_frame_at_length(given_rows: Any) -> None:
    equals_metric_frame(given_rows)


def equals_metric_frame(given_rows: Any) -> None:
    groups, label, chosen, weight = given_rows
    cells = cells_of(groups, label, chosen, weight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame, counted = frame_of(groups, label, chosen, weight)
        difference = {m: frame.difference(method=m) for m in ("between_groups", "to_overall")}
        ratio = {m: frame.ratio(method=m) for m in ("between_groups", "to_overall")}
        low, high = frame.group_min(), frame.group_max()
    table, whole = metrics.table(cells), metrics.overall(cells)
    assert whole["count"] == len(groups)
    keys = [g if len(g) > 1 else g[0] for g in cells.groups]
    same(table["count"], [counted.by_group["count"][key] for key in keys], "count")
    for name in metrics.NAMES[1:]:
        same(table[name], [frame.by_group[name][key] for key in keys], name)
        same(whole[name], frame.overall[name], name)
        same(metrics.group_min(table[name]), low[name], name)
        same(metrics.group_max(table[name]), high[name], name)
        same(metrics.difference(table[name]), difference["between_groups"][name], name)
        same(metrics.difference(table[name], whole[name]), difference["to_overall"][name], name)
        same(metrics.ratio(table[name]), ratio["between_groups"][name], name)
        same(metrics.ratio(table[name], whole[name]), ratio["to_overall"][name], name)
        # The direction that MetricFrame's ratio to overall does not tell.
        unfolded = metrics.to_overall(table[name], whole[name])
        with np.errstate(divide="ignore", invalid="ignore"):
            same(unfolded, np.array([frame.by_group[name][key] for key in keys]) / frame.overall[name], name)
            same(metrics.group_min(np.where(unfolded > 1, 1 / unfolded, unfolded)), ratio["to_overall"][name], name)


@settings(max_examples=4, deadline=None)
@given(rows())
def test_criteria_by_name_equal_fairlearn(given_rows: Any) -> None:
    import fairlearn.metrics as fl

    groups, label, chosen, weight = given_rows
    table = metrics.table(cells_of(groups, label, chosen, weight))
    args: dict[str, Any] = {
        "y_true": np.array(label), "y_pred": np.array(chosen), "sensitive_features": [",".join(g) for g in groups],
        "sample_weight": np.array(weight),
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gap, share = metrics.demographic_parity(table)
        same(gap, fl.demographic_parity_difference(**args), "demographic parity")
        same(share, fl.demographic_parity_ratio(**args), "demographic parity")
        gap, share = metrics.equal_opportunity(table)
        same(gap, fl.equal_opportunity_difference(**args), "equal opportunity")
        same(share, fl.equal_opportunity_ratio(**args), "equal opportunity")
        for how in ("worst_case", "mean"):
            gap, share = metrics.equalised_odds(table, "mean" if how == "mean" else "worst_case")
            same(gap, fl.equalized_odds_difference(**args, agg=how), how)
            theirs = fl.equalized_odds_ratio(**args, agg=how)
            if not (math.isnan(float(share)) or math.isnan(theirs)):
                same(share, theirs, how)


@settings(max_examples=40, deadline=None)
@given(rows())
def test_fewer_attributes_are_sums_of_more(given_rows: Any) -> None:
    groups, label, chosen, weight = given_rows
    cells = cells_of(groups, label, chosen, weight)
    one = cells.by(["s0"])
    again = cells_of([(g[0],) for g in groups], label, chosen, weight)
    assert one.groups == again.groups
    assert np.array_equal(one.n, again.n)
    assert np.allclose(one.w, again.w, rtol=1e-12)
    assert np.allclose(one.w2, again.w2, rtol=1e-12)
    assert one.rows == one.sizes.sum() == len(groups)
    assert one.unknown() == tuple(g == (UNKNOWN,) for g in one.groups)


def test_an_empty_denominator_is_told_when_asked() -> None:
    cells = cells_of([("a",), ("a",)], [0, 0], [1, 0], [1.0, 1.0])
    assert metrics.table(cells)["true_positive_rate"] == [0.0]
    assert np.isnan(metrics.table(cells, math.nan)["true_positive_rate"])[0]
    assert metrics.table(cells)["balanced_accuracy"] == [0.5]
    assert np.isnan(metrics.table(cells, math.nan)["balanced_accuracy"])[0]


def test_a_group_without_rows_has_no_values() -> None:
    empty = np.zeros((1, 2, 2))
    assert np.isnan(metrics.values("selection_rate", empty))[0]
    assert metrics.values("count", empty)[0] == 0


def test_comparisons_with_a_reference_and_with_the_highest() -> None:
    rates = np.array([0.4, 0.8])
    gap, share = metrics.to_reference(rates, 1)
    assert gap == pytest.approx([-0.4, 0.0])
    assert share == pytest.approx([0.5, 1.0])
    assert metrics.impact_ratio(rates) == pytest.approx([0.5, 1.0])


def test_weights_are_noticed() -> None:
    assert not cells_of([("a",)], [1], [1], [1.0]).weighted
    assert cells_of([("a",)], [1], [1], [2.0]).weighted


def test_the_bootstrap_spreads_as_the_binomial_does() -> None:
    groups = [("a",)] * 400 + [("b",)] * 400
    chosen = [int(i % 4 == 0) for i in range(800)]
    label = [i % 2 for i in range(800)]
    cells = cells_of(groups, label, chosen, [1.0] * 800)
    sample = bootstrap.replicates(cells, 4000, seed=1)
    assert np.array_equal(sample, bootstrap.replicates(cells, 4000, seed=1))
    rates = metrics.values("selection_rate", sample)
    assert rates.mean(axis=0) == pytest.approx([0.25, 0.25], abs=0.002)
    assert rates.std(axis=0) == pytest.approx([math.sqrt(0.25 * 0.75 / 400)] * 2, rel=0.05)
    spread = bootstrap.spread("selection_rate", sample, 0.95)
    assert spread.low == pytest.approx([0.2076] * 2, abs=0.006)
    assert spread.high == pytest.approx([0.2924] * 2, abs=0.006)
    assert spread.replicates == 4000
    assert not spread.undefined.any()


def test_the_bootstrap_of_weights_has_the_variance_of_the_rows() -> None:
    rng = np.random.default_rng(5)
    weight = rng.lognormal(0, 0.7, 600)
    chosen = rng.integers(0, 2, 600)
    cells = cells_of([("a",)] * 600, [1] * 600, chosen.tolist(), weight.tolist())
    rates = metrics.values("selection_rate", bootstrap.replicates(cells, 4000, seed=2))[:, 0]
    rows = rng.integers(0, 600, (4000, 600))
    by_rows = (weight[rows] * chosen[rows]).sum(axis=1) / weight[rows].sum(axis=1)
    assert rates.std() == pytest.approx(by_rows.std(), rel=0.06)


def test_the_bootstrap_counts_what_is_undefined() -> None:
    cells = cells_of([("a",)] * 3 + [("b",)] * 3, [1, 0, 0, 0, 0, 0], [1, 1, 0, 1, 0, 0], [1.0] * 6)
    spread = bootstrap.spread("true_positive_rate", bootstrap.replicates(cells, 200, seed=3), 0.95)
    assert spread.undefined[1] == 200
    assert np.isnan(spread.low[1])
    assert 0 < spread.undefined[0] < 200
