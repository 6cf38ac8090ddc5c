"""Asking, revising, withdrawing, talking and revoking."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, transaction

from approvals import services
from approvals.models import Comment, Decision, PolicyVersion, ReviewRequest, Revision, Revocation
from ledger.canonical import sha256
from ledger.models import Event
from ledger.refusals import Denied, Refusal
from tests import worlds
from tests.approvals import world

pytestmark = pytest.mark.django_db


def refusal(act, **named):
    with pytest.raises(Refusal) as caught:
        act(**named)
    event = Event.objects.latest("id")
    assert (event.outcome, event.content["facts"]["code"]) == ("refused", caught.value.code)
    return caught.value


def test_submitting_freezes_everything_that_is_signed_for(cast):
    version = world.a_complete_version(cast)
    request = world.a_request(cast, version)
    revision = request.latest
    manifest = revision.manifest
    assert sha256(bytes(revision.manifest_bytes)) == revision.digest
    assert manifest["artifact"]["digest"] == version.artifact.digest
    assert manifest["decision_rule"] == version.decision_rule
    assert manifest["card"] == version.card_digest
    assert manifest["version"]["contributors"] == [str(cast.developer.opaque_id)]
    assert [item["source"] for item in manifest["evidence"]] == ["model", "historical", "model"]
    assert manifest["datasets"][0]["artifact"] == version.evidence.first().dataset.artifact.digest
    assert (manifest["environment"], manifest["use"]) == ("production", world.USE)
    assert manifest["policy"]["digest"] == PolicyVersion.objects.get().digest
    event = Event.objects.get(event="request.submitted")
    assert event.content["facts"]["digest"] == revision.digest


def test_a_service_account_may_submit_and_an_outsider_may_not(cast):
    version = world.a_complete_version(cast)
    assert world.a_request(cast, version, by=cast.ci_bot).submitted_by == cast.ci_bot
    with pytest.raises(Denied):
        world.a_request(cast, version, by=cast.outsider, environment="staging")
    with pytest.raises(Denied):
        world.a_request(cast, version, by=cast.validator, environment="staging")


@pytest.mark.parametrize(
    ("changed", "code", "field"),
    [
        ({"environment": "prod"}, "unknown_environment", "environment"),
        ({"use": "Mortgage screening"}, "use_invalid", "use"),
        ({"use": "a" * 61}, "use_invalid", "use"),
    ],
)
def test_what_cannot_be_asked_for(cast, changed, code, field):
    given = {"environment": "production", "use": world.USE, **changed}
    found = refusal(services.submit, by=cast.developer, version=worlds.a_version(cast), **given)
    assert (found.code, found.field) == (code, field)
    assert not ReviewRequest.objects.exists()


def test_nobody_named_as_contributor_is_a_refusal(cast):
    version = world.a_complete_version(cast)
    version.contributors.clear()
    given = {"environment": "production", "use": world.USE}
    assert refusal(services.submit, by=cast.developer, version=version, **given).code == "contributors_missing"


def test_one_open_request_for_a_subject(cast):
    request = world.a_request(cast)
    again = {"version": request.version, "environment": request.environment, "use": request.use}
    assert refusal(services.submit, by=cast.developer, **again).code == "request_open"
    services.withdraw(by=cast.developer, request=request, reason="Too early.")
    assert refusal(services.submit, by=cast.developer, **again).code == "answer_needed"
    assert services.submit(by=cast.developer, note="The reports are there now.", **again).pk != request.pk


def test_evidence_is_chosen_from_this_versions_own(cast):
    version = world.a_complete_version(cast)
    own = list(version.evidence.all())
    request = services.submit(
        by=cast.developer, version=version, environment="staging", use=world.USE, evidence=own[:1]
    )
    assert request.latest.evidence_ids == [own[0].pk]
    other = worlds.a_document(cast, worlds.a_version(cast))
    given = {"environment": "production", "use": world.USE, "evidence": [other]}
    assert refusal(services.submit, by=cast.developer, version=version, **given).code == "evidence_not_usable"


def test_a_revision_takes_earlier_signatures_out_of_the_count(cast):
    from approvals import gate

    request = world.a_request(cast)
    world.sign(cast.validator, request, "validation")
    worlds.a_document(cast, request.version, by=cast.second_developer)
    revision = services.revise(by=cast.developer, request=request, note="Added a document.")
    assert (revision.number, len(revision.evidence_ids)) == (2, 4)
    result = gate.evaluate(request.version, request.environment, request.use)
    assert [each.state for each in result.requirements] == ["waiting", "blocked"]
    assert Decision.objects.get().digest != revision.digest


def test_a_revision_without_a_change_is_only_an_answer(cast):
    request = world.a_request(cast)
    assert refusal(services.revise, by=cast.developer, request=request, note="Again.").code == "nothing_changed"
    assert refusal(services.revise, by=cast.developer, request=request, note=" ").code == "note_needed"
    assert request.revisions.count() == 1
    world.sign(cast.validator, request, "validation", "request_changes")
    services.revise(by=cast.developer, request=request, note="Meant so: see the card.")
    request.refresh_from_db()
    assert request.state == "in_review"


def test_what_is_closed_takes_no_revision_and_no_withdrawal(cast):
    request = world.an_approval(cast)
    assert refusal(services.revise, by=cast.developer, request=request, note="More.").code == "request_closed"
    assert refusal(services.withdraw, by=cast.developer, request=request, reason="Oops.").code == "request_closed"


def test_comments(cast):
    request = world.a_request(cast)
    made = services.comment(by=cast.validator, request=request, text=" Why 0.5? ")
    assert made.text == "Why 0.5?"
    assert Event.objects.get(event="comment.added").content["facts"] == {"comment": str(made.pk)}
    assert refusal(services.comment, by=cast.validator, request=request, text="  ").code == "text_needed"
    assert refusal(services.comment, by=cast.validator, request=request, text="a" * 10_001).code == "text_too_long"
    with pytest.raises(Denied):
        services.comment(by=cast.auditor, request=request, text="I only read.")


def test_revoking(cast):
    request = world.a_request(cast)
    assert refusal(services.revoke, by=cast.approver, request=request, reason="No.").code == "not_approved"
    request = world.an_approval(cast)
    with pytest.raises(Denied):
        services.revoke(by=cast.validator, request=request, reason="Found a leak.")
    assert refusal(services.revoke, by=cast.approver, request=request, reason=" ").code == "reason_needed"
    assert services.revoke(by=cast.approver, request=request, reason="Found a leak.").revoked_by == cast.approver
    assert refusal(services.revoke, by=cast.approver, request=request, reason="Again.").code == "already_revoked"
    assert Revocation.objects.count() == 1
    event = Event.objects.get(event="approval.revoked", outcome="done")
    assert event.disclosures.get(label="reason").value == "Found a leak."


def test_a_service_account_revokes_nothing(cast):
    from accounts.models import Role
    from accounts.services import grant_role

    request = world.an_approval(cast)
    grant_role(
        by=cast.platform_admin, account=cast.ci_bot, role=Role.objects.get(slug="approver"), team=cast.team,
        reason="for the test", accept_conflict=True, conflict_reason="for the test",
    )  # fmt: skip
    assert refusal(services.revoke, by=cast.ci_bot, request=request, reason="Beep.").code == "humans_only"


@pytest.mark.parametrize("table", [PolicyVersion, Revision, Decision, Revocation, Comment])
def test_what_was_decided_cannot_be_changed_in_the_database(cast, table):
    request = world.an_approval(cast)
    services.comment(by=cast.validator, request=request, text="Done.")
    services.revoke(by=cast.approver, request=request, reason="Found a leak.")
    assert table.objects.exists()
    for change in (lambda: table.objects.update(id=1), lambda: table.objects.all()._raw_delete("default")):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()


def test_the_seeded_policy_is_the_file_and_reads_as_a_policy(cast):
    version = PolicyVersion.objects.get()
    assert sha256(bytes(version.document)) == version.digest
    assert version.digest == "sha256:5bcc48e978d44564e9e11e9fb412abe1cc112dfa9bbe9d3969e5886d54f11c5e"
    assert [each.role for each in version.rules.requirements] == ["validator", "approver"]
