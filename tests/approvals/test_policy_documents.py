"""Policies as documents: what a document may say, what of it applies, and what it does to signatures and evidence."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.workflow import (
    Binding,
    Case,
    InvalidPolicy,
    Past,
    People,
    Person,
    Signature,
    evidence_gaps,
    governing,
    may_sign,
    read_policy,
    standing,
    tried,
    write_policy,
)
from tests.approvals.policies import ALWAYS, EVERYBODY, a_document, a_requirement, a_rule, a_stage, a_template
from tests.approvals.test_workflow import BYTES, DATA, DIGEST, RULE, START, codes, item

TEMPLATES = ("eu_ai_act_high_risk", "hipaa", "low_risk", "nyc_ll144", "sr_26_2")
CARRIED = ("artifact", "decision_rule", "evidence")
SAME = frozenset({"environment", "use", "model", "version", "policy", *CARRIED})


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_are_policies_and_writing_gives_back_what_was_read(name):
    document = a_template(name)
    assert write_policy(read_policy(document)) == document


def placed(document, path, value):
    document = copy.deepcopy(document)
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return document


FIRST = ("stages", 0, "requirements", 0)


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        (("title",), "  ", "title"),
        (("title",), "x" * 121, "title"),
        (("title",), 7, "title"),
        (("slug",), "Strict one", "slug"),
        (("version",), True, "version"),
        (("valid_days",), 4000, "valid_days"),
        (("max_pinned_days",), 0, "max_pinned_days"),
        (("max_lease_seconds",), 1, "max_lease_seconds"),
        (("max_lease_seconds",), 3601, "max_lease_seconds"),
        (("max_lease_seconds",), 2.5, "max_lease_seconds"),
        (("max_lease_seconds",), True, "max_lease_seconds"),
        (("conditions",), "yes", "conditions"),
        (("factor",), "smile", "factor"),
        (("findings",), "none", "findings"),
        (("findings", "block"), ["terrible"], "findings.block.0"),
        (("findings", "block"), ["high", "high"], "findings.block"),
        (("emergency",), {"people": 0, "hours": 4}, "emergency.people"),
        (("emergency",), {"people": 2, "hours": 169}, "emergency.hours"),
        (("emergency",), {"people": 2}, "emergency.hours"),
        (("evidence",), "all", "evidence"),
        (("evidence", 0), ["rule"], "evidence.0"),
        (("evidence", 0, "max_age_days"), "old", "evidence.0.max_age_days"),
        (("evidence", 0, "when", "tiers"), ["huge"], "evidence.0.when.tiers.0"),
        (("evidence", 0, "when", "uses"), ["Hiring!"], "evidence.0.when.uses.0"),
        (("evidence", 0, "when", "material_change"), "none", "evidence.0.when.material_change"),
        ((*FIRST, "scope"), "planet", "stages.0.requirements.0.scope"),
        ((*FIRST, "role"), "Big boss", "stages.0.requirements.0.role"),
        ((*FIRST, "carry_over_if"), ["weather"], "stages.0.requirements.0.carry_over_if.0"),
        # Nobody signs their own work, whatever a policy says.
        ((*FIRST, "distinct_from"), ["owner", "submitter", "contributors"], "stages.0.requirements.0.distinct_from"),
        # And a revision that nobody signs, or a request that needs nobody, is no approval.
        ((*FIRST, "when"), {**ALWAYS, "tiers": ["high"]}, "stages"),
        ((*FIRST, "when"), {**ALWAYS, "material_change": "documentation"}, "stages"),
        ((*FIRST, "carry_over_if"), ["artifact"], "stages"),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_kept_is_refused_with_its_place(path, value, where):
    with pytest.raises(InvalidPolicy) as caught:
        read_policy(placed(a_document(), path, value))
    assert caught.value.place == where
    assert str(caught.value).startswith(where)


def test_a_document_says_its_format():
    for document in ({}, a_document(format="countersign-policy/9")):
        with pytest.raises(InvalidPolicy, match=r"^format"):
            read_policy(document)


def without(table, name):
    return {key: value for key, value in table.items() if key != name}


def test_a_document_of_an_earlier_format_stays_what_it_was():
    when = without(ALWAYS, "material_change")
    fifth = without(a_document(format="countersign-policy/5"), "max_lease_seconds")
    fourth = {**fifth, "format": "countersign-policy/4", "evidence": [without(a_rule(), "frame")]}
    third = {
        **fourth, "format": "countersign-policy/3", "evidence": [without(a_rule(when=when), "frame")],
        "stages": [a_stage(a_requirement(when=when))],
    }  # fmt: skip
    second = {**third, "format": "countersign-policy/2", "evidence": [without(third["evidence"][0], "runs")]}
    earlier = [read_policy(each) for each in (second, third, fourth, fifth)]
    assert earlier == [read_policy(a_document())] * 4
    assert write_policy(read_policy(second)) == a_document()
    for document, place in (
        ({**second, "evidence": third["evidence"]}, r"^evidence\.0\.runs"),
        ({**third, "evidence": second["evidence"]}, r"^evidence\.0\.runs"),
        ({**fourth, "evidence": [a_rule()]}, r"^evidence\.0\.frame is not known"),
        (a_document(evidence=fourth["evidence"]), r"^evidence\.0\.frame is missing"),
        ({**fifth, "max_lease_seconds": 10}, r"^max_lease_seconds is not known"),
        (without(a_document(), "max_lease_seconds"), r"^max_lease_seconds is missing"),
        ({**third, "evidence": fourth["evidence"]}, r"^evidence\.0\.when\.material_change is not known"),
        ({**fourth, "evidence": third["evidence"]}, r"^evidence\.0\.when\.material_change is missing"),
    ):
        with pytest.raises(InvalidPolicy, match=place):
            read_policy(document)


RISK = a_requirement("risk", role="risk_officer", scope="house", when={**ALWAYS, "tiers": ["high"]})
TWO = a_document(
    evidence=[a_rule(), a_rule("audit", max_age_days=30, when={**ALWAYS, "uses": ["hiring"]})],
    stages=[a_stage(), a_stage({**RISK, "when": {**RISK["when"], "environments": ["production"]}}, slug="risk")],
)


def test_only_what_applies_is_asked_for():
    policy = read_policy(TWO)

    def asks(*of):
        applied = policy.applying(*of)
        return [rule.slug for rule in applied.evidence], [each.slug for each in applied.requirements]

    assert asks("high", "production", "hiring") == (["bias-model", "audit"], ["approval", "risk"])
    assert asks("high", "staging", "hiring") == (["bias-model", "audit"], ["approval"])
    assert asks("low", "production", "lending") == (["bias-model"], ["approval"])
    assert len(policy.applying("low", "staging", "lending").stages) == 1


def test_a_role_for_the_whole_house_is_not_one_for_the_team():
    (requirement,) = (each for each in read_policy(TWO).requirements if each.slug == "risk")
    rules = {"signed": (), "open_requirements": ["risk"]}
    local = Person("r", roles=frozenset({"risk_officer"}))
    central = replace(local, house_roles=frozenset({"risk_officer"}))
    assert codes(may_sign(read_policy(TWO), requirement, local, People(), **rules)) == ["role_missing"]
    assert may_sign(read_policy(TWO), requirement, central, People(), **rules) == []


# Evidence that grows old


def test_old_evidence_is_missing_and_ends_the_approval_in_time():
    policy = read_policy(a_document(evidence=[a_rule(max_age_days=30)]))
    fresh, later = item(at=START), START + timedelta(days=30)
    assert not list(evidence_gaps(policy, [fresh], BYTES, RULE, later - timedelta(seconds=1)))
    assert codes(evidence_gaps(policy, [fresh], BYTES, RULE, later)) == ["evidence_too_old"]
    assert codes(evidence_gaps(policy, [item()], BYTES, RULE, START)) == ["evidence_too_old"]
    case = a_case(policy, [signature("a")], evidence=(fresh, item(id="2", at=START - timedelta(days=9))))
    assert standing(case, START + timedelta(days=1)).valid_until == later
    assert standing(case, later).state == "suspended"
    assert standing(replace(case, evidence=(item(at=START, withdrawn=True),)), START).state == "suspended"


def a_case(policy, signatures, **changes):
    given = {
        "policy": policy, "team": "Credit", "state": "approved", "frozen": DIGEST, "computed": DIGEST,
        "artifact": BYTES, "decision_rule": RULE, "evidence": (item(at=START),), "people": People(),
        "signatures": tuple(signatures), **changes,
    }  # fmt: skip
    return Case(**given)


def signature(who, requirement="approval", minute=0, **changes):
    given = {"outcome": "approve", "digest": DIGEST, "at": START + timedelta(minutes=minute), **changes}
    return Signature(requirement, who, **given)


# Signatures that carry over

CARRYING = read_policy(
    a_document(
        stages=[
            a_stage(a_requirement("validation", role="validator", carry_over_if=list(CARRIED))),
            a_stage(slug="two"),
        ]
    )
)
OLD = signature("v", "validation", digest="sha256:before", untouched=SAME)
NEW = signature("a", minute=9)


def test_a_signature_counts_for_a_later_revision_where_its_subject_is_untouched():
    assert standing(a_case(CARRYING, [OLD, NEW]), START).allowed
    assert not standing(a_case(CARRYING, [NEW]), START).allowed


@pytest.mark.parametrize("touched", sorted(SAME))
def test_any_change_to_its_subject_ends_that(touched):
    old = replace(OLD, untouched=SAME - {touched})
    assert standing(a_case(CARRYING, [old, NEW]), START).reasons[0].code == "signature_missing"


def test_nothing_carries_over_that_the_policy_does_not_name_or_that_was_taken_back():
    approval = replace(NEW, digest="sha256:before", untouched=SAME)
    assert not standing(a_case(CARRYING, [OLD, approval]), START).allowed
    after = signature("v", "validation", 3, outcome="request_changes", digest="sha256:before")
    assert not standing(a_case(CARRYING, [OLD, after, NEW]), START).allowed
    before = replace(after, at=START - timedelta(minutes=1))
    assert standing(a_case(CARRYING, [OLD, before, NEW]), START).allowed
    outdated = a_case(CARRYING, [OLD, NEW], computed="sha256:now")
    assert standing(outdated, START).reasons[0].code == "outdated"


# Pinning


def test_a_request_under_way_too_long_or_superseded_needs_a_new_revision():
    policy = read_policy(a_document(max_pinned_days=10))
    ends = START + timedelta(days=10)
    under_way = a_case(policy, [], state="in_review", pinned_until=ends)
    assert codes(standing(under_way, ends - timedelta(seconds=1)).reasons) == ["signature_missing"]
    assert standing(under_way, ends).reasons[0].code == "policy_pin_expired"
    assert standing(replace(under_way, superseded=True), START).reasons[0].code == "policy_superseded"
    # What is approved was decided in time, and stays.
    assert standing(a_case(policy, [signature("a")], pinned_until=ends, superseded=True), ends).allowed


# What governs what

SCOPES = st.builds(
    Binding, policy=st.integers(), team=st.none() | st.integers(1, 2), use=st.none() | st.sampled_from("uv"),
    tier=st.none() | st.sampled_from(["high", "low"]),
)  # fmt: skip


@given(st.lists(SCOPES, max_size=8, unique_by=lambda each: (each.team, each.use, each.tier)))
def test_what_names_the_use_goes_first_whatever_else_is_bound(bound):
    found = governing(bound, 1, "u", "high")
    covering = [each for each in bound if each.covers(1, "u", "high")]
    assert (found is None) == (not covering)
    if found is not None:
        assert found in covering
        assert (found.use is not None) == any(each.use for each in covering)
        assert found == governing(list(reversed(bound)), 1, "u", "high")


# The past


def past(**changes):
    given = {
        "id": 1, "tier": "high", "environment": "production", "use": "lending", "at": START, "artifact": BYTES,
        "decision_rule": RULE, "evidence": (item(at=START),), "people": People(), "signed": (("approver", "a"),),
        "approved": True, "rejected": False, **changes,
    }  # fmt: skip
    return Past(**given)


STRICT = read_policy(
    a_document(stages=[a_stage(a_requirement("both", count=2), slug="both"), a_stage(a_requirement("again"))])
)


@pytest.mark.parametrize(
    ("changes", "stopped", "through"),
    [
        ({}, 1, 0),
        ({"signed": (("approver", "a"), ("approver", "b"), ("approver", "c"))}, 0, 0),
        ({"signed": (("approver", "a"), ("approver", "a"), ("approver", "b"), ("approver", "b"))}, 1, 0),
        ({"signed": (("validator", "a"), ("approver", "b"), ("approver", "c"))}, 1, 0),
        ({"signed": (("approver", "a"), ("approver", "b"), ("approver", "c")), "evidence": ()}, 1, 0),
        ({"signed": (("approver", "a"), ("approver", "b"), ("approver", "c")),
          "people": People(contributors=frozenset("b"))}, 1, 0),
        ({"signed": (("approver", "a"), ("approver", "b"), ("approver", "c")), "approved": False}, 0, 1),
        ({"signed": (("approver", "a"), ("approver", "b"), ("approver", "c")), "approved": False, "rejected": True},
         0, 0),
        ({"approved": False}, 0, 0),
    ],
    ids=["too few", "enough", "twice", "other role", "no evidence", "own work", "let through", "rejected", "open"],
)  # fmt: skip
def test_a_policy_is_tried_on_the_past(changes, stopped, through):
    found = tried(STRICT, [past(**changes)])
    assert (found.looked_at, len(found.stopped), len(found.let_through)) == (1, stopped, through)


def test_the_rules_of_a_test_are_those_of_the_house():
    assert {"submitter", "contributors", "evidence_producers"} <= set(EVERYBODY)
    assert item().dataset == DATA
