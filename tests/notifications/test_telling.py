"""Who is told what by which act, and who is not."""

from __future__ import annotations

import pytest
from django.core import mail

from accounts.models import User
from accounts.services import deactivate_account
from approvals.findings.services import reassess
from approvals.services import comment, recuse, revise, revoke
from approvals.tasks import release_receipts
from ledger.models import Event
from ledger.refusals import Refusal
from notifications.models import Notification
from notifications.tasks import deliver
from tests.approvals import findings_world, policies, standing, world
from tests.notifications.world import a_quick_request, choose, text_for, told
from tests.sealing import seal_now

pytestmark = pytest.mark.django_db
USE = "for mortgage-screening in production"
MAKERS = {"developer", "model-owner"}


def test_each_stage_is_told_to_those_who_may_sign_it_and_the_end_to_those_who_made_it(cast, settings):
    request = world.a_request(cast)
    subject = f"Your turn to sign request {request.pk}: {request.version.model.name} 1 {USE}"
    assert told() == {"validator": [subject]}
    body = text_for(cast.validator, "your_turn")
    assert "Hello Vera Lind," in body
    assert "you may sign now: independent validation." in body.lower()
    assert f"{settings.PUBLIC_URL}/requests/{request.pk}/" in body
    world.sign(cast.validator, request, "validation")
    assert told("your_turn") == {
        "validator": [subject], "approver": [subject], "second-approver": [subject],
    }  # fmt: skip
    world.sign(cast.approver, request, "approval")
    (approved,) = told("approved")["developer"]
    assert approved == f"Approved: request {request.pk}: {request.version.model.name} 1 {USE}"
    assert set(told("approved")) == {"developer"}
    revoke(by=cast.risk_officer, request=request, reason="The data were wrong.")
    assert set(told("approval_ended")) == {"developer", "validator", "approver"}
    assert "Rosa Klein revoked" in text_for(cast.approver, "approval_ended")
    assert "data were wrong" not in text_for(cast.approver, "approval_ended"), "reasons stay in the portal"
    deliver()
    assert {each.subject.partition(":")[0] for each in mail.outbox} == {"Countersign"}


def test_those_who_had_a_hand_in_it_or_stepped_back_are_not_told_that_it_is_their_turn(cast):
    request = a_quick_request(cast)
    assert set(told("your_turn")) == {"approver", "second-approver"}
    Notification.objects.all().delete()
    recuse(by=cast.approver, request=request, reason="A friend made it.")
    world.sign(cast.second_approver, request, "approval", "request_changes")
    assert told() == {
        each: [f"Changes requested for request {request.pk}: {request.version.model.name} 1 {USE}"] for each in MAKERS
    }
    assert "Ada Moreau asked for changes" in text_for(cast.developer, "changes_requested")
    revise(by=cast.developer, request=request, note="Put it right.")
    assert set(told("your_turn")) == {"second-approver"}


def test_the_submitter_who_could_sign_is_excluded_and_a_stand_in_is_told(cast):
    from accounts.services import grant_role
    from tests.accounts.world import CONSOLE, role

    grant_role(
        by=CONSOLE, account=cast.developer, role=role("approver"), team=cast.team, reason="helps out",
        accept_conflict=True, conflict_reason="for a week",
    )  # fmt: skip
    grant_role(by=CONSOLE, account=cast.validator, role=role("approver"), team=cast.other_team, reason="elsewhere")
    officer = grant_role(
        by=CONSOLE, account=cast.auditor, role=role("risk_officer"), team=cast.team, reason="learns it"
    )
    standing.a_delegation(cast, cast.approver, cast.validator)
    house = policies.a_requirement("risk", role="risk_officer", scope="house")
    a_quick_request(cast, stages=[policies.a_stage(policies.a_requirement(), house, slug="both")])
    assert officer.team == cast.team, "a role for a team is none for the whole house"
    assert set(told("your_turn")) == {"approver", "second-approver", "validator", "risk-officer"}
    assert "you may sign now: risk." in text_for(cast.risk_officer, "your_turn")


