"""Verdicts: when a rule passes, and what it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairness.rules import (
    DEFAULT_RULE,
    ORDER,
    Finding,
    Rate,
    Result,
    Rule,
    decisive,
    evaluate,
    family_size,
    reach,
    worst,
)


def rate(group: str, value: float, size: int, unknown: bool = False) -> Rate:
    return Rate(group, value, size, float(size), unknown)


def judge(comparison: str, bound: float, *rates: Rate, reference: str | None = None, **more: Any) -> Result:
    return evaluate(Rule.from_mapping({"comparison": comparison, "bound": bound, **more}), rates, reference)


def test_the_four_fifths_guideline_is_the_default() -> None:
    assert DEFAULT_RULE.as_dict() == {
        "metric": "selection_rate", "comparison": "impact_ratio", "bound": 0.8, "confidence": 0.95,
        "minimum_group_size": 30, "test_unknown": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rates", "verdict", "words"),
    [
        ([rate("a", 0.5, 5000), rate("b", 0.49, 5000)], "within", "Every group's selection rate meets the rule"),
        ([rate("a", 0.5, 5000), rate("b", 0.3, 5000)], "outside", "beyond the bound at 95 % confidence"),
        ([rate("a", 0.9, 1792), rate("b", 0.675, 197)], "inconclusive", "That there is a difference is shown"),
        ([rate("a", 0.5, 60), rate("b", 0.45, 60)], "inconclusive", "Neither a breach nor its absence is shown"),
        ([rate("a", 0.5, 5000), rate("b", 0.49, 29)], "too_few", "b (29); the rule asks for at least 30"),
        ([rate("a", 0.5, 5000)], "too_few", "needs a second group"),
        ([], "too_few", "needs a second group"),
        ([rate("a", 0.0, 500), rate("b", 0.0, 500)], "inconclusive", "1.000 of that of the highest group"),
    ],
)
def test_impact_ratio(rates: list[Rate], verdict: str, words: str) -> None:
    result = evaluate(DEFAULT_RULE, rates)
    assert result.verdict == verdict
    assert words in result.sentence
    assert result.passes == (verdict == "within")


def test_a_breach_outweighs_a_group_that_is_too_small() -> None:
    result = evaluate(DEFAULT_RULE, [rate("a", 0.5, 5000), rate("b", 0.2, 5000), rate("c", 0.5, 3)])
    assert result.verdict == "outside"
    assert [f.verdict for f in result.findings] == ["within", "outside", "too_few"]


def test_people_whose_attribute_is_missing_are_shown_and_tested_only_when_asked() -> None:
    rates = [rate("a", 0.5, 5000), rate("b", 0.5, 5000), rate("unknown", 0.1, 5000, unknown=True)]
    result = evaluate(DEFAULT_RULE, rates)
    assert result.verdict == "within"
    assert [f.verdict for f in result.findings] == ["within", "within", "not_tested"]
    assert evaluate(Rule(test_unknown=True), rates).verdict == "outside"


@pytest.mark.parametrize(
    ("comparison", "bound", "value", "verdict"),
    [
        ("difference", 0.1, 0.49, "within"),
        ("difference", 0.1, 0.3, "outside"),
        ("difference", 0.1, 0.41, "inconclusive"),
        ("ratio_to_reference", 0.8, 0.49, "within"),
        ("ratio_to_reference", 0.8, 0.3, "outside"),
        ("ratio_to_reference", 0.8, 0.7, "outside"),
        ("ratio_to_reference", 0.8, 0.4, "inconclusive"),
        ("difference_to_reference", 0.1, 0.49, "within"),
        ("difference_to_reference", 0.1, 0.3, "outside"),
        ("difference_to_reference", 0.1, 0.7, "outside"),
        ("difference_to_reference", 0.1, 0.41, "inconclusive"),
        ("at_least", 0.4, 0.49, "within"),
        ("at_least", 0.4, 0.3, "outside"),
        ("at_least", 0.4, 0.41, "inconclusive"),
        ("at_most", 0.6, 0.49, "within"),
        ("at_most", 0.6, 0.7, "outside"),
        ("at_most", 0.6, 0.59, "inconclusive"),
    ],
)
def test_every_comparison_gives_every_verdict(comparison: str, bound: float, value: float, verdict: str) -> None:
    result = judge(comparison, bound, rate("a", 0.5, 2000), rate("b", value, 2000), reference="a")
    assert result.verdict == verdict
    assert "b" in result.sentence
    assert "asks" in result.sentence or "meets" in result.sentence
    assert f"{bound:.3f}" in result.sentence


def test_a_reference_must_be_there_and_large_enough() -> None:
    a, b = rate("a", 0.5, 2000), rate("b", 0.5, 2000)
    assert judge("ratio_to_reference", 0.8, a, b, reference="c").verdict == "too_few"
    assert judge("ratio_to_reference", 0.8, a, b).verdict == "too_few"
    assert judge("difference_to_reference", 0.1, a, reference="a").verdict == "too_few"
    one = judge("at_least", 0.1, a)
    assert one.verdict == "within"
    assert judge("at_least", 0.1).verdict == "too_few"


def test_a_reference_in_which_nobody_is_selected_decides_nothing() -> None:
    result = judge("ratio_to_reference", 0.8, rate("a", 0.0, 500), rate("b", 0.01, 500), reference="a")
    assert result.verdict == "inconclusive"
    neither = judge("ratio_to_reference", 0.8, rate("a", 0.0, 500), rate("b", 0.0, 500), reference="a")
    assert neither.verdict == "inconclusive"
    assert "of b is 1.000 of that of a" in neither.sentence


def test_a_larger_family_makes_breaches_harder_to_claim_but_passing_no_harder() -> None:
    rates = [rate("a", 0.5, 900), rate("b", 0.325, 900)]
    assert evaluate(DEFAULT_RULE, rates).verdict == "outside"
    assert evaluate(DEFAULT_RULE, rates, family=5000).verdict == "inconclusive"
    close = [rate("a", 0.5, 900), rate("b", 0.49, 900)]
    assert evaluate(DEFAULT_RULE, close, family=5000).verdict == "within"


def test_the_family_counts_what_is_tested() -> None:
    one = [rate("a", 0.5, 100), rate("b", 0.5, 29), rate("unknown", 0.5, 100, unknown=True)]
    assert family_size(DEFAULT_RULE, [one, one]) == 2
    assert family_size(Rule(test_unknown=True, minimum_group_size=1), [one]) == 3


def test_the_worst_verdict_speaks_for_all() -> None:
    assert worst(["within", "inconclusive", "too_few", "outside"]) == "outside"
    assert worst(["within", "inconclusive", "too_few"]) == "too_few"
    assert worst(["within", "inconclusive"]) == "inconclusive"
    assert worst(["within"]) == "within"
    assert worst([]) == "too_few"
    assert ORDER[-1] == "within"


def test_of_equal_verdicts_the_one_nearest_to_a_breach_speaks_first() -> None:
    near = evaluate(DEFAULT_RULE, [rate("a", 0.5, 5000), rate("b", 0.45, 5000)])
    far = evaluate(DEFAULT_RULE, [rate("a", 0.5, 5000), rate("b", 0.5, 5000)])
    few = evaluate(DEFAULT_RULE, [])
    assert decisive(DEFAULT_RULE, {"far": far, "near": near}) == "near"
    assert decisive(DEFAULT_RULE, {"far": far, "few": few, "near": near}) == "few"
    assert decisive(DEFAULT_RULE, {}) is None
    assert reach(DEFAULT_RULE, Finding("a", "too_few", 3)) == -np.inf


@pytest.mark.parametrize(
    ("given_rule", "words"),
    [
        ({"metric": "f1"}, "No rule can be made of the metric 'f1'"),
        ({"metric": "luck"}, "No rule can be made"),
        ({"comparison": "vibes"}, "not a comparison"),
        ({"bound": 0.0}, "bound"),
        ({"bound": 1.5}, "bound"),
        ({"confidence": 1.0}, "confidence"),
        ({"confidence": 0.2}, "confidence"),
        ({"minimum_group_size": 0}, "minimum group size"),
        ({"surprise": 1}, "has no surprise"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(given_rule: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Rule.from_mapping(given_rule)


def test_ten_equal_groups_are_called_outside_in_at_most_five_per_cent_of_runs() -> None:
    rng = np.random.default_rng(20)
    seen = [
        evaluate(DEFAULT_RULE, [rate(str(i), k / 200, 200) for i, k in enumerate(rng.binomial(200, 0.3, 10))]).verdict
        for _ in range(1000)
    ]
    assert seen.count("outside") / len(seen) <= 0.05
    assert "within" not in seen


def test_within_is_said_wrongly_in_at_most_five_per_cent_of_runs() -> None:
    rng = np.random.default_rng(21)
    seen = [
        evaluate(DEFAULT_RULE, [rate("a", k / 3000, 3000), rate("b", j / 600, 600)]).verdict
        for k, j in zip(rng.binomial(3000, 0.5, 1000), rng.binomial(600, 0.4 - 1e-9, 1000), strict=True)
    ]
    assert seen.count("within") / len(seen) <= 0.05
    assert seen.count("outside") / len(seen) <= 0.05


RATES = st.lists(st.tuples(st.integers(0, 4000), st.integers(1, 4000), st.booleans()), min_size=0, max_size=6)
COMPARED = st.sampled_from(
    ["impact_ratio", "difference", "ratio_to_reference", "difference_to_reference", "at_least", "at_most"]
)


@settings(max_examples=150, deadline=None)
@given(RATES, COMPARED, st.floats(0.01, 1), st.integers(1, 100), st.booleans())
def test_any_groups_get_a_verdict_a_sentence_and_a_finding_each(
    given_rates: list[tuple[int, int, bool]], comparison: str, bound: float, least: int, unknown: bool
) -> None:
    rates = [rate(f"g{i}", min(k, n) / n, n, missing) for i, (k, n, missing) in enumerate(given_rates)]
    rule = Rule.from_mapping(
        {"comparison": comparison, "bound": bound, "minimum_group_size": least, "test_unknown": unknown}
    )
    result = evaluate(rule, rates, "g0")
    assert result.verdict in ORDER
    assert result.sentence.endswith(".")
    assert "nan" not in result.sentence
    assert [f.group for f in result.findings] == [r.group for r in rates]
    for finding, r in zip(result.findings, rates, strict=True):
        if finding.verdict == "too_few":
            assert finding.value is None
        if finding.verdict in ("within", "outside", "inconclusive"):
            assert r.size >= least
            assert finding.low is not None
            assert finding.high is not None
            assert finding.low <= finding.high
    if result.passes:
        assert all(f.verdict in ("within", "not_tested") for f in result.findings)


@settings(max_examples=60, deadline=None)
@given(st.integers(50, 3000), st.integers(50, 3000), st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_more_of_the_same_rows_never_turns_a_breach_into_a_pass(m: int, n: int, p: float, q: float) -> None:
    few = evaluate(DEFAULT_RULE, [rate("a", p, m), rate("b", q, n)]).verdict
    many = evaluate(DEFAULT_RULE, [rate("a", p, 10 * m), rate("b", q, 10 * n)]).verdict
    if few != "inconclusive":
        assert many == few
