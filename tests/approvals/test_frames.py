"""The frame of a bias report that a policy fixes: what a document may say, and which reports are in it."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.workflow import InvalidPolicy, evidence_gaps, frames, limitations, read_policy, write_policy
from approvals.workflow.frames import difference
from fairness.framing import CORRECTION, WEIGHT_KINDS
from fairness.presenting import TESTABLE
from fairness.rules import COMPARISONS, Rule
from registry.models import Dataset
from tests.approvals.policies import a_document, a_frame, a_rule, a_test, told
from tests.approvals.test_workflow import BYTES, RULE, START, item

ACCURACY = a_test(metric="accuracy", comparison="at_least", bound=0.6)
NAMED = [{"name": "sex", "reference": ""}, {"name": "race", "reference": "white"}]


def framed(**changes):
    return read_policy(a_document(evidence=[a_rule(frame=a_frame(**changes))])).evidence[0].frame


def test_a_frame_knows_the_tests_that_reports_have():
    assert set(frames.METRICS) == set(TESTABLE)
    assert CORRECTION in frames.CORRECTIONS
    assert {name: label.lower() for name, label in Dataset.Purpose.choices} == frames.PURPOSES
    assert set(frames.WEIGHTS) == {"none", *WEIGHT_KINDS}
    assert set(frames.COMPARISONS) == set(COMPARISONS)
    assert {field.name for field in fields(frames.FrameRule)} == {field.name for field in fields(Rule)}


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"rules": []}, "rules"),
        ({"rules": [a_test()] * 2}, "rules"),
        ({"rules": [a_test(minimum_group_size=size) for size in range(1, 10)]}, "rules"),
        ({"rules": [a_test(metric="luck")]}, "rules.0.metric"),
        ({"rules": [a_test(comparison="by eye")]}, "rules.0.comparison"),
        ({"rules": [a_test(bound=0)]}, "rules.0.bound"),
        ({"rules": [a_test(bound=1.01)]}, "rules.0.bound"),
        ({"rules": [a_test(bound=True)]}, "rules.0.bound"),
        ({"rules": [a_test(bound=float("nan"))]}, "rules.0.bound"),
        ({"rules": [a_test(), a_test(confidence=1)]}, "rules.1.confidence"),
        ({"rules": [a_test(confidence=0.4)]}, "rules.0.confidence"),
        ({"rules": [a_test(minimum_group_size=0)]}, "rules.0.minimum_group_size"),
        ({"attributes": [{"name": "a:b", "reference": ""}]}, "attributes.0.name"),
        ({"attributes": [{"name": "sex", "reference": " female"}]}, "attributes.0.reference"),
        ({"attributes": [{"name": "sex", "reference": ""}, {"name": "sex", "reference": "f"}]}, "attributes"),
        ({"positive": "1\n"}, "positive"),
        ({"purposes": ["fun"]}, "purposes.0"),
        ({"exclusions": ["two\nlines"]}, "exclusions.0"),
        ({"exclusions": ["fraud", "fraud"]}, "exclusions"),
        ({"weights": "heavy"}, "weights"),
        ({"correction": "none"}, "correction"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_frame_that_no_report_can_be_in_is_refused_with_its_place(change, where):
    with pytest.raises(InvalidPolicy) as caught:
        framed(**change)
    assert caught.value.place == f"evidence.0.frame.{where}"


def test_a_frame_is_for_bias_reports_under_one_threshold_and_decisions_have_a_selection_rate_only():
    for rule, place in (
        (a_rule(kind="explanation_report", frame=a_frame()), "evidence.0.frame"),
        (a_rule(bound_to=["artifact", "dataset"], frame=a_frame()), "evidence.0.bound_to"),
        (a_rule(source="historical", frame=a_frame(rules=[a_test(), ACCURACY])), "evidence.0.frame.rules.1.metric"),
    ):
        with pytest.raises(InvalidPolicy) as caught:
            read_policy(a_document(evidence=[rule]))
        assert caught.value.place == place
    kept = a_frame(attributes=NAMED, positive="approved", exclusions=["fraud"])
    document = a_document(evidence=[a_rule(source="historical", bound_to=["dataset"], frame=kept)])
    assert write_policy(read_policy(document)) == document


def gap(report, verdict="within", **rule):
    policy = read_policy(a_document(evidence=[a_rule(**{"frame": a_frame(), "verdicts": "within_only", **rule})]))
    return next(iter(evidence_gaps(policy, [item(frame=report, verdict=verdict)], BYTES, RULE, START)), None)


def test_only_a_report_in_the_frame_counts_and_only_within_passes():
    assert gap(told()) is None
    assert gap(told(purpose="out_of_time", attributes=["a", "b"], marked=["b", "a"])) is None
    for verdict in ("outside", "inconclusive", "too_few", ""):
        assert gap(told(), verdict).code == "evidence_verdict"
    assert gap(told(), "outside", verdicts="acknowledge") is None
    assert gap(None, "outside", frame=None, verdicts="acknowledge") is None


def test_a_bad_report_in_another_frame_stands_beside_the_good_one_as_a_known_limitation():
    rule = a_rule(frame=a_frame(), verdicts="within_only", runs="all")
    policy = read_policy(a_document(evidence=[rule]))
    good, bad = item(id="1", frame=told()), item(id="2", frame=told(purpose="training"), verdict="outside")
    assert not list(evidence_gaps(policy, [good, bad], BYTES, RULE, START))
    assert [each.code for each in limitations(policy, [good, bad])] == ["evidence:2"]
    bad = item(id="2", frame=told(), verdict="outside")
    assert [each.code for each in evidence_gaps(policy, [good, bad], BYTES, RULE, START)] == ["evidence_verdict"]
    assert not list(limitations(policy, [good, bad])), "it blocks"


PARTS = [
    (None, "unknown", "does not say which tests"),
    (told(purpose="training"), "purpose", "rows for training; the policy wants test or out of time"),
    (told(weights="survey"), "weights", "has survey weights; the policy wants no weights"),
    (told(exclusions=["fraud"]), "exclusions", "leaves rows out for “fraud”; the policy allows it for no reason"),
    (told(marked=["sex", "group"]), "attributes", "compares groups by group; the policy wants sex and group"),
    (told(reference={"group": "b"}), "reference", "compares group with “b”; the policy wants the largest group"),
    (told(correction="none"), "correction", "does not correct its tests by Bonferroni's"),
    (told(rules=[a_test(bound=0.7)]), "rules", "has a rule with the bound 0.7; the policy wants 0.8"),
    (told(rules=[a_test(minimum_group_size=5)]), "rules", "minimum group size 5; the policy wants 30"),
    (told(rules=[a_test(test_unknown=True)]), "rules", "test unknown yes; the policy wants no"),
    (told(rules=[a_test(), ACCURACY]), "rules", "also has a rule on the accuracy (at least 0.6 in every group)"),
    (told(rules=[ACCURACY]), "rules", "has a rule on the accuracy (at least 0.6 in every group); the policy wants a"),
    (told(rules=[]), "rules", "lacks a rule on the selection rate (ratio to the highest group at least 0.8), which"),
    (told(rules=[a_test(newer=1)]), "rules", "has a rule on the selection rate"),
]


@pytest.mark.parametrize(
    ("report", "part", "words"), PARTS, ids=[f"{part}-{n}" for n, (_, part, _) in enumerate(PARTS)]
)
def test_the_reason_names_the_part_that_differs(report, part, words):
    reason = gap(report)
    assert reason.code == f"frame_{part}"
    assert words in reason.sentence
    assert reason.sentence.endswith(frames.ADVICE)


def test_named_attributes_references_classes_and_reasons_are_the_policys():
    frame = {
        "frame": a_frame(
            attributes=NAMED, positive="true", purposes=[], exclusions=["fraud", "test account"], weights="survey"
        )
    }
    fits = told(
        attributes=["race", "sex"], marked=["race", "sex", "age"], reference={"race": " white"}, purpose="historical",
        exclusions=["fraud"], weights="survey",
    )  # fmt: skip
    assert gap(fits, **frame) is None, "true and 1 are one class, and a name is what it is without blanks"
    assert "counts “0” as positive; the policy wants “true”" in gap({**fits, "positive": "0"}, **frame).sentence
    assert gap({**fits, "positive": "approved"}, **frame).code == "frame_positive"
    assert gap({**fits, "attributes": ["race", "sex", "age"]}, **frame).code == "frame_attributes"
    said = gap({**fits, "reference": {}}, **frame)
    assert "compares race with the largest group; the policy wants “white”" in said.sentence
    assert gap({**fits, "weights": "none"}, **frame).code == "frame_weights"
    said = gap({**fits, "exclusions": ["fraud", "whim"]}, **frame)
    assert "leaves rows out for “whim”; the policy allows it for “fraud” and “test account” only" in said.sentence


def test_a_frame_reads_as_lines():
    words = framed(
        rules=[a_test(), {**ACCURACY, "test_unknown": True}], attributes=NAMED, positive="1", exclusions=["fraud"]
    ).words
    assert words[0] == (
        "selection rate: ratio to the highest group at least 0.8, at 95 % confidence, in groups of at least 30"
    )
    assert words[1].endswith("in groups of at least 30, missing attributes too")
    assert words[3:] == [
        "groups by sex (compared with the largest group) and race (compared with white)", "positive class “1”",
        "rows for test or out of time",
        "rows left out for “fraud” only", "no weights",
    ]  # fmt: skip
    assert framed(purposes=[], weights="survey").words[2:] == [
        "groups by every attribute that the dataset marks as sensitive", "rows for any purpose", "no rows left out",
        "survey weights",
    ]  # fmt: skip


TESTS = st.builds(
    a_test, metric=st.sampled_from(frames.METRICS), comparison=st.sampled_from(sorted(frames.COMPARISONS)),
    bound=st.sampled_from([0.5, 0.8, 1.0]), minimum_group_size=st.integers(1, 3), test_unknown=st.booleans(),
)  # fmt: skip
FAMILIES = st.lists(TESTS, min_size=1, max_size=4, unique_by=lambda each: tuple(each.items()))
NAMES = st.lists(st.sampled_from(["sex", "race", "age"]), max_size=3, unique=True)


@given(rules=FAMILIES, names=NAMES, others=FAMILIES, shown=NAMES, weights=st.sampled_from(frames.WEIGHTS))
def test_exactly_what_the_policy_names_counts_whatever_stands_beside(rules, names, others, shown, weights):
    frame = framed(rules=rules, attributes=[{"name": each, "reference": ""} for each in names], weights=weights)
    report = told(rules=list(reversed(rules)), attributes=list(reversed(names)) or ["group"], weights=weights)
    assert difference(frame, report) is None

    def plain(tests):
        return {tuple(sorted(each.items())) for each in tests}

    for changed, part, same in (
        ({"rules": others}, "rules", plain(others) == plain(rules)),
        ({"rules": [*rules, *others]}, "rules", plain(others) <= plain(rules)),
        ({"rules": rules[1:]}, "rules", False),
        ({"attributes": shown}, "attributes", set(shown) == set(names or ["group"])),
        ({"weights": "other"}, "weights", False),
    ):
        found = difference(frame, report | changed)
        assert (found is None) == same
        assert found is None or found.part == part
