"""Who may sign, over what, and with which proof; each refusal leaves its own event and nothing else."""

from __future__ import annotations

import pytest

from approvals import gate, services
from approvals.models import Decision, EvidenceView, Reauthentication, ReviewRequest
from ledger.models import Event
from ledger.refusals import Denied, Refusal
from tests import worlds
from tests.approvals import world

pytestmark = pytest.mark.django_db


@pytest.fixture
def request_(cast):
    return world.a_request(cast)


def grant(cast, who, role):
    """Give somebody another role of the team, as an administrator does."""
    from accounts.models import Role
    from accounts.services import grant_role

    grant_role(
        by=cast.platform_admin, account=who, role=Role.objects.get(slug=role), team=cast.team, reason="for the test",
        accept_conflict=True, conflict_reason="for the test",
    )  # fmt: skip


def refused(code, act, *arguments, **named):
    """The act is refused with this code; its own refused event is the only thing that it leaves."""
    decisions, state = Decision.objects.count(), list(ReviewRequest.objects.values_list("id", "state", "closed_at"))
    events = set(Event.objects.values_list("id", flat=True))
    with pytest.raises(Refusal) as caught:
        act(*arguments, **named)
    assert caught.value.code == code, caught.value.sentence
    left = [event for event in Event.objects.order_by("id") if event.id not in events]
    left = [event for event in left if event.event != "signer.reauthenticated"]
    assert [(event.outcome, event.content["facts"]["code"]) for event in left] == [("refused", code)]
    assert Decision.objects.count() == decisions
    assert list(ReviewRequest.objects.values_list("id", "state", "closed_at")) == state
    return caught.value


def test_a_decision_keeps_what_it_was_judged_by(cast, request_):
    evidence = request_.version.evidence.first()
    services.open_evidence(by=cast.validator, request=request_, evidence=evidence)
    decision = world.sign(cast.validator, request_, "validation")
    assert decision.digest == request_.latest.digest
    assert decision.meaning.startswith("I have independently validated")
    assert decision.evidence_opened == [evidence.pk]
    assert decision.judged_by["role"] == "validator"
    assert decision.judged_by["grants"]
    assert str(cast.developer.opaque_id) in decision.judged_by["people"]["contributors"]
    event = Event.objects.get(event="decision.signed")
    assert event.content["facts"]["digest"] == decision.digest
    assert event.content["facts"]["authentication"] == str(decision.authentication)
    assert Event.objects.get(pk=decision.authentication).event == "signer.reauthenticated"


@pytest.mark.parametrize("who", ["developer", "second_developer", "model_owner"])
def test_an_author_lacks_the_permission_even_to_try(cast, request_, who):
    with pytest.raises(Denied):
        services.sign(
            by=getattr(cast, who), request=request_, requirement="approval", outcome="approve", comment="mine",
            digest=request_.latest.digest, nonce="x", session_key=world.SESSION,
        )  # fmt: skip
    assert Event.objects.latest("id").event == "decision.signed.refused"


def test_the_submitter_is_refused(cast):
    grant(cast, cast.model_owner, "validator")
    request = world.a_request(cast, by=cast.model_owner)
    assert (
        "asked for this approval" in refused("own_work", world.sign, cast.model_owner, request, "validation").sentence
    )


def test_the_submitter_of_any_revision_is_refused(cast, request_):
    grant(cast, cast.model_owner, "validator")
    world.sign(cast.validator, request_, "validation", "request_changes")
    services.revise(by=cast.model_owner, request=request_, note="Answered.")
    world.sign(cast.validator, request_, "validation", "request_changes")
    services.revise(by=cast.developer, request=request_, note="Answered again.")
    refused("own_work", world.sign, cast.model_owner, request_, "validation")


def test_a_contributor_named_later_outdates_what_they_signed(cast):
    from registry.services import add_contributors

    request = world.an_approval(cast)
    add_contributors(by=cast.developer, version=request.version, contributors=[cast.validator])
    result = gate.evaluate(request.version, request.environment, request.use)
    assert (result.allowed, result.state) == (False, "outdated")


