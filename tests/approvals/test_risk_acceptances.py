"""Accepted risks: signed like a decision, for one rule on evidence or one finding, for a while, and shown."""

from __future__ import annotations

from datetime import timedelta

import pytest

from approvals import dossier, gate, services, workflow
from approvals.findings import acceptances
from approvals.findings import services as acts
from approvals.findings.models import RiskAcceptance
from approvals.models import Reauthentication
from ledger.canonical import sha256
from ledger.events import database_time
from ledger.models import Event
from ledger.refusals import Denied, Refusal
from tests import worlds
from tests.approvals import world
from tests.approvals.findings_world import REASON, a_finding, a_risk, in_days
from tests.approvals.test_signing import grant
from tests.sealing import seal_now

pytestmark = pytest.mark.django_db


def ask(request):
    return gate.evaluate(request.version, request.environment, request.use)


def codes(request, at=None):
    found = dossier.open_dossier(request)
    return [each.code for each in workflow.standing(found.case, at or database_time()).reasons]


def refused(code, act, *arguments, **named):
    before = RiskAcceptance.objects.count()
    with pytest.raises(Refusal) as caught:
        act(*arguments, **named)
    assert caught.value.code == code, caught.value.sentence
    assert RiskAcceptance.objects.count() == before
    return caught.value


def accepting(cast, request, target, **changes):
    """The act itself, so that what it refuses is on record; the nonce is not looked at before the rest is right."""
    given = {
        "by": cast.risk_officer, "request": request, "target": target, "reason": REASON, "until": in_days(30),
        "digest": "sha256:none", "nonce": "none", "session_key": world.SESSION, **changes,
    }  # fmt: skip
    return acceptances.accept_risk(**given)


@pytest.fixture
def approved(cast):
    return world.an_approval(cast)


def test_an_accepted_finding_lets_the_approval_hold_and_is_shown(cast, approved, signed_in, api):
    finding = a_finding(cast, approved.version, "critical")
    assert codes(approved) == ["finding_open"]
    row = a_risk(cast, approved, f"finding:{finding.pk}")
    assert row.digest == sha256(bytes(row.document))
    assert (row.renewal, row.severity, row.until) == (0, "critical", in_days(30))
    answer = ask(approved)
    assert answer.allowed
    told = [each for each in answer.obligations if each.code == f"risk_acceptance:{row.pk}"]
    assert REASON in told[0].sentence
    assert answer.valid_until.date() == in_days(31), "the answer can change when the day is over"
    for path in (f"/requests/{approved.pk}/", f"/versions/{approved.version_id}/", f"/risk-acceptances/{row.pk}/"):
        assert REASON in signed_in(cast.auditor).get(path).content.decode().replace("&#x27;", "'"), path
    said = api(cast.auditor).get("/api/v1/gate", {"version": approved.version_id, "environment": "production",
                                                  "use": world.USE}).json()  # fmt: skip
    assert f"risk_acceptance:{row.pk}" in [each["code"] for each in said["obligations"]]
    event = Event.objects.get(event="risk_acceptance.signed", outcome="done")
    assert event.content["facts"]["digest"] == row.digest
    assert Event.objects.get(pk=row.authentication).event == "signer.reauthenticated"
    assert f"approvals.riskacceptance/{row.pk}" in event.content["records"]


def test_it_counts_only_once_it_is_sealed(cast, approved):
    finding = a_finding(cast, approved.version)
    a_risk(cast, approved, f"finding:{finding.pk}", sealed=False)
    assert codes(approved) == ["finding_open"]
    seal_now()
    assert codes(approved) == []


def test_it_ends_with_its_day_and_can_be_renewed_so_often(cast, approved, settings):
    finding = a_finding(cast, approved.version, due=in_days(80))
    target = f"finding:{finding.pk}"
    a_risk(cast, approved, target, until=in_days(5))
    later = database_time() + timedelta(days=6)
    assert codes(approved, later) == ["risk_acceptance_expired", "finding_open"]
    settings.RISK_ACCEPTANCE_RENEWALS = 1
    second = a_risk(cast, approved, target, until=in_days(20))
    assert (second.renewal, second.renews.renewal) == (1, 0)
    assert codes(approved, later) == []
    refused("renewals_used_up", accepting, cast, approved, target)
    acts.close(by=cast.validator, finding=finding, reason="settled")
    assert codes(approved, database_time() + timedelta(days=40)) == [], "what is settled needs no acceptance"


def test_another_request_for_the_same_gives_no_fresh_start(cast, approved, settings):
    finding = a_finding(cast, approved.version)
    settings.RISK_ACCEPTANCE_RENEWALS = 0
    a_risk(cast, approved, f"finding:{finding.pk}")
    again = world.a_request(cast, approved.version)
    refused("renewals_used_up", accepting, cast, again, f"finding:{finding.pk}")


def test_it_holds_for_one_environment_and_use(cast, approved):
    finding = a_finding(cast, approved.version)
    a_risk(cast, approved, f"finding:{finding.pk}")
    other = world.a_request(cast, approved.version, environment="staging")
    assert "finding_open" in codes(other)


def test_a_more_severe_finding_is_not_what_was_accepted(cast, approved):
    finding = a_finding(cast, approved.version, "high")
    a_risk(cast, approved, f"finding:{finding.pk}")
    acts.reassess(by=cast.validator, finding=finding, severity="critical", reason="much worse")
    assert codes(approved) == ["finding_open"]


