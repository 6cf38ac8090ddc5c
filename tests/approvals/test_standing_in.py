"""Signing in somebody's place, and stepping back: through services, pages and API."""

from __future__ import annotations

import json

import pytest

from approvals import gate, services
from approvals.models import Decision, Delegation, Recusal
from ledger.models import Event
from ledger.refusals import Denied, Refusal
from tests.approvals import policies, standing, world
from tests.approvals.test_pages import a_signature, text_of

pytestmark = pytest.mark.django_db


def refused(act, *given, **named):
    count = (Delegation.objects.count(), Recusal.objects.count(), Decision.objects.count())
    with pytest.raises(Refusal) as caught:
        act(*given, **named)
    assert count == (Delegation.objects.count(), Recusal.objects.count(), Decision.objects.count())
    return caught.value.code


def test_whoever_stands_in_signs_with_the_role_of_the_other_and_both_are_named(cast):
    request = world.a_request(cast)
    assert refused(world.sign, cast.approver, request, "validation") == "role_missing"
    delegation = standing.a_delegation(cast, cast.validator, cast.approver)
    made = world.sign(cast.approver, request, "validation", on_behalf_of=cast.validator)
    assert (made.signer, made.on_behalf_of) == (cast.approver, cast.validator)
    assert made.judged_by["delegation"] == str(delegation.pk)
    assert made.judged_by["grants"] == [str(cast.validator.grants.get().pk)]
    answer = gate.evaluate(request.version, request.environment, request.use)
    assert [each.state for each in answer.requirements] == ["met", "waiting"]


def test_a_delegate_counts_as_both_for_segregation_of_duties(cast):
    """Neither of the two signs the next requirement, and neither signs over what either of them made."""
    standing.a_delegation(cast, cast.validator, cast.approver)
    request = world.a_request(cast)
    world.sign(cast.approver, request, "validation", on_behalf_of=cast.validator)
    assert refused(world.sign, cast.approver, request, "approval") == "already_signed"
    standing.a_delegation(cast, cast.second_approver, cast.validator)
    assert refused(
        world.sign, cast.validator, request, "approval", on_behalf_of=cast.second_approver
    ) == "already_signed"  # fmt: skip
    version = world.a_complete_version(cast)
    world.a_report(version, version.evidence.first().dataset, by=cast.validator)
    own = world.a_request(cast, version)
    assert refused(world.sign, cast.approver, own, "validation", on_behalf_of=cast.validator) == "own_work"


def test_two_delegates_of_one_person_are_one_person(cast):
    policies.a_policy(
        cast, policies.a_document(stages=[policies.a_stage(policies.a_requirement(count=2))]), everywhere=True
    )
    standing.a_delegation(cast, cast.approver, cast.second_approver)
    standing.a_delegation(cast, cast.approver, cast.validator)
    request = world.a_request(cast)
    world.sign(cast.validator, request, "approval", on_behalf_of=cast.approver)
    for place in (None, cast.approver):
        who = cast.approver if place is None else cast.second_approver
        assert refused(world.sign, who, request, "approval", on_behalf_of=place) == "already_signed"
    world.sign(cast.second_approver, request, "approval")
    assert gate.evaluate(request.version, request.environment, request.use).allowed


def test_it_is_not_passed_on_and_ends_when_it_says_or_earlier(cast):
    first = standing.a_delegation(cast, cast.validator, cast.approver)
    standing.a_delegation(cast, cast.approver, cast.second_approver)
    request = world.a_request(cast)
    assert refused(
        world.sign, cast.second_approver, request, "validation", on_behalf_of=cast.validator
    ) == "no_delegation"  # fmt: skip
    assert refused(
        world.sign, cast.second_approver, request, "validation", on_behalf_of=cast.approver
    ) == "role_missing"  # fmt: skip
    services.end_delegation(by=cast.approver, account=cast.approver, delegation=first)
    assert refused(services.end_delegation, by=cast.validator, account=cast.validator, delegation=first) == (
        "already_ended"
    )
    assert refused(world.sign, cast.approver, request, "validation", on_behalf_of=cast.validator) == "no_delegation"
    short = standing.a_delegation(cast, cast.validator, cast.approver)
    Delegation.objects.filter(pk=short.pk).update(ends_at=short.starts_at)
    assert refused(world.sign, cast.approver, request, "validation", on_behalf_of=cast.validator) == "no_delegation"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"taker": "validator"}, "to_yourself"),
        ({"taker": "ci_bot"}, "humans_only"),
        # An owner or developer never signs through somebody else's leave.
        ({"taker": "developer"}, "taker_cannot_sign"),
        ({"taker": "platform_admin"}, "taker_cannot_sign"),
        ({"ends_at": standing.in_days(91)}, "ends_invalid"),
        ({"ends_at": standing.in_days(-1)}, "ends_invalid"),
        ({"reason": ""}, "reason_needed"),
        ({"password": "guess"}, "wrong_credentials"),
    ],
    ids=["self", "robot", "developer", "administrator", "long", "past", "reason", "password"],
)
def test_what_is_no_delegation(cast, changes, code):
    taker = getattr(cast, changes.pop("taker", "approver"))
    assert refused(standing.a_delegation, cast, cast.validator, taker, **changes) == code
    assert Event.objects.latest("id").event == "delegation.made.refused"


