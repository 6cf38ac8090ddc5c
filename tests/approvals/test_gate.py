from __future__ import annotations

import pytest

from approvals import gate
from tests.approvals import world

pytestmark = pytest.mark.django_db


def codes(result):
    return [reason.code for reason in result.reasons]


def ask(request):
    return gate.evaluate(request.version, request.environment, request.use)


def test_nobody_asked_says_so_and_names_what_evidence_is_missing(cast):
    from tests import worlds

    result = gate.evaluate(worlds.a_version(cast), "production", world.USE)
    assert (result.allowed, result.state) == (False, "no_approval")
    assert codes(result) == ["no_request", "evidence_missing", "evidence_missing", "evidence_missing"]


def test_open_request_says_who_may_sign(cast):
    request = world.a_request(cast)
    result = ask(request)
    assert (result.allowed, result.state, result.request_id) == (False, "in_review", request.pk)
    assert codes(result) == ["signature_missing", "signature_missing"]
    assert "A validator of team Credit may sign." in result.reasons[0].sentence


def test_two_signatures_open_the_gate(cast):
    request = world.an_approval(cast)
    result = ask(request)
    assert (result.allowed, result.state, result.reasons) == (True, "active", [])
    assert result.revision_digest == request.latest.digest
    assert (result.valid_until - result.evaluated_at).days in (364, 365)
    assert result.manifest["decision_rule"] == request.version.decision_rule
