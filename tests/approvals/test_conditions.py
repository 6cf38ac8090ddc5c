"""Approval with conditions: it counts, its conditions are tracked like findings, and an overdue one suspends."""

from __future__ import annotations

from datetime import timedelta

import pytest

from approvals import dossier, gate, services, workflow
from approvals.findings import services as acts
from approvals.findings.conditions import Condition
from approvals.models import Decision, Finding
from ledger.canonical import sha256
from ledger.events import database_time
from ledger.models import Event
from ledger.refusals import Refusal
from tests.approvals import world
from tests.approvals.findings_world import a_policy_with_conditions, a_risk, in_days
from tests.approvals.test_pages import text_of
from tests.sealing import seal_now

pytestmark = pytest.mark.django_db
WITH = "approve_with_conditions"


def a_condition(cast, **changes):
    return Condition(**{"text": "Watch the drift of incomes.", "owner": cast.developer, "due": in_days(10), **changes})


def conditionally(cast, **changes):
    """A request that the validator signed with a condition, and the approver without."""
    request = world.a_request(cast, **changes)
    world.sign(cast.validator, request, "validation", WITH, conditions=[a_condition(cast)])
    world.sign(cast.approver, request, "approval")
    request.refresh_from_db()
    return request


def codes(request, at=None):
    standing = workflow.standing(dossier.open_dossier(request).case, at or database_time())
    return [each.code for each in standing.reasons]


def test_it_counts_as_an_approval_and_says_what_is_owed(cast):
    a_policy_with_conditions(cast)
    request = conditionally(cast)
    assert request.state == "conditionally_approved"
    condition = Finding.objects.get()
    assert (condition.kind, condition.request, condition.decision.signer) == ("condition", request, cast.validator)
    answer = gate.evaluate(request.version, "production", world.USE)
    assert (answer.allowed, answer.state) == (True, "active")
    assert [each.code for each in answer.obligations] == [f"finding:{condition.pk}"]
    assert answer.valid_until.date() == in_days(11)
    decision = Decision.objects.get(requirement="validation")
    assert decision.meaning.endswith("each to be fulfilled by its day.")
    assert decision.conditions == [{
        "words": sha256(b"Watch the drift of incomes."), "owner": str(cast.developer.opaque_id),
        "due": in_days(10).isoformat(),
    }]  # fmt: skip
    event = Event.objects.filter(event="decision.signed").first()
    assert event.content["facts"]["conditions"] == decision.conditions
    step = condition.steps.get()
    assert {f"approvals.finding/{condition.pk}", f"approvals.findingstep/{step.pk}"} <= set(event.content["records"])


def test_an_overdue_condition_suspends_until_the_second_line_says_that_it_is_fulfilled(cast):
    a_policy_with_conditions(cast)
    request = conditionally(cast)
    condition, later = Finding.objects.get(), database_time() + timedelta(days=11)
    assert codes(request, later) == ["condition_overdue"]
    acts.answer(by=cast.developer, finding=condition, text="A monitor watches it now.")
    assert codes(request, later) == ["condition_overdue"]
    with pytest.raises(Refusal) as caught:
        acts.reassess(by=cast.validator, finding=condition, severity="low", reason="none has one")
    assert caught.value.code == "condition_has_no_severity"
    acts.close(by=cast.validator, finding=condition, reason="I looked at the monitor.")
    assert codes(request, later) == []
    acts.reopen(by=cast.risk_officer, finding=condition, reason="The monitor is off.")
    a_risk(cast, request, f"finding:{condition.pk}", until=in_days(20))
    assert codes(request, later) == []
    assert codes(request, database_time() + timedelta(days=21)) == ["risk_acceptance_expired", "condition_overdue"]


def test_a_condition_outlives_a_new_revision_and_is_frozen_with_it(cast):
    a_policy_with_conditions(cast)
    request = world.a_request(cast)
    world.sign(cast.validator, request, "validation", WITH, conditions=[a_condition(cast)])
    world.sign(cast.approver, request, "approval", "request_changes")
    services.revise(by=cast.developer, request=request, note="Answered.")
    (frozen,) = request.latest.manifest["conditions"]
    assert (frozen["id"], frozen["due"]) == (str(Finding.objects.get().pk), in_days(10).isoformat())
    world.sign(cast.validator, request, "validation")
    world.sign(cast.approver, request, "approval")
    request.refresh_from_db()
    assert request.state == "conditionally_approved"
    elsewhere = world.an_approval(cast, request.version, environment="staging")
    assert codes(elsewhere, database_time() + timedelta(days=11)) == [], "it is a condition of one approval"
    assert codes(request, database_time() + timedelta(days=11)) == ["condition_overdue"]
    services.revoke(by=cast.approver, request=request, reason="Drift in the field.")
    assert codes(request) == ["revoked"]