def test_the_stages_come_in_order(cast, request_):
    refused("not_your_turn", world.sign, cast.approver, request_, "approval")
    refused("role_missing", world.sign, cast.approver, request_, "validation")
    world.sign(cast.validator, request_, "validation")
    grant(cast, cast.second_approver, "validator")
    refused("requirement_met", world.sign, cast.second_approver, request_, "validation")


def test_a_risk_officer_may_sign_nothing_here(cast, request_):
    refused("role_missing", world.sign, cast.risk_officer, request_, "approval")


def test_a_service_account_never_signs(cast, request_):
    grant(cast, cast.ci_bot, "validator")
    refused(
        "humans_only", services.sign, by=cast.ci_bot, request=request_, requirement="validation", outcome="approve",
        comment="beep", digest=request_.latest.digest, nonce="x", session_key="token:1",
    )  # fmt: skip
    refused(
        "humans_only", services.reauthenticate, by=cast.ci_bot, request=request_, digest=request_.latest.digest,
        password="x", session_key="token:1",
    )  # fmt: skip


def test_nothing_is_signed_without_reasoning_or_for_what_the_policy_does_not_know(cast, request_):
    refused("reasoning_needed", world.sign, cast.validator, request_, "validation", comment=" . ")
    refused("unknown_requirement", world.sign, cast.validator, request_, "coffee")
    refused("unknown_outcome", world.sign, cast.validator, request_, "validation", "shrug")


def test_missing_evidence_refuses_an_approval_but_not_a_rejection(cast):
    request = world.a_request(cast, worlds.a_version(cast))
    sentence = refused("evidence_incomplete", world.sign, cast.validator, request, "validation").sentence
    assert "Bias report on the model's own predictions" in sentence
    world.sign(cast.validator, request, "validation", "reject")


def test_evidence_about_other_bytes_rule_or_dataset_does_not_count(cast):
    for fault in ({"artifact": "sha256:" + "0" * 64}, {"decision_rule": {"kind": "label"}}, {"dataset_digest": None}):
        version, dataset = worlds.a_version(cast), worlds.a_dataset(cast)
        world.a_report(version, dataset, source="historical", by=cast.second_developer)
        world.a_report(version, dataset, kind="explanation_report", by=cast.second_developer)
        world.a_report(version, dataset, by=cast.second_developer, **fault)
        request = world.a_request(cast, version)
        refused("evidence_incomplete", world.sign, cast.validator, request, "validation")


def test_submitted_reports_do_not_stand_in_for_computed_ones(cast):
    version, dataset = worlds.a_version(cast), worlds.a_dataset(cast)
    for source, kind in (("model", "bias_report"), ("historical", "bias_report"), ("", "explanation_report")):
        world.a_report(version, dataset, kind=kind, source=source, by=cast.second_developer, provenance="submitted")
    request = world.a_request(cast, version)
    refused("evidence_incomplete", world.sign, cast.validator, request, "validation")


def test_known_limitations_are_acknowledged_one_by_one(cast):
    version = world.a_complete_version(cast, verdict="outside", historical="inconclusive")
    request = world.a_request(cast, version)
    codes = [each.code for each in gate.evaluate(version, request.environment, request.use).obligations]
    assert len(codes) == 2
    assert codes == request.latest.manifest["obligations"]
    assert (
        "outside the bounds" in refused("not_acknowledged", world.sign, cast.validator, request, "validation").sentence
    )
    refused("not_acknowledged", world.sign, cast.validator, request, "validation", acknowledged=codes[:1])
    decision = world.sign(cast.validator, request, "validation", acknowledged=[*codes, "evidence:0"])
    assert decision.acknowledged == sorted(codes)
    world.sign(cast.approver, request, "approval", acknowledged=codes)
    result = gate.evaluate(version, request.environment, request.use)
    assert result.allowed
    assert [each.code for each in result.obligations] == codes


def test_damaged_bytes_are_not_approved(cast, request_):
    from pathlib import Path

    from django.conf import settings

    for artifact, code in (
        (request_.version.artifact, "artifact_damaged"),
        (evidence_file(request_), "artifact_missing"),
    ):
        place = Path(settings.ARTIFACT_ROOT) / artifact.path
        whole = place.read_bytes()
        place.chmod(0o600)
        place.unlink() if code == "artifact_missing" else place.write_bytes(whole[:-1] + b"?")
        refused(code, world.sign, cast.validator, request_, "validation")
        place.write_bytes(whole)
    world.sign(cast.validator, request_, "validation")


