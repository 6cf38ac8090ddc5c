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


def test_revoked_is_no_at_once_and_stays_so(cast):
    from approvals.services import revoke

    request = world.an_approval(cast)
    revoke(by=cast.approver, request=request, reason="Drift in the field.")
    result = ask(request)
    assert (result.allowed, result.state, codes(result)) == (False, "revoked", ["revoked"])


def test_a_new_approval_after_a_revocation_says_yes_and_discloses_it(cast):
    from approvals.services import revoke

    first = world.an_approval(cast)
    revoke(by=cast.approver, request=first, reason="Drift in the field.")
    again = world.a_request(cast, first.version)
    result = ask(again)
    assert (result.state, result.request_id) == ("in_review", again.pk)
    world.sign(cast.validator, again, "validation")
    world.sign(cast.approver, again, "approval")
    result = ask(again)
    assert (result.allowed, result.request_id) == (True, again.pk)
    assert [each.code for each in result.obligations] == ["revoked_elsewhere"]


def test_an_open_renewal_does_not_stop_what_is_approved_but_its_rejection_does(cast):
    first = world.an_approval(cast)
    renewal = world.a_request(cast, first.version)
    assert ask(first).request_id == first.pk
    assert ask(first).allowed
    world.sign(cast.validator, renewal, "validation", "reject")
    result = ask(first)
    assert (result.allowed, result.state, result.request_id) == (False, "rejected", renewal.pk)


def test_a_withdrawn_request_is_no(cast):
    from approvals.services import withdraw

    request = world.a_request(cast)
    withdraw(by=cast.developer, request=request, reason="Wrong use.")
    assert (ask(request).allowed, ask(request).state) == (False, "withdrawn")


def test_another_environment_or_use_is_another_question(cast):
    request = world.an_approval(cast)
    assert gate.evaluate(request.version, "staging", request.use).state == "no_approval"
    assert gate.evaluate(request.version, "production", "car-loans").state == "no_approval"


def test_an_unknown_environment_is_refused(cast):
    from ledger.refusals import Refusal

    request = world.a_request(cast)
    with pytest.raises(Refusal) as caught:
        gate.evaluate(request.version, "prod", request.use)
    assert (caught.value.code, caught.value.field) == ("unknown_environment", "environment")


def test_a_changed_card_outdates_the_approval(cast):
    from registry.services import edit_card

    request = world.an_approval(cast)
    edit_card(by=cast.developer, version=request.version, card="# Intended use\n\nEverything.\n")
    assert (ask(request).allowed, ask(request).state, codes(ask(request))) == (False, "outdated", ["outdated"])


def test_a_changed_risk_tier_outdates_the_approval(cast):
    from registry.services import set_risk_tier

    request = world.an_approval(cast)
    set_risk_tier(by=cast.risk_officer, model=request.version.model, tier="low", reason="Small portfolio.")
    assert ask(request).state == "outdated"


def test_withdrawn_evidence_suspends_the_approval(cast, database_as_owner):
    request = world.an_approval(cast)
    database_as_owner(request.version.evidence.first(), withdrawn_at=request.submitted_at)
    result = ask(request)
    assert (result.allowed, result.state, codes(result)) == (False, "suspended", ["evidence_withdrawn"])


@pytest.fixture
def database_as_owner():
    def change(row, **values):
        type(row).objects.filter(pk=row.pk).update(**values)

    return change


def test_evidence_added_later_changes_nothing(cast):
    from tests import worlds

    request = world.an_approval(cast)
    worlds.a_document(cast, request.version)
    assert ask(request).allowed


def test_a_deactivated_signer_still_counts_under_the_default_policy(cast):
    from accounts.services import deactivate_account

    request = world.an_approval(cast)
    deactivate_account(by=cast.platform_admin, account=cast.validator, reason="Left the house.")
    assert ask(request).allowed


def test_an_approval_runs_out_by_the_policys_days(cast):
    from datetime import timedelta

    from approvals import dossier, workflow

    request = world.an_approval(cast)
    case = dossier.open_dossier(request).case
    decided = max(each.at for each in case.signatures)
    for days, state, allowed in ((334, "active", True), (336, "expiring", True), (365, "expired", False)):
        standing = workflow.standing(case, decided + timedelta(days=days))
        assert (standing.state, standing.allowed) == (state, allowed)


