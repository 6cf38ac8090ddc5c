"""The gate counts a signature only as the log has it: sealed, and just as it was recorded."""

from __future__ import annotations

import os

import psycopg2
import pytest

from approvals import gate
from tests.approvals import policies, world


def codes(result):
    return [reason.code for reason in result.reasons]


@pytest.mark.django_db
def test_a_signature_counts_only_once_it_is_sealed(cast, seal):
    request = world.a_request(cast)
    world.sign(cast.validator, request, "validation")
    world.sign(cast.approver, request, "approval", sealed=False)
    said = gate.evaluate(request.version, request.environment, request.use)
    assert (said.allowed, said.state, codes(said)) == (False, "sealing", ["seal_pending"])
    seal()
    assert gate.evaluate(request.version, request.environment, request.use).allowed


def as_owner(database, statement, values, table="approvals_decision"):
    """What an administrator of the database can do once the triggers are off."""
    connection = psycopg2.connect(os.environ["ADMIN_DATABASE_URL"], dbname=database)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
            cursor.execute(statement, values)
            assert cursor.rowcount == 1
    finally:
        connection.close()


@pytest.mark.django_db
def test_a_policy_may_wait_until_the_log_is_anchored_outside(cast, settings):
    from ledger.models import Anchor, Checkpoint

    policies.a_policy(cast, policies.a_document(anchor_outside=True), everywhere=True)
    request = world.a_request(cast)
    world.sign(cast.approver, request, "approval")
    said = gate.evaluate(request.version, request.environment, request.use)
    assert (said.state, codes(said)) == ("sealing", ["anchor_pending"])
    size = Checkpoint.objects.latest("size").size
    for covered, allowed in ((size - 1, False), (size, True)):
        Anchor.objects.create(
            origin=settings.LOG_ORIGIN, size=covered, target=f"folder {covered}", kind="folder", place="x", receipt=b""
        )
        assert gate.evaluate(request.version, request.environment, request.use).allowed == allowed


def test_a_decision_that_is_not_what_the_log_recorded_counts_for_nothing(committing_db, cast):
    request = world.an_approval(cast)
    assert gate.evaluate(request.version, request.environment, request.use).allowed
    decision = request.decisions.get(requirement="approval")
    forged = {
        "UPDATE approvals_decision SET outcome = %s WHERE id = %s": "request_changes",
        "UPDATE approvals_decision SET digest = %s WHERE id = %s": "sha256:" + 64 * "0",
        "UPDATE approvals_decision SET meaning = %s WHERE id = %s": "I looked at the weather.",
        "UPDATE approvals_decision SET signer_id = %s WHERE id = %s": cast.second_approver.pk,
    }
    for (statement, value), column in zip(forged.items(), ("outcome", "digest", "meaning", "signer_id"), strict=True):
        as_owner(committing_db, statement, [value, decision.pk])
        said = gate.evaluate(request.version, request.environment, request.use)
        assert not said.allowed
        assert codes(said)[0] == "record_broken"
        as_owner(committing_db, statement, [getattr(decision, column), decision.pk])
        assert gate.evaluate(request.version, request.environment, request.use).allowed


def test_a_decision_put_into_the_database_counts_for_nothing(committing_db, cast):
    request = world.a_request(cast)
    world.sign(cast.validator, request, "validation")
    copied = (
        "INSERT INTO approvals_decision (request_id, revision_id, requirement, signer_id, outcome, meaning, comment,"
        " digest, judged_by, authentication, acknowledged, evidence_opened, conditions, at) SELECT request_id,"
        " revision_id, 'approval', %s, outcome, meaning, comment, digest, judged_by, authentication, acknowledged,"
        " evidence_opened, conditions, at FROM approvals_decision WHERE request_id = %s"
    )
    as_owner(committing_db, copied, [cast.approver.pk, request.pk])
    as_owner(committing_db, "UPDATE approvals_reviewrequest SET state = 'approved', closed_at = now() WHERE id = %s",
             [request.pk])  # fmt: skip
    said = gate.evaluate(request.version, request.environment, request.use)
    assert not said.allowed
    assert codes(said)[0] == "record_broken"
