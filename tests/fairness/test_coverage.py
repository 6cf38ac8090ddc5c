"""A small part of `python -m bench.fairness --coverage`, with fixed seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench import coverage
from fairness.deciding import Comparison
from fairness.rules import DEFAULT_RULE, Rate, Rule, evaluate

DRAWS = 800
ERROR = 2 * math.sqrt(0.93 * 0.07 / DRAWS)


@pytest.mark.parametrize("comparison", coverage.COMPARISONS)
def test_intervals_that_decide_a_rule_hold_the_truth(comparison: Comparison) -> None:
    rng = np.random.default_rng(7)
    for world in coverage.worlds(comparison, (30, 800), (0.01, 0.3), (5,)):
        seen = coverage.measure(world, comparison, DRAWS, rng)
        assert seen.outside <= 0.05 + ERROR
        if not world.ample:
            assert seen.within == 0
            continue
        assert seen.alone >= 0.93 - ERROR
        assert seen.together >= 0.93 - ERROR
        if world.kind != "equal":
            assert seen.within <= 0.05 + ERROR


def test_weights_and_rows_of_one_person_are_not_taken_for_more_than_they_are_worth() -> None:
    rng = np.random.default_rng(8)
    for draw, worth in ((coverage.weighted(1.0), math.exp(-1)), (coverage.clustered(5, 0.3), 1 / 2.2)):
        (world,) = coverage.worlds("at_least", (300,), (0.3,), (2,), worth)
        seen = coverage.measure(world, "at_least", DRAWS, rng, draw)
        assert min(seen.alone, seen.together) >= 0.93 - ERROR


def test_ten_equal_groups_are_outside_in_at_most_five_per_cent_of_runs() -> None:
    world = coverage.World("equal", (0.3,) * 10, (200,) * 10, DEFAULT_RULE.bound)
    assert coverage.measure(world, "impact_ratio", DRAWS, np.random.default_rng(20)).outside <= 0.05


@pytest.mark.parametrize(
    ("rule", "rates"),
    [
        (Rule(comparison="difference", bound=0.1), [(3, 400), (4, 400)]),
        (Rule(comparison="difference_to_reference", bound=0.1), [(200, 400), (3, 1000)][::-1]),
        (Rule(comparison="at_most", bound=0.5), [(3, 400)]),
        (Rule(comparison="at_least", bound=0.5), [(399, 400)]),
        (Rule(comparison="impact_ratio", bound=0.5), [(400, 400), (400, 400)]),
    ],
)
def test_a_handful_of_rows_with_one_outcome_shows_no_pass(rule: Rule, rates: list[tuple[int, int]]) -> None:
    given = [Rate("ab"[i], k / n, n, float(n)) for i, (k, n) in enumerate(rates)]
    result = evaluate(rule, given, "a")
    assert result.verdict in ("inconclusive", "outside")
    if result.verdict == "inconclusive":
        assert "have one of the two outcomes" in result.sentence
        assert [f.sparse for f in result.findings if f.verdict == "inconclusive"]
