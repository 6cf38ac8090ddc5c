"""What an administrator of the database could do to findings and accepted risks, and two people at once."""

from __future__ import annotations

import pytest

from approvals import dossier, gate, workflow
from approvals.dossier import contributors_of, evidence_by_id
from approvals.findings import acceptances
from approvals.findings import services as acts
from approvals.frozen import manifest_of
from approvals.models import FindingStep
from ledger.canonical import canonical
from ledger.events import database_time
from tests.approvals import world
from tests.approvals.findings_world import REASON, a_finding, a_risk, in_days
from tests.approvals.test_concurrency import at_once, refusals
from tests.approvals.test_sealed import as_owner

pytestmark = pytest.mark.usefixtures("committing_db")


def codes(request):
    return [each.code for each in workflow.standing(dossier.open_dossier(request).case, database_time()).reasons]


def test_rows_changed_past_the_portal_stop_the_approval(committing_db, cast):
    request = world.an_approval(cast)
    finding = a_finding(cast, request.version, "critical")
    step, row = finding.steps.get(), a_risk(cast, request, f"finding:{finding.pk}")
    assert codes(request) == []
    changes = [
        ("approvals_findingstep", "severity", "low", step), ("approvals_findingstep", "state", "closed", step),
        ("approvals_riskacceptance", "until", in_days(3000), row),
        ("approvals_riskacceptance", "document", b"{}", row), ("approvals_riskacceptance", "severity", "low", row),
    ]  # fmt: skip
    for table, column, value, of in changes:
        statement = f"UPDATE {table} SET {column} = %s WHERE id = %s"  # noqa: S608
        as_owner(committing_db, statement, [value, of.pk], table)
        assert codes(request)[0] == "record_broken", column
        as_owner(committing_db, statement, [getattr(of, column), of.pk], table)
    assert codes(request) == []


def test_a_revision_of_the_first_format_recomputes_to_its_own_digest(committing_db, cast):
    """As it was frozen before there were findings: the same bytes, and the same digest."""
    request = world.a_request(cast)
    latest, version = request.latest, request.version
    old = manifest_of(
        version, list(evidence_by_id(latest.evidence_ids).values()), contributors_of([version.pk])[version.pk],
        request.policy_version, environment="production", use=world.USE, request_id=request.pk, number=1,
        submitter=cast.developer, form="countersign-manifest/1",
    )  # fmt: skip
    assert set(latest.manifest) - set(old) == {"findings", "conditions", "risk_acceptances"}
    values = ["countersign-manifest/1", canonical(old), workflow.manifest_digest(old), latest.pk]
    statement = "UPDATE approvals_revision SET format = %s, manifest_bytes = %s, digest = %s WHERE id = %s"
    as_owner(committing_db, statement, values, "approvals_revision")
    a_finding(cast, version, "low")
    world.sign(cast.validator, request, "validation")
    world.sign(cast.approver, request, "approval")
    assert gate.evaluate(version, "production", world.USE).allowed


def test_whoever_closes_and_whoever_reopens_come_one_after_the_other(cast):
    request = world.an_approval(cast)
    finding = a_finding(cast, request.version)
    acts.answer(by=cast.developer, finding=finding, text="Done.")
    found = at_once(
        lambda: acts.close(by=cast.validator, finding=finding, reason="settled"),
        lambda: acts.reopen(by=cast.risk_officer, finding=finding, reason="not at all"),
        lambda: acts.close(by=cast.risk_officer, finding=finding, reason="settled too"),
    )
    assert refusals(found) in ([], ["finding_closed"])
    steps = list(FindingStep.objects.filter(finding=finding).order_by("number").values_list("number", "state"))
    assert [number for number, _ in steps] == list(range(1, len(steps) + 1))
    assert len(steps) == 5 - len(refusals(found))
    open_now = steps[-1][1] != "closed"
    assert codes(request) == (["finding_open"] if open_now else [])


def test_two_acceptances_at_once_are_not_one_more_than_allowed(cast, settings):
    settings.RISK_ACCEPTANCE_RENEWALS = 0
    request = world.an_approval(cast)
    finding = a_finding(cast, request.version)
    target, until = f"finding:{finding.pk}", in_days(30)
    text = acceptances.draft(cast.risk_officer, request, target, REASON, until)
    from approvals.services import reauthenticate

    def nonce():
        return reauthenticate(
            by=cast.risk_officer, request=request, digest=text.digest, password=world.PASSWORD,
            session_key=world.SESSION, purpose="risk_acceptance",
        )  # fmt: skip

    acts_ = [
        lambda proof=proof: acceptances.accept_risk(
            by=cast.risk_officer,
            request=request,
            target=target,
            reason=REASON,
            until=until,
            digest=text.digest,
            nonce=proof,
            session_key=world.SESSION,
        )
        for proof in (nonce(), nonce())
    ]
    assert refusals(at_once(*acts_)) == ["renewals_used_up"]
