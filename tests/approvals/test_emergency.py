"""Breaking the glass: who, for how long, and what it never lifts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from approvals import gate, services
from approvals.models import Decision
from approvals.workflow import People, read_policy, standing
from ledger.refusals import Refusal
from tests.approvals import policies, world
from tests.approvals.test_pages import a_signature, text_of
from tests.approvals.test_policy_documents import a_case, signature
from tests.approvals.test_workflow import START, codes, item

DOCUMENT = policies.a_document(emergency={"people": 2, "hours": 4})
POLICY = read_policy(DOCUMENT)


def glass(who, minute=0, **changes):
    return signature(who, "emergency", minute, outcome="emergency", **changes)


BOTH = (glass("a"), glass("r", 10))
BEGUN = START + timedelta(minutes=10)
ENDS = BEGUN + timedelta(hours=4)


def under_review(*signatures, **changes):
    return a_case(changes.pop("policy", POLICY), signatures, state=changes.pop("state", "in_review"), **changes)


def test_two_people_for_hours_and_everybody_sees_it():
    for signatures in ((), BOTH[:1], (glass("a"), glass("a", 5)), (glass("a"), glass("b", behalf="a"))):
        assert not standing(under_review(*signatures), BEGUN).allowed
    now = standing(under_review(*BOTH), BEGUN)
    assert (now.allowed, now.state, now.valid_until) == (True, "emergency", ENDS)
    assert "emergency" in codes(now.obligations)
    over = standing(under_review(*BOTH), ENDS)
    assert (over.allowed, codes(over.reasons)) == (False, ["signature_missing", "emergency_over"])


@pytest.mark.parametrize(
    "changes",
    [
        {"evidence": ()},
        {"evidence": (item(at=START, withdrawn=True),)},
        {"computed": "sha256:other"},
        {"revoked": True},
        {"superseded": True},
        {"state": "changes_requested"},
        {"state": "rejected"},
        {"people": People(submitter=frozenset("a"))},
        {"people": People(contributors=frozenset("r"))},
        {"people": People(recused=frozenset("r"))},
        {"policy": replace(POLICY, emergency=None)},
        {"signatures": (*BOTH, signature("x", seal="broken"))},
        {"signatures": (BOTH[0], replace(BOTH[1], seal="pending"))},
        {"signatures": (BOTH[0], replace(BOTH[1], seal="broken"))},
        {"signatures": (BOTH[0], replace(BOTH[1], digest="sha256:before"))},
    ],
    ids=lambda value: "-".join(value),
)
def test_it_lifts_nothing_but_missing_signatures(changes):
    case = replace(under_review(*BOTH), **changes)
    assert not standing(case, BEGUN).allowed


def test_a_new_revision_does_not_wind_the_clock_up_again():
    earlier = tuple(replace(each, digest="sha256:before") for each in BOTH)
    later = (glass("a", 200), glass("r", 201))
    assert standing(under_review(*earlier, *later), BEGUN + timedelta(hours=3.5)).valid_until == ENDS
    assert not standing(under_review(*earlier, *later), ENDS).allowed


def test_the_review_goes_on_and_ends_it():
    signed = (*BOTH, signature("v"))
    assert standing(under_review(*signed, state="approved"), ENDS).state == "active"


# With records


@pytest.fixture
def request_(cast):
    policies.a_policy(cast, DOCUMENT, everywhere=True)
    return world.a_request(cast)


def refused(who, request, **changes):
    with pytest.raises(Refusal) as caught:
        world.sign(who, request, "emergency", "emergency", **changes)
    return caught.value.code


@pytest.mark.django_db
def test_who_may_break_the_glass(cast, request_):
    assert refused(cast.validator, request_) == "role_missing"
    world.sign(cast.approver, request_, "emergency", "emergency")
    assert refused(cast.approver, request_) == "already_signed"
    made = world.sign(cast.risk_officer, request_, "emergency", "emergency")
    assert made.judged_by["role"] == "risk_officer"
    answer = gate.evaluate(request_.version, request_.environment, request_.use)
    assert (answer.allowed, answer.state) == (True, "emergency")
    assert refused(cast.second_approver, request_) == "emergency_used"
    # Whoever broke the glass may still review; the request is as open as before.
    request_.refresh_from_db()
    assert request_.state == "in_review"
    world.sign(cast.second_approver, request_, "approval", "request_changes")
    assert not gate.evaluate(request_.version, request_.environment, request_.use).allowed


@pytest.mark.django_db
def test_a_revocation_is_not_needed_to_stop_it_and_a_withdrawal_does(cast, request_):
    for who in (cast.approver, cast.risk_officer):
        world.sign(who, request_, "emergency", "emergency")
    services.withdraw(by=cast.developer, request=request_, reason="It is off.")
    assert gate.evaluate(request_.version, request_.environment, request_.use).state == "withdrawn"


@pytest.mark.django_db
def test_policies_without_emergencies_know_none(cast):
    request = world.a_request(cast)
    assert refused(cast.approver, request) == "no_emergency"
    assert Decision.objects.count() == 0


@pytest.mark.django_db
def test_on_the_pages(cast, signed_in, request_):
    client = signed_in(cast.approver)
    assert "Emergency approval" in text_of(client.get(request_.get_absolute_url()))
    assert "because waiting would do more harm" in text_of(
        client.get(f"/requests/{request_.pk}/sign/?outcome=emergency")
    )
    sent = a_signature(request_, requirement="emergency", outcome="emergency")
    assert client.post(f"/requests/{request_.pk}/sign/", sent).status_code == 302
    world.sign(cast.risk_officer, request_, "emergency", "emergency")
    page = text_of(client.get(request_.get_absolute_url()))
    assert "Serves under an emergency approval" in page