def test_missing_evidence_can_be_accepted(cast):
    version = worlds.a_version(cast)
    dataset = worlds.a_dataset(cast)
    world.a_report(version, dataset, by=cast.second_developer)
    world.a_report(version, dataset, kind="explanation_report", by=cast.second_developer)
    request = world.a_request(cast, version)
    refused("nothing_to_accept", accepting, cast, request, "evidence:bias-model")
    with pytest.raises(Refusal) as caught:
        world.sign(cast.validator, request, "validation")
    assert caught.value.code == "evidence_incomplete"
    row = a_risk(cast, request, "evidence:bias-historical")
    world.sign(cast.validator, request, "validation")
    world.sign(cast.approver, request, "approval")
    assert ask(request).allowed
    assert codes(request, database_time() + timedelta(days=31)) == ["evidence_missing", "risk_acceptance_expired"]
    acceptances.withdraw_acceptance(by=cast.risk_officer, acceptance=row, reason="changed my mind")
    assert codes(request) == ["evidence_missing"]
    refused("already_withdrawn", acceptances.withdraw_acceptance, by=cast.risk_officer, acceptance=row, reason="again")


def test_signatures_duties_identity_and_the_log_know_no_exception(cast, approved):
    for target in (
        "signature:approval", "requirement:validation", "distinct_from", "reauthentication:1", "log:1",
        "evidence:nothing", "finding:0", "approval", "evidence:",
    ):  # fmt: skip
        refused("unknown_target", accepting, cast, approved, target)
        event = Event.objects.latest("id")
        assert (event.event, event.content["facts"]["code"]) == ("risk_acceptance.signed.refused", "unknown_target")


def test_who_may_accept(cast, approved):
    finding = a_finding(cast, approved.version, owner=cast.model_owner)
    target = f"finding:{finding.pk}"
    for who in (cast.validator, cast.approver, cast.developer, cast.auditor):
        with pytest.raises(Denied):
            accepting(cast, approved, target, by=who)
    for who in (cast.developer, cast.second_developer, cast.model_owner):  # submitter, evidence, finding
        grant(cast, who, "risk_officer")
        refused("own_work", accepting, cast, approved, target, by=who)
    grant(cast, cast.ci_bot, "risk_officer")
    refused("humans_only", accepting, cast, approved, target, by=cast.ci_bot)


def test_what_a_draft_refuses(cast, approved):
    finding = a_finding(cast, approved.version)
    target = f"finding:{finding.pk}"
    refused("until_too_late", accepting, cast, approved, target, until=in_days(91))
    refused("due_passed", accepting, cast, approved, target, until=in_days(-1))
    refused("reason_needed", accepting, cast, approved, target, reason="")
    elsewhere = a_finding(cast, worlds.a_version(cast))
    refused("unknown_target", accepting, cast, approved, f"finding:{elsewhere.pk}")
    acts.close(by=cast.validator, finding=finding, reason="settled")
    refused("nothing_to_accept", accepting, cast, approved, target)
    services.revoke(by=cast.approver, request=approved, reason="Drift.")
    refused("request_closed", accepting, cast, approved, target)


def test_the_proof_is_bound_to_the_text(cast, approved):
    finding = a_finding(cast, approved.version)
    target = f"finding:{finding.pk}"
    draft = acceptances.draft(cast.risk_officer, approved, target, REASON, in_days(30))
    other = acceptances.draft(cast.risk_officer, approved, target, "Another reason altogether.", in_days(30))

    def nonce(digest, **changes):
        given = {"by": cast.risk_officer, "session_key": world.SESSION, "purpose": "risk_acceptance", **changes}
        return services.reauthenticate(request=approved, digest=digest, password=world.PASSWORD, **given)

    refused("changed_while_reading", accepting, cast, approved, target, digest=other.digest, nonce=nonce(other.digest))
    refused(
        "reauthentication_needed", accepting, cast, approved, target, digest=draft.digest, nonce=nonce(other.digest)
    )
    manifest = nonce(approved.latest.digest, purpose="decision")
    refused("reauthentication_needed", accepting, cast, approved, target, digest=draft.digest, nonce=manifest)
    good = nonce(draft.digest)
    accepting(cast, approved, target, digest=draft.digest, nonce=good)
    refused("changed_while_reading", accepting, cast, approved, target, digest=draft.digest, nonce=good)
    assert Reauthentication.objects.filter(used_at__isnull=False, digest=draft.digest).count() == 1


def test_what_was_accepted_is_frozen_and_its_end_outdates_nothing(cast):
    version = world.a_complete_version(cast)
    finding = a_finding(cast, version)
    first = world.a_request(cast, version)
    row = a_risk(cast, first, f"finding:{finding.pk}")
    services.withdraw(by=cast.developer, request=first, reason="Too early.")
    request = world.an_approval(cast, version)
    (frozen,) = request.latest.manifest["risk_acceptances"]
    assert frozen == {"id": str(row.pk), "target": f"finding:{finding.pk}", "until": in_days(30).isoformat(),
                      "digest": row.digest}  # fmt: skip
    assert ask(request).allowed
    acceptances.withdraw_acceptance(by=cast.risk_officer, acceptance=row, reason="changed my mind")
    assert (ask(request).state, codes(request)) == ("suspended", ["finding_open"])


def test_looking_back_shows_what_was_accepted_then(cast, approved, signed_in):
    from approvals.asof import answers_at

    finding = a_finding(cast, approved.version)
    row = a_risk(cast, approved, f"finding:{finding.pk}")
    then = database_time()
    acceptances.withdraw_acceptance(by=cast.risk_officer, acceptance=row, reason="changed my mind")
    (answer,) = answers_at([approved.pk], then).values()
    assert answer.allowed
    assert not ask(approved).allowed
    page = signed_in(cast.auditor).get(f"/requests/{approved.pk}/?as_of={then:%Y-%m-%dT%H:%M:%S.%f}Z")
    assert page.status_code == 200
    assert REASON in page.content.decode()