def test_a_refusal_for_another_reason_does_not_count_as_a_wrong_password(cast):
    for _ in range(6):
        assert refused(standing.a_delegation, cast, cast.validator, cast.developer) == "taker_cannot_sign"
        with pytest.raises(Denied):
            standing.a_delegation(cast, cast.platform_admin, cast.approver)
    for who in (cast.validator, cast.platform_admin):
        who.refresh_from_db()
        assert who.locked_until is None
    standing.a_delegation(cast, cast.validator, cast.approver)


def test_nobody_gives_away_what_they_do_not_hold(cast):
    for giver in (cast.platform_admin, cast.developer, cast.outsider):
        with pytest.raises(Denied):
            standing.a_delegation(cast, giver, cast.approver)
    with pytest.raises(Denied):
        standing.a_delegation(cast, cast.validator, cast.approver, team=None)


def test_whoever_stepped_back_signs_nothing_and_is_named(cast, signed_in):
    request = world.a_request(cast)
    services.recuse(by=cast.validator, request=request, reason="A friend made it.")
    assert refused(world.sign, cast.validator, request, "validation") == "recused"
    assert refused(world.sign, cast.validator, request, "validation", "reject") == "recused"
    standing.a_delegation(cast, cast.validator, cast.approver)
    assert refused(world.sign, cast.approver, request, "validation", on_behalf_of=cast.validator) == "own_work"
    assert refused(services.recuse, by=cast.validator, request=request, reason="Again.") == "already_recused"
    page = text_of(signed_in(cast.developer).get(request.get_absolute_url()))
    assert "Vera Lind from request" in page
    assert "A friend made it." in page
    assert "You may sign" not in text_of(signed_in(cast.validator).get("/"))


def test_stepping_back_comes_before_deciding(cast):
    request = world.a_request(cast)
    world.sign(cast.validator, request, "validation")
    assert refused(services.recuse, by=cast.validator, request=request, reason="Too late.") == "already_signed"
    world.sign(cast.approver, request, "approval")
    assert refused(services.recuse, by=cast.second_approver, request=request, reason="Too late.") == "request_closed"


def test_on_the_pages(cast, signed_in):
    request = world.a_request(cast)
    client = signed_in(cast.validator)
    given = {"taker": cast.approver.pk, "team": cast.team.pk, "ends_on": standing.in_days(5).date(), "reason": "Leave."}
    wrong = client.post("/delegations/", {**given, "password": "guess"})
    assert (wrong.status_code, "wrong" in text_of(wrong)) == (403, True)
    assert client.post("/delegations/", {**given, "password": world.PASSWORD}).status_code == 302
    other = signed_in(cast.approver)
    assert "You may sign the independent validation." in text_of(other.get("/"))
    assert "Sign in the place of Vera Lind" in text_of(
        other.get(f"/requests/{request.pk}/sign/?requirement=validation")
    )
    sign_page = f"/requests/{request.pk}/sign/"
    sent = a_signature(request, on_behalf_of=str(cast.validator.opaque_id))
    assert other.post(sign_page, sent).status_code == 302
    assert "in the place of Vera Lind" in text_of(other.get(request.get_absolute_url()))
    (row,) = Delegation.objects.all()
    assert other.post(f"/delegations/{row.pk}/end/").status_code == 302
    assert "Ended" in text_of(other.get("/delegations/"))
    stepped = signed_in(cast.second_approver).post(f"/requests/{request.pk}/recuse/", {"reason": "A friend."})
    assert stepped.status_code == 302


def test_through_the_api(cast, api):
    def post(who, path, status=201, **body):
        answer = api(who).post(f"/api/v1/{path}", json.dumps(body), content_type="application/json")
        assert answer.status_code == status, answer.content
        return answer.json()

    given = {"ends_at": standing.in_days(5).isoformat(), "reason": "Leave.", "password": world.PASSWORD}
    assert post(cast.validator, "delegations/", 422, taker=str(cast.team.pk).zfill(32), **given)["code"] == (
        "unknown_account"
    )
    made = post(cast.validator, "delegations/", taker=str(cast.approver.opaque_id), team="credit", **given)
    assert made["state"] == "active"
    listed = api(cast.approver).get("/api/v1/delegations/").json()["results"]
    assert [each["id"] for each in listed] == [made["id"]]
    assert api(cast.outsider).get("/api/v1/delegations/").json()["results"] == []
    request = world.a_request(cast)
    assert post(cast.approver, f"requests/{request.pk}/recusals/", reason="A friend.")["person"]["name"] == "Arno Weiss"
    assert len(api(cast.auditor).get(f"/api/v1/requests/{request.pk}/recusals/").json()) == 1
    assert post(cast.approver, f"delegations/{made['id']}/ending/")["state"] == "ended"