def test_what_is_refused(cast):
    plain = world.a_request(cast, environment="staging")
    a_policy_with_conditions(cast)
    request = world.a_request(cast, plain.version)
    good = a_condition(cast)
    for code, of, outcome, conditions, field in [
        ("conditions_not_allowed", plain, WITH, [good], "outcome"),
        ("conditions_needed", request, WITH, [], "conditions"),
        ("conditions_unexpected", request, "approve", [good], "conditions"),
        ("conditions_unexpected", request, "reject", [good], "conditions"),
        ("too_many_conditions", request, WITH, [good] * 21, "conditions"),
        ("text_needed", request, WITH, [good, a_condition(cast, text=" ")], "conditions.1.text"),
        ("due_passed", request, WITH, [a_condition(cast, due=in_days(-1))], "conditions.0.due"),
        ("owner_cannot_answer", request, WITH, [a_condition(cast, owner=cast.approver)], "conditions.0.owner"),
    ]:
        with pytest.raises(Refusal) as caught:
            world.sign(cast.validator, of, "validation", outcome, conditions=conditions)
        assert (caught.value.code, caught.value.field) == (code, field)
    assert not Decision.objects.exists()
    assert not Finding.objects.exists()


def test_signing_with_conditions_on_the_page_keeps_what_was_typed(cast, signed_in):
    a_policy_with_conditions(cast)
    request = world.a_request(cast)
    client, page = signed_in(cast.validator), f"/requests/{request.pk}/sign/"
    assert "Sign with conditions" in text_of(client.get(f"/requests/{request.pk}/"))
    assert "Condition 1" in text_of(client.get(f"{page}?requirement=validation&outcome={WITH}"))
    sent = {
        "requirement": "validation", "outcome": WITH, "digest": request.latest.digest, "comment": world.REASONING,
        "password": world.PASSWORD, "condition-TOTAL_FORMS": "3", "condition-INITIAL_FORMS": "0",
        "condition-0-text": "Watch the drift of incomes.",
    }  # fmt: skip
    answer = client.post(page, sent)
    assert (answer.status_code, "Each condition needs it." in text_of(answer)) == (422, True)
    assert b"Watch the drift of incomes." in answer.content
    sent |= {"condition-0-owner": cast.developer.pk, "condition-0-due": str(in_days(-2))}
    assert "This day has passed." in text_of(client.post(page, sent))
    done = client.post(page, {**sent, "condition-0-due": str(in_days(2))}, follow=True)
    assert "Signed with conditions" in text_of(done)
    assert "Watch the drift of incomes." in text_of(done)
    seal_now()
    world.sign(cast.approver, request, "approval")
    assert "Approved with conditions" in text_of(client.get("/requests/?state=conditionally_approved"))
    assert "Yours to answer." in text_of(signed_in(cast.developer).get("/"))


def test_the_same_through_the_api(cast, api):
    a_policy_with_conditions(cast)
    request = world.a_request(cast)
    client = api(cast.validator)

    def send(conditions):
        proof = {"request": request.pk, "digest": request.latest.digest, "password": world.PASSWORD}
        nonce = client.post("/api/v1/reauthentications/", proof, content_type="application/json").json()["nonce"]
        body = {"requirement": "validation", "outcome": WITH, "comment": world.REASONING, "nonce": nonce,
                "digest": request.latest.digest, "conditions": conditions}  # fmt: skip
        return client.post(f"/api/v1/requests/{request.pk}/decisions/", body, content_type="application/json")

    good = {"text": "Watch the drift.", "owner": str(cast.developer.opaque_id), "due": str(in_days(4))}
    unknown = send([{**good, "owner": "00000000-0000-0000-0000-000000000000"}])
    assert (unknown.status_code, unknown.json()["code"]) == (422, "owner_cannot_answer")
    made = send([good])
    assert made.status_code == 201, made.content
    assert made.json()["conditions"][0]["due"] == good["due"]
    (listed,) = client.get("/api/v1/findings/?kind=condition").json()["results"]
    assert (listed["text"], listed["severity"], listed["request"]) == ("Watch the drift.", "", request.pk)