def test_a_rejection_is_told_to_those_who_made_it_but_not_to_its_signer(cast):
    request = a_quick_request(cast)
    world.sign(cast.approver, request, "approval", "reject")
    assert set(told("rejected")) == MAKERS
    assert "Arno Weiss rejected it" in text_for(cast.developer, "rejected")


def test_what_is_refused_tells_nobody(cast):
    request = a_quick_request(cast)
    before = Notification.objects.count()
    with pytest.raises(Refusal):
        world.sign(cast.approver, request, "approval", comment="")
    assert Notification.objects.count() == before
    assert Event.objects.filter(event="decision.signed.refused").count() == 1


def test_somebody_who_left_or_lost_their_role_is_not_told(cast):
    from accounts.services import revoke_grant

    request = a_quick_request(cast)
    deactivate_account(by=cast.platform_admin, account=cast.developer, reason="left us")
    for grant in request.version.model.owner.grants.all():
        revoke_grant(by=cast.platform_admin, grant=grant, reason="no longer")
    world.sign(cast.approver, request, "approval", "reject")
    assert told("rejected") == {}


def test_without_a_mail_server_nothing_is_written(cast, settings):
    settings.MAIL_ON = False
    request = a_quick_request(cast)
    world.sign(cast.approver, request, "approval")
    assert release_receipts() == 0
    assert not Notification.objects.exists()


class TestReceipts:
    def test_it_waits_for_the_seal_and_then_proves_the_signature(self, cast):
        request = a_quick_request(cast)
        choose_nothing(cast.approver)
        world.sign(cast.approver, request, "approval", sealed=False)
        assert release_receipts() == 0
        assert set(Notification.objects.filter(kind="receipt").values_list("state", flat=True)) == {"held"}
        seal_now()
        assert release_receipts() == 1
        assert release_receipts() == 0
        event = Event.objects.get(event="decision.signed")
        deliver()
        (sent,) = [each for each in mail.outbox if "Receipt" in each.subject]
        assert sent.to == [cast.approver.email]
        assert sent.subject == f"Countersign: Receipt: sealed as entry {event.leaf.index}"
        lines = sent.body.partition("countersign-receipt/1\n")[2].splitlines()
        assert lines[1] == str(event.pk)
        assert any(line.startswith("— ") for line in lines), "the portal's signature"

    def test_an_accepted_risk_has_one_too(self, cast):
        request = a_quick_request(cast)
        finding = findings_world.a_finding(cast, request.version)
        findings_world.a_risk(cast, request, f"finding:{finding.pk}")
        release_receipts()
        assert set(told("receipt")) == {"risk-officer"}


def choose_nothing(person: User) -> None:
    """Everything that can be switched off is off."""
    from notifications.kinds import KINDS

    choose(person, **{kind.slug: "off" for kind in KINDS.values() if kind.chosen})


class TestFindings:
    def test_whoever_has_to_answer_is_told_and_nobody_else(self, cast):
        version = a_quick_request(cast).version
        Notification.objects.all().delete()
        finding = findings_world.a_finding(cast, version, owner=cast.second_developer)
        assert told() == {"second-developer": [f"A finding to answer: Finding {finding.pk} on {version}"]}
        assert "Vera Lind named you" in text_for(cast.second_developer, "finding_assigned")
        reassess(by=cast.validator, finding=finding, reason="Smaller sums.", severity="low")
        assert len(told()["second-developer"]) == 1, "they know already"
        reassess(by=cast.validator, finding=finding, reason="Knows more.", owner=cast.developer)
        assert set(told()) == {"second-developer", "developer"}

    def test_the_conditions_of_an_approval_are_assigned_too(self, cast):
        from approvals.findings.conditions import Condition

        request = a_quick_request(cast, conditions=True)
        due = findings_world.in_days(9)
        wanted = [Condition("Watch it each month.", cast.second_developer, due)]
        world.sign(cast.approver, request, "approval", "approve_with_conditions", conditions=wanted)
        assert set(told("finding_assigned")) == {"second-developer"}
        assert "on conditions" in text_for(cast.developer, "approved")


def test_a_comment_tells_nobody(cast):
    request = a_quick_request(cast)
    before = told()
    comment(by=cast.validator, request=request, text="Why is that?")
    assert told() == before
