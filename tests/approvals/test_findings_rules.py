"""The pure rules about findings, conditions and accepted risks: every branch, and properties."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.workflow import Reason, standing
from approvals.workflow import findings as rules
from approvals.workflow.findings import Acceptance, Finding, weigh
from approvals.workflow.policy import FindingRule
from tests.approvals.test_workflow import BOTH, COMPLETE, POLICY, START, case, codes, signed

RULE = FindingRule(("critical", "high"), "suspends")
TODAY = date(2026, 1, 10)
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
GAP = {"bias-model": Reason("evidence_missing", "It is missing.")}


def finding(**changes):
    given = {
        "id": "3", "kind": "finding", "title": "Cut-off", "severity": "high", "state": "open", "due": TODAY, **changes,
    }  # fmt: skip
    return Finding(**given)


def condition(**changes):
    return finding(**{"id": "4", "kind": "condition", "severity": "", **changes})


def risk(**changes):
    given = {"id": "1", "target": "finding:3", "severity": "high", "until": TODAY, "reason": "Small sums.", **changes}
    return Acceptance(**given)


def found(*findings, risks=(), gaps=None, rule=RULE, at=NOON):
    return weigh(rule, gaps or {}, findings, risks, at)


@pytest.mark.parametrize(
    ("one", "rule", "expected"),
    [
        (finding(), RULE, ["finding_open"]),
        (finding(state="answered"), RULE, ["finding_open"]),
        (finding(state="closed"), RULE, []),
        (finding(severity="medium"), RULE, []),
        (finding(severity="medium", due=TODAY - timedelta(days=1)), RULE, ["finding_overdue"]),
        (finding(due=TODAY - timedelta(days=1)), RULE, ["finding_open", "finding_overdue"]),
        (finding(severity="low", due=TODAY - timedelta(days=1)), FindingRule((), "reminds"), []),
        (condition(), RULE, []),
        (condition(due=TODAY - timedelta(days=1)), FindingRule((), "reminds"), ["condition_overdue"]),
        (condition(due=TODAY - timedelta(days=1), state="closed"), RULE, []),
    ],
)
def test_what_stops_an_approval(one, rule, expected):
    assert codes(found(one, rule=rule).reasons) == expected


def test_what_stops_nothing_is_owed_all_the_same():
    weighed = found(finding(severity="low"), condition(due=TODAY + timedelta(days=3)))
    assert [each.code for each in weighed.obligations] == ["finding:3", "finding:4"]
    assert "“Cut-off” (low) is open, due on 2026-01-10." in weighed.obligations[0].sentence
    assert weighed.ends == datetime(2026, 1, 11, tzinfo=UTC), "the answer changes when the day of the first is over"
    late = found(finding(severity="low", due=TODAY - timedelta(days=1)), rule=FindingRule((), "reminds"))
    assert late.obligations[0].sentence.endswith("and overdue.")
    assert late.ends is None


def test_an_accepted_risk_lifts_what_it_is_for_and_is_shown():
    weighed = found(finding(due=TODAY - timedelta(days=1)), risks=[risk()])
    assert weighed.reasons == ()
    assert [each.code for each in weighed.obligations] == ["risk_acceptance:1"]
    assert "finding 3 is accepted until 2026-01-10: Small sums." in weighed.obligations[0].sentence
    assert weighed.ends == datetime(2026, 1, 11, tzinfo=UTC)
    gap = found(gaps=GAP, risks=[risk(target="evidence:bias-model", severity="")])
    assert (gap.gaps, set(gap.lifted)) == ({}, {"evidence:bias-model"})
    assert "the missing evidence “bias-model” is accepted" in gap.obligations[0].sentence


@pytest.mark.parametrize(
    "one",
    [
        risk(target="finding:9"), risk(target="evidence:bias-model"), risk(withdrawn=True), risk(seal="pending"),
        risk(severity="medium"),
    ],
    ids=["another finding", "a rule", "withdrawn", "not sealed", "of a lesser severity"],
)  # fmt: skip
def test_an_acceptance_that_does_not_count_lifts_nothing(one):
    weighed = found(finding(), risks=[one])
    assert (codes(weighed.reasons), weighed.lifted) == (["finding_open"], {})


def test_after_its_day_it_says_so_and_a_renewal_counts_again():
    tomorrow = NOON + timedelta(days=1)
    assert codes(found(finding(severity="high"), risks=[risk()], at=tomorrow).reasons) == [
        "risk_acceptance_expired", "finding_open", "finding_overdue",
    ]  # fmt: skip
    gap = found(gaps=GAP, risks=[risk(target="evidence:bias-model", severity="")], at=tomorrow)
    assert (codes(gap.reasons), gap.gaps) == (["risk_acceptance_expired"], GAP)
    renewed = [risk(), risk(id="2", until=TODAY + timedelta(days=5))]
    assert found(finding(), risks=renewed, at=tomorrow).lifted["finding:3"].id == "2"
    assert found(finding(state="closed"), risks=[risk()], at=tomorrow) == rules.Weighed()


@pytest.mark.parametrize("broken", [{"findings": [finding(state="closed", seal="broken")]},
                                    {"risks": [risk(seal="broken")]}], ids=["finding", "risk"])  # fmt: skip
def test_what_differs_from_its_record_stops_everything(broken):
    assert codes(found(*broken.get("findings", ()), risks=broken.get("risks", ())).reasons) == ["record_broken"]


def test_the_verdict_takes_findings_and_risks_into_account():
    later = START + timedelta(days=1)
    due = later.date() + timedelta(days=4)
    plain = case(state="approved", signatures=BOTH)
    result = standing(replace(plain, findings=(finding(due=due),)), later)
    assert (result.allowed, result.state, codes(result.reasons)) == (False, "suspended", ["finding_open"])
    lifted = replace(plain, findings=(finding(due=due),), acceptances=(risk(until=due),))
    result = standing(lifted, later)
    assert (result.allowed, result.state) == (True, "active")
    assert result.valid_until == rules.end_of(due) < result.decided_at + timedelta(days=POLICY.valid_days)
    assert standing(replace(lifted, revoked=True), later).state == "revoked", "nothing is lifted but what is accepted"
    missing = replace(plain, evidence=COMPLETE[1:], acceptances=(risk(target="evidence:bias-model", until=due),))
    assert standing(missing, later).allowed
    assert codes(standing(missing, rules.end_of(due)).reasons) == ["evidence_missing", "risk_acceptance_expired"]


def test_a_signature_with_conditions_counts_and_makes_the_approval_conditional():
    both = (signed("validation", "v", outcome="approve_with_conditions"), signed("approval", "a", 1))
    result = standing(case(state="conditionally_approved", signatures=both), START)
    assert (result.allowed, result.conditional) == (True, True)
    assert not standing(case(state="approved", signatures=BOTH), START).conditional


def test_steps_lead_from_state_to_state():
    assert [rules.after(step, state) for step in rules.STEPS for state in ("open", "answered", "closed")] == [
        "answered", "answered", None, "open", "answered", None, "closed", "closed", None, None, "open", "open",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("evidence:bias-model", ("evidence", "bias-model")), ("finding:3", ("finding", "3")), ("finding:", None),
        ("signature:approval", None), ("stage:validation", None), ("log", None), ("reauthentication:1", None),
    ],
)  # fmt: skip
def test_only_evidence_and_findings_can_be_excepted(text, expected):
    assert rules.target_of(text) == expected


@pytest.mark.parametrize(
    ("raised", "due", "closed", "expected"),
    [
        (12, 3, None, "open 12 days, due in 3"), (1, 0, None, "open 1 day, due today"),
        (12, -2, None, "open 12 days, 2 overdue"), (12, 3, 2, "closed after 10 days"),
    ],
)  # fmt: skip
def test_ages_in_words(raised, due, closed, expected):
    def ago(count):
        return NOON - timedelta(days=count)

    at = None if closed is None else ago(closed)
    assert rules.age_in_words(ago(raised), TODAY + timedelta(days=due), NOON, at) == expected


def test_a_term_has_an_end():
    assert not rules.too_long(TODAY + timedelta(days=90), NOON, 90)
    assert rules.too_long(TODAY + timedelta(days=91), NOON, 90)
    assert not rules.overdue(TODAY, datetime(2026, 1, 10, 23, 59, tzinfo=UTC))
    assert rules.overdue(TODAY, datetime(2026, 1, 11, tzinfo=UTC))


DAYS = st.integers(-3, 3).map(lambda count: TODAY + timedelta(days=count))
FINDINGS = st.lists(
    st.builds(
        Finding, id=st.sampled_from("123"), kind=st.just("finding"), title=st.just("x"),
        severity=st.sampled_from(rules.SEVERITIES), state=st.sampled_from(["open", "answered", "closed"]), due=DAYS,
    )
    | st.builds(
        Finding, id=st.sampled_from("456"), kind=st.just("condition"), title=st.just("x"), severity=st.just(""),
        state=st.sampled_from(["open", "answered", "closed"]), due=DAYS,
    ),
    max_size=4, unique_by=lambda each: each.id,
)  # fmt: skip
RISKS = st.lists(
    st.builds(
        Acceptance, id=st.sampled_from("12345"), target=st.sampled_from([f"finding:{n}" for n in "123456"]),
        severity=st.sampled_from(["", *rules.SEVERITIES]), until=DAYS, reason=st.just("r"), withdrawn=st.booleans(),
        seal=st.sampled_from(["sealed", "pending"]),
    ),
    max_size=4,
)  # fmt: skip
RULES = st.builds(
    FindingRule, st.sets(st.sampled_from(rules.SEVERITIES)).map(tuple), st.sampled_from(["suspends", "reminds"])
)


@given(RULES, FINDINGS, RISKS)
def test_nothing_stands_in_the_way_exactly_where_each_finding_is_settled_or_accepted(rule, findings, risks):
    """Told anew, from the other side: for each finding on its own, without the code's own helpers."""

    def settled(one):
        late = one.due < TODAY and (one.kind == "condition" or rule.overdue == "suspends")
        if one.state == "closed" or not (late or one.severity in rule.block):
            return True
        order = ["", *rules.SEVERITIES]
        return any(
            each.target == f"finding:{one.id}" and not each.withdrawn and each.seal == "sealed"
            and each.until >= TODAY and order.index(one.severity) <= order.index(each.severity)
            for each in risks
        )  # fmt: skip

    weighed = found(*findings, risks=risks, rule=rule)
    assert (weighed.reasons == ()) == all(map(settled, findings))
    assert {each.code for each in weighed.obligations} >= {
        f"risk_acceptance:{each.id}" for each in weighed.lifted.values()
    }
    if weighed.reasons == () and weighed.ends:
        just_before = weighed.ends - timedelta(microseconds=1)
        assert found(*findings, risks=risks, rule=rule, at=just_before).reasons == ()
