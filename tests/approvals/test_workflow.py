"""The pure rules: policies, manifests, who may sign, and what signatures add up to. Every branch, and properties."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import approvals
from approvals import workflow
from approvals.workflow import (
    Case,
    EvidenceItem,
    InvalidPolicy,
    People,
    Person,
    Signature,
    may_sign,
    read_policy,
    standing,
)

DOCUMENT = json.loads((Path(approvals.__file__).parent / "policies" / "validate_then_approve_1.json").read_text())
POLICY = read_policy(DOCUMENT)
START = datetime(2026, 1, 1, tzinfo=UTC)
BYTES, RULE, DATA, DIGEST = "sha256:bytes", "sha256:rule", "sha256:data", "sha256:digest"


def item(**changes):
    given = {
        "id": "1", "kind": "bias_report", "title": "Bias", "provenance": "computed", "source": "model",
        "verdict": "within", "artifact": BYTES, "decision_rule": RULE, "dataset": DATA, "registered_dataset": DATA,
        **changes,
    }  # fmt: skip
    return EvidenceItem(**given)


COMPLETE = (item(), item(id="2", source="historical"), item(id="3", kind="explanation_report", verdict=""))


def case(**changes):
    given = {
        "policy": POLICY, "team": "Credit", "state": "in_review", "frozen": DIGEST, "computed": DIGEST,
        "artifact": BYTES, "decision_rule": RULE, "evidence": COMPLETE, "people": People(), "signatures": (), **changes,
    }  # fmt: skip
    return Case(**given)


def signed(requirement, signer, minute=0, **changes):
    given = {"outcome": "approve", "digest": DIGEST, "at": START + timedelta(minutes=minute), **changes}
    return Signature(requirement, signer, **given)


BOTH = (signed("validation", "v"), signed("approval", "a", 1))


def codes(reasons):
    return [reason.code for reason in reasons]


# Policies


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("format",), "countersign-policy/9"),
        (("deactivated_signer",), "forgets"),
        (("valid_days",), 0),
        (("valid_days",), "365"),
        (("stages",), []),
        (("stages", 0, "requirements"), []),
        (("stages", 1, "requirements", 0, "slug"), "validation"),
        (("stages", 0, "requirements", 0, "count"), 0),
        (("stages", 0, "requirements", 0, "distinct_from"), ["friends"]),
        (("evidence", 0, "verdicts"), "ignore"),
        (("evidence", 0, "bound_to"), ["weather"]),
        (("evidence", 1, "slug"), "bias-model"),
        (("colour",), "red"),
        (("stages", 0, "requirements", 0, "unless"), "friday"),
        (("frameworks",), ["eu-ai-act"]),
    ],
)
def test_a_policy_that_says_something_unknown_is_invalid(path, value):
    document = copy.deepcopy(DOCUMENT)
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(InvalidPolicy):
        read_policy(document)


def test_a_policy_that_leaves_something_out_is_invalid():
    for name in DOCUMENT:
        document = {key: value for key, value in DOCUMENT.items() if key != name}
        with pytest.raises(InvalidPolicy, match=f"{name} is missing"):
            read_policy(document)


def test_requirements_are_found_by_name():
    assert POLICY.requirement("approval").role == "approver"
    assert POLICY.requirement("coffee") is None


# Manifests

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_a_digest_depends_on_the_content_alone(manifest):
    shuffled = dict(reversed(list(manifest.items())))
    assert workflow.manifest_digest(manifest) == workflow.manifest_digest(shuffled)
    assert workflow.manifest_digest({**manifest, "more": 1}) != workflow.manifest_digest({**manifest, "more": 2})
    assert workflow.differences(manifest, shuffled) == []


def test_lines_and_differences():
    before = {"a": {"b": 1}, "list": [{"id": "7", "x": None}, {"x": ""}], "plain": ["p", 2], "none": []}
    assert [(line.name, line.value) for line in workflow.lines(before)] == [
        ("a.b", "1"), ("list.7.id", "7"), ("list.7.x", "not set"), ("list.2.x", "–"), ("plain", "p, 2"),
        ("none", "none"),
    ]  # fmt: skip
    after = {"a": {"b": 2}, "list": [], "plain": ["p", 2], "none": [], "d": "sha256:" + "0" * 64}
    found = {
        change.name: (change.before, change.after, change.is_digest) for change in workflow.differences(before, after)
    }
    assert found["a.b"] == ("1", "2", False)
    assert found["d"] == (None, "sha256:" + "0" * 64, True)
    assert found["list.7.id"] == ("7", None, False)
    assert "plain" not in found


# Who may sign

VALIDATOR = Person("v", roles=frozenset({"validator"}))
VALIDATION, APPROVAL = POLICY.requirements


def why(requirement, person, people=None, *, done=(), turn=("validation",), approving=True):
    return codes(
        may_sign(
            POLICY, requirement, person, people or People(), signed=done, open_requirements=turn, approving=approving
        )
    )


def test_whoever_may_sign_has_no_reason_against():
    assert why(VALIDATION, VALIDATOR) == []


@pytest.mark.parametrize("group", ["submitter", "owner", "contributors", "evidence_producers"])
def test_a_hand_in_it_is_a_reason(group):
    people = People(**{group: frozenset({"v"})})
    assert why(VALIDATION, VALIDATOR, people) == ["own_work"]
    assert why(VALIDATION, VALIDATOR, people, approving=False) == ["own_work"]


def test_only_humans_with_the_role():
    assert why(VALIDATION, Person("bot", is_human=False)) == ["humans_only", "role_missing"]
    reasons = may_sign(POLICY, APPROVAL, VALIDATOR, People(), signed=(), open_requirements=["approval"])
    assert reasons[0].sentence.startswith("An approver of")


def test_once_each_in_order_and_not_too_many():
    both = Person("v", roles=frozenset({"validator", "approver"}))
    assert why(VALIDATION, both, done=[("validation", "v")], turn=()) == ["already_signed"]
    assert why(APPROVAL, both, done=[("validation", "v")], turn=["approval"]) == ["already_signed"]
    assert why(APPROVAL, both, done=[("gone", "v")], turn=["approval"]) == ["already_signed"]
    assert why(VALIDATION, both, done=[("validation", "x")], turn=()) == ["requirement_met"]
    assert why(APPROVAL, both) == ["not_your_turn"]
    assert why(APPROVAL, both, approving=False) == []
    again = replace(APPROVAL, distinct_from=())
    assert why(again, both, done=[("validation", "v")], turn=["approval"]) == []


# What signatures add up to


def test_both_signatures_and_nothing_else_open_the_gate():
    result = standing(case(state="approved", signatures=BOTH), START + timedelta(days=1))
    assert (result.allowed, result.state, result.reasons) == (True, "active", ())
    assert result.decided_at == BOTH[1].at
    assert result.valid_until == BOTH[1].at + timedelta(days=365)
    assert (result.open_requirements, result.signed) == ([], [("validation", "v"), ("approval", "a")])


def test_in_review_names_whose_turn_it_is():
    result = standing(case(), START)
    assert [each.state for each in result.requirements] == ["waiting", "blocked"]
    assert result.open_requirements == ["validation"]
    assert codes(result.reasons) == ["signature_missing", "signature_missing"]
    assert result.requirements[0].sentence == "one signature needed, none given"
    assert result.requirements[1].who.endswith("after the stage before.")


def test_all_signed_but_not_closed_is_still_no():
    assert codes(standing(case(signatures=BOTH), START).reasons) == ["in_review"]


def test_counts_in_words_and_figures():
    many = replace(POLICY.stages[0].requirements[0], count=7)
    policy = replace(POLICY, stages=(replace(POLICY.stages[0], requirements=(many,)),))
    result = standing(case(policy=policy, signatures=(signed("validation", "v"),)), START)
    assert result.requirements[0].sentence == "7 signatures needed, one given"


@pytest.mark.parametrize(
    ("changes", "state", "first"),
    [
        ({"state": "approved", "signatures": BOTH, "revoked": True}, "revoked", "revoked"),
        ({"state": "rejected", "signatures": BOTH}, "rejected", "rejected"),
        ({"state": "withdrawn"}, "withdrawn", "withdrawn"),
        ({"state": "changes_requested"}, "changes_requested", "changes_requested"),
        ({"computed": "sha256:other"}, "in_review", "outdated"),
        ({"state": "approved", "signatures": BOTH, "computed": "sha256:other"}, "outdated", "outdated"),
        ({"state": "approved"}, "suspended", "signature_missing"),
        ({"state": "approved", "signatures": BOTH, "evidence": COMPLETE[1:]}, "suspended", "evidence_missing"),
    ],
)
def test_each_way_to_no(changes, state, first):
    result = standing(case(**changes), START + timedelta(days=1))
    assert (result.allowed, result.state, result.reasons[0].code) == (False, state, first)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"withdrawn": True}, "evidence_withdrawn"),
        ({"artifact": "sha256:else"}, "evidence_other_subject"),
        ({"decision_rule": "sha256:else"}, "evidence_other_subject"),
        ({"dataset": "sha256:else"}, "evidence_other_subject"),
        ({"dataset": "", "registered_dataset": ""}, "evidence_other_subject"),
        ({"kind": "document"}, "evidence_missing"),
        ({"source": "hearsay"}, "evidence_missing"),
        ({"provenance": "submitted"}, "evidence_missing"),
    ],
)
def test_evidence_counts_only_for_exactly_this(change, code):
    gaps = list(workflow.evidence_gaps(POLICY, (item(**change), *COMPLETE[1:]), BYTES, RULE, START))
    assert codes(gaps) == [code]
    spare = (item(**change), item(id="9"), *COMPLETE[1:])
    assert not list(workflow.evidence_gaps(POLICY, spare, BYTES, RULE, START))


def test_any_provenance_where_the_policy_does_not_ask():
    rule = replace(POLICY.evidence[0], provenance="")
    gaps = list(workflow.evidence_gaps(replace(POLICY, evidence=(rule,)), (), BYTES, RULE, START))
    assert "computed here" not in gaps[0].sentence
    assert not list(
        workflow.evidence_gaps(replace(POLICY, evidence=(rule,)), (item(provenance="submitted"),), BYTES, RULE, START)
    )


def test_verdicts_are_acknowledged_or_block_as_the_policy_says():
    evidence = (item(verdict="outside"), *COMPLETE[1:])
    assert codes(workflow.limitations(POLICY, evidence)) == ["evidence:1"]
    assert not list(workflow.evidence_gaps(POLICY, evidence, BYTES, RULE, START))
    strict = replace(POLICY, evidence=tuple(replace(rule, verdicts="within_only") for rule in POLICY.evidence))
    assert not list(workflow.limitations(strict, evidence))
    assert codes(workflow.evidence_gaps(strict, evidence, BYTES, RULE, START)) == ["evidence_verdict"]
    assert not list(workflow.evidence_gaps(strict, COMPLETE, BYTES, RULE, START))


def test_the_policy_says_what_a_signers_leaving_does():
    gone = (replace(BOTH[0], signer_active=False), BOTH[1])
    assert standing(case(state="approved", signatures=gone), START).allowed
    strict = replace(POLICY, deactivated_signer="suspends")
    result = standing(case(policy=strict, state="approved", signatures=gone), START)
    assert (result.state, codes(result.reasons)) == ("suspended", ["signer_deactivated"])
    assert standing(case(policy=strict, state="approved", signatures=BOTH), START).allowed


def test_time_runs_out():
    def at(days):
        return standing(case(state="approved", signatures=BOTH), BOTH[1].at + timedelta(days=days))

    assert [at(days).state for days in (0, 334, 335, 364, 365, 4000)] == [
        "active", "active", "expiring", "expiring", "expired", "expired",
    ]  # fmt: skip


def test_somebody_may_sign_twice_where_the_policy_lets_earlier_signers():
    stage = replace(POLICY.stages[1], requirements=(replace(APPROVAL, distinct_from=()),))
    policy = replace(POLICY, stages=(POLICY.stages[0], stage))
    same = (signed("validation", "v"), signed("approval", "v", 1), signed("approval", "v", 2))
    assert standing(case(policy=policy, state="approved", signatures=same), START).allowed


def test_one_person_counts_once_for_a_requirement_whatever_the_policy_says():
    two = replace(APPROVAL, count=2, distinct_from=())
    policy = replace(POLICY, stages=(replace(POLICY.stages[1], requirements=(two,)),))
    same = (signed("approval", "v"), signed("approval", "v", 1), signed("approval", "v", 2))
    assert not standing(case(policy=policy, state="approved", signatures=same), START).allowed
    assert standing(case(policy=policy, state="approved", signatures=(*same, signed("approval", "w"))), START).allowed


def test_a_policy_may_wait_for_an_anchor_outside():
    outside = replace(POLICY, anchor_outside=True)
    result = standing(case(policy=outside, state="approved", signatures=BOTH), START)
    assert (result.state, codes(result.reasons)) == ("sealing", ["anchor_pending"])
    half = (replace(BOTH[0], anchored=True), BOTH[1])
    assert not standing(case(policy=outside, state="approved", signatures=half), START).allowed
    both = tuple(replace(each, anchored=True) for each in BOTH)
    assert standing(case(policy=outside, state="approved", signatures=both), START).allowed


PEOPLE = st.sampled_from("abcdef")
SIGNATURES = st.lists(
    st.builds(
        Signature,
        requirement=st.sampled_from(["validation", "approval", "coffee"]),
        signer=PEOPLE,
        outcome=st.sampled_from(["approve", "approve", "approve", "request_changes"]),
        digest=st.sampled_from([DIGEST, DIGEST, DIGEST, "sha256:old"]),
        at=st.integers(0, 20).map(lambda minute: START + timedelta(minutes=minute)),
        signer_active=st.booleans(),
    ),
    max_size=8,
)
GROUP = st.frozensets(PEOPLE, max_size=2)
HANDS = st.builds(People, submitter=GROUP, owner=GROUP, contributors=GROUP, evidence_producers=GROUP)


@settings(max_examples=400)
@given(SIGNATURES, HANDS, st.booleans(), st.sampled_from(["in_review", "approved", "rejected", "withdrawn"]))
def test_yes_means_two_different_people_without_a_hand_in_it_signed_this_digest(signatures, people, revoked, state):
    result = standing(
        case(signatures=tuple(signatures), people=people, revoked=revoked, state=state), START + timedelta(days=1)
    )
    assert result.allowed == (not result.reasons)
    hands = people.submitter | people.owner | people.contributors | people.evidence_producers
    signers = [signer for each in result.requirements for signer in each.signers]
    assert len(signers) == len(set(signers))
    assert not hands & set(signers)
    if result.allowed:
        assert state == "approved"
        assert not revoked
        by = {each.requirement.slug: set(each.signers) for each in result.requirements}
        for slug, who in by.items():
            real = {
                each.signer
                for each in signatures
                if each.requirement == slug and each.outcome == "approve" and each.digest == DIGEST
            }
            assert who
            assert who <= real


@given(SIGNATURES, HANDS)
def test_more_signatures_never_close_a_requirement_that_was_met(signatures, people):
    late = [replace(each, at=each.at + timedelta(days=1)) for each in signatures]
    before = standing(case(signatures=BOTH, people=people), START)
    after = standing(case(signatures=(*BOTH, *late), people=people), START)
    for old, new in zip(before.requirements, after.requirements, strict=True):
        assert new.state == "met" or old.state != "met"