def test_a_state_column_written_by_hand_opens_nothing(cast):
    from django.db.models.functions import Now

    request = world.a_request(cast)
    type(request).objects.filter(pk=request.pk).update(state="approved", closed_at=Now())
    result = ask(request)
    assert (result.allowed, result.state) == (False, "suspended")
    assert "signature_missing" in codes(result)


def test_bytes_registered_twice_need_the_model_named(cast):
    from tests import worlds

    request = world.an_approval(cast)
    digest = request.version.artifact.digest
    assert gate.evaluate_digest(digest, "production", world.USE).allowed
    other = worlds.a_version(cast)
    result = gate.evaluate_digest(digest, "production", world.USE)
    assert (result.allowed, result.state, codes(result)) == (False, "ambiguous", ["ambiguous_subject"])
    assert gate.evaluate_digest(digest, "production", world.USE, model=request.version.model.slug).allowed
    assert not gate.evaluate_digest(digest, "production", world.USE, model=other.model.slug).allowed
    rule = {**worlds.RULE, "at_least": 0.6}
    worlds.a_version(cast, model=other.model, decision_rule=rule)
    assert codes(gate.evaluate_digest(digest, "production", world.USE, model=other.model.slug)) == ["ambiguous_subject"]


def test_a_revoked_match_is_disclosed_even_under_another_name(cast):
    from approvals.services import revoke
    from tests import worlds

    request = world.an_approval(cast)
    revoke(by=cast.risk_officer, request=request, reason="Found a leak.")
    other = worlds.a_version(cast)
    digest = request.version.artifact.digest
    assert codes(gate.evaluate_digest(digest, "production", world.USE)) == ["ambiguous_subject", "revoked_elsewhere"]
    named = gate.evaluate_digest(digest, "production", world.USE, model=other.model.slug)
    assert [each.code for each in named.obligations] == ["revoked_elsewhere"]


def test_unknown_bytes_and_versions_are_no(cast):
    missing = gate.evaluate_digest("sha256:" + "0" * 64, "production", world.USE)
    assert codes(missing) == ["unknown_digest"]
    key = (10**9, "production", world.USE)
    assert codes(gate.evaluate_many([key])[key]) == ["unknown_version"]


def test_what_somebody_may_not_ask_about_is_unknown_to_them(cast):
    request = world.an_approval(cast)
    digest = request.version.artifact.digest
    assert codes(gate.evaluate_digest(digest, "production", world.USE, visible_to=cast.outsider)) == ["unknown_digest"]
    assert gate.evaluate_digest(digest, "production", world.USE, visible_to=cast.auditor).allowed


def test_many_answers_cost_as_many_queries_as_one(cast):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    requests = [world.an_approval(cast), world.a_request(cast), world.an_approval(cast)]
    keys = [(request.version_id, request.environment, request.use) for request in requests]
    keys += [(request.version_id, "staging", request.use) for request in requests]
    with CaptureQueriesContext(connection) as one:
        gate.evaluate_many([keys[0], keys[3]])
    with CaptureQueriesContext(connection) as many:
        answers = gate.evaluate_many(keys * 2)
    assert len(many) == len(one) <= 15
    assert [answers[key].allowed for key in keys] == [True, False, True, False, False, False]


def test_the_answer_says_how_long_its_policy_lets_anybody_serve_without_asking(cast, api):
    from tests.approvals import policies

    policies.a_policy(cast, policies.a_document(evidence=[], max_lease_seconds=10), use="hiring")
    version = world.an_approval(cast).version
    asked = {"version": version.pk, "environment": "production"}

    def told(use):
        return api(cast.ci_bot).get("/api/v1/gate", {**asked, "use": use}).json()["max_lease_seconds"]

    assert told(world.USE) is None
    assert told("hiring") is None, "nobody has asked, so nothing is pinned"
    world.sign(cast.approver, world.a_request(cast, version, use="hiring"), "approval")
    assert (told(world.USE), told("hiring")) == (None, 10)
    # Another version of the policy says something else, and what was signed under this one stays.
    policies.a_policy(cast, policies.a_document(evidence=[], version=2))
    assert told("hiring") == 10


def test_the_answer_is_plain_json(cast):
    import json

    answer = ask(world.an_approval(cast)).as_dict()
    assert json.loads(json.dumps(answer)) == answer
    assert [each["state"] for each in answer["requirements"]] == ["met", "met"]