def evidence_file(request):
    return request.version.evidence.order_by("id").first().artifact


def test_a_changed_record_needs_a_new_revision_before_anybody_signs(cast, request_):
    from registry.services import edit_card

    edit_card(by=cast.developer, version=request_.version, card="# Intended use\n\nSomething else.\n")
    refused("revision_outdated", world.sign, cast.validator, request_, "validation")
    services.revise(by=cast.developer, request=request_, note="New card.")
    world.sign(cast.validator, request_, "validation")


def test_a_nonce_is_for_one_person_session_digest_and_signature(cast, request_):
    def nonce(who):
        return services.reauthenticate(
            by=who, request=request_, digest=request_.latest.digest, password=world.PASSWORD, session_key=world.SESSION
        )

    theirs = nonce(cast.approver)
    refused("reauthentication_needed", world.sign, cast.validator, request_, "validation", nonce=theirs)
    mine = nonce(cast.validator)
    refused(
        "reauthentication_needed",
        world.sign,
        cast.validator,
        request_,
        "validation",
        nonce=mine,
        session_key="session:x",
    )
    refused("reauthentication_needed", world.sign, cast.validator, request_, "validation", nonce="")
    Reauthentication.objects.update(expires_at=Reauthentication.objects.first().created_at)
    refused("reauthentication_needed", world.sign, cast.validator, request_, "validation", nonce=mine)
    other, unused = nonce(cast.validator), nonce(cast.validator)
    world.sign(cast.validator, request_, "validation", "request_changes", nonce=other)
    services.revise(by=cast.developer, request=request_, note="Answered.")
    for given in (other, unused):  # once for a signature, and only for the digest that it was given for
        refused("reauthentication_needed", world.sign, cast.validator, request_, "validation", nonce=given)


def test_the_nonce_itself_is_not_kept(cast, request_):
    nonce = services.reauthenticate(
        by=cast.validator, request=request_, digest=request_.latest.digest, password=world.PASSWORD, session_key="s"
    )
    row = Reauthentication.objects.get()
    assert nonce not in (row.nonce, row.session)
    assert row.nonce.startswith("sha256:")


def test_wrong_passwords_lock_the_account(cast, request_):
    wrong = {"by": cast.validator, "request": request_, "digest": request_.latest.digest, "session_key": world.SESSION}
    for _ in range(2):
        refused("wrong_credentials", services.reauthenticate, password="guess", **wrong)
    refused("account_locked", services.reauthenticate, password="guess", **wrong)
    refused("account_locked", services.reauthenticate, password=world.PASSWORD, **wrong)


def test_a_right_password_clears_the_count(cast, request_):
    wrong = {"by": cast.validator, "request": request_, "digest": request_.latest.digest, "session_key": world.SESSION}
    for _ in range(2):
        refused("wrong_credentials", services.reauthenticate, password="guess", **wrong)
    services.reauthenticate(password=world.PASSWORD, **wrong)
    cast.validator.refresh_from_db()
    assert cast.validator.failed_sign_ins == 0


def test_what_is_closed_takes_no_decision(cast):
    approved = world.an_approval(cast)
    refused("request_closed", world.sign, cast.second_approver, approved, "approval", "reject")
    request = world.a_request(cast)
    world.sign(cast.validator, request, "validation", "reject")
    refused("request_closed", world.sign, cast.approver, request, "approval")


def test_somebody_who_signed_may_still_reject(cast, request_):
    world.sign(cast.validator, request_, "validation")
    world.sign(cast.validator, request_, "validation", "reject")
    request_.refresh_from_db()
    assert request_.state == "rejected"


def test_opening_evidence_twice_is_noted_once(cast, request_):
    evidence = request_.version.evidence.first()
    for _ in range(2):
        services.open_evidence(by=cast.validator, request=request_, evidence=evidence)
    assert EvidenceView.objects.count() == 1
