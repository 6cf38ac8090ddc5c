"""Two at once, with real threads and real commits: exactly one of what excludes the other happens."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from approvals import gate, publishing, services
from approvals.models import Decision, PolicyVersion, Reauthentication, ReviewRequest, Revocation
from ledger.models import Event
from ledger.refusals import Refusal
from tests.approvals import policies, world

pytestmark = pytest.mark.usefixtures("committing_db")


def at_once(*acts):
    """Run the acts in threads that start together; what each returned or raised, in order."""
    barrier, found = threading.Barrier(len(acts)), [None] * len(acts)

    def run(number, act):
        barrier.wait()
        try:
            found[number] = act()
        except Exception as error:
            found[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def refusals(found):
    return sorted(each.code for each in found if isinstance(each, Refusal))


def signing(who, request, requirement, outcome="approve"):
    nonce = services.reauthenticate(
        by=who, request=request, digest=request.latest.digest, password=world.PASSWORD, session_key=world.SESSION
    )
    return lambda: world.sign(who, request, requirement, outcome, nonce=nonce)


def test_two_approvers_at_once_fill_one_place_once(cast):
    request = world.a_request(cast)
    world.sign(cast.validator, request, "validation")
    acts = [signing(who, request, "approval") for who in (cast.approver, cast.second_approver)]
    found = at_once(*acts)
    assert refusals(found) == ["request_closed"]
    assert Decision.objects.filter(requirement="approval").count() == 1
    assert Event.objects.filter(event="decision.signed", outcome="done").count() == 2
    assert Event.objects.filter(event="decision.signed.refused").count() == 1
    assert gate.evaluate(request.version, request.environment, request.use).allowed


def test_approval_and_rejection_at_once_leave_one_answer(cast):
    request = world.a_request(cast)
    world.sign(cast.validator, request, "validation")
    found = at_once(
        signing(cast.approver, request, "approval"), signing(cast.second_approver, request, "approval", "reject")
    )
    assert refusals(found) == ["request_closed"]
    request.refresh_from_db()
    answer = gate.evaluate(request.version, request.environment, request.use)
    assert answer.allowed == (request.state == "approved")


def test_a_double_click_on_sign_signs_once(cast):
    request = world.a_request(cast)
    act = signing(cast.validator, request, "validation")
    found = at_once(act, act)
    assert refusals(found) == ["already_signed"]
    assert Decision.objects.count() == 1


def test_one_nonce_is_used_once(cast):
    first = world.a_request(cast)
    act = signing(cast.validator, first, "validation", "request_changes")
    assert refusals(at_once(act, act, act)) == ["request_closed", "request_closed"]
    assert Reauthentication.objects.get().used_at is not None


def test_a_double_click_on_submit_makes_one_request(cast):
    version = world.a_complete_version(cast)
    found = at_once(*[lambda: world.a_request(cast, version)] * 3)
    assert refusals(found) == ["request_open", "request_open"]
    assert ReviewRequest.objects.count() == 1


def test_revision_and_signature_at_once_never_count_over_what_was_not_read(cast):
    from tests import worlds

    request = world.a_request(cast)
    worlds.a_document(cast, request.version, by=cast.second_developer)
    sign = signing(cast.validator, request, "validation")
    found = at_once(sign, lambda: services.revise(by=cast.developer, request=request, note="Added a document."))
    assert refusals(found) in ([], ["changed_while_reading"])
    answer = gate.evaluate(request.version, request.environment, request.use)
    assert [each.state for each in answer.requirements] == ["waiting", "blocked"]


def test_revocations_at_once_are_one(cast):
    request = world.an_approval(cast)
    found = at_once(
        lambda: services.revoke(by=cast.approver, request=request, reason="Drift."),
        lambda: services.revoke(by=cast.risk_officer, request=request, reason="Leak."),
    )
    assert refusals(found) == ["already_revoked"]
    assert Revocation.objects.count() == 1


def test_a_revocation_beats_the_last_signature_or_comes_after_it(cast):
    request = world.a_request(cast)
    world.sign(cast.validator, request, "validation")
    found = at_once(
        signing(cast.approver, request, "approval"),
        lambda: services.revoke(by=cast.second_approver, request=request, reason="Not so fast."),
    )
    revoked = Revocation.objects.exists()
    assert refusals(found) == ([] if revoked else ["not_approved"])
    assert gate.evaluate(request.version, request.environment, request.use).allowed is not revoked


def test_an_act_that_relies_on_the_gate_makes_a_revocation_wait(cast):
    from django.db import transaction

    request = world.an_approval(cast)
    ended = []

    def revoke():
        services.revoke(by=cast.approver, request=request, reason="Drift.")
        ended.append(time.monotonic())

    with transaction.atomic():
        assert gate.evaluate_holding(request.version, request.environment, request.use).allowed
        thread = threading.Thread(target=lambda: (revoke(), connections.close_all()))
        thread.start()
        time.sleep(0.5)
        assert gate.evaluate(request.version, request.environment, request.use).allowed
        released = time.monotonic()
    thread.join(30)
    assert ended[0] > released
    assert not gate.evaluate(request.version, request.environment, request.use).allowed


def test_many_answers_are_of_one_moment(cast):
    request = world.an_approval(cast)
    with gate.snapshot():
        before = gate.evaluate(request.version, request.environment, request.use)
        thread = threading.Thread(
            target=lambda: (
                services.revoke(by=cast.approver, request=request, reason="Drift."), connections.close_all(),
            )
        )  # fmt: skip
        thread.start()
        thread.join(30)
        assert Revocation.objects.count() == 0
        assert gate.evaluate(request.version, request.environment, request.use).allowed is before.allowed is True
        with connection.cursor() as cursor:
            cursor.execute("SHOW transaction_isolation")
            assert cursor.fetchone() == ("repeatable read",)
    assert not gate.evaluate(request.version, request.environment, request.use).allowed


def test_a_signed_answer_is_read_in_one_snapshot_that_writes_nothing(cast, api):
    """Other tests stand in a transaction of their own, which takes the snapshot's place."""
    request = world.a_request(cast)
    asked = {"version": request.version_id, "environment": "production", "use": world.USE}
    client = api(cast.auditor)
    with CaptureQueriesContext(connection) as queries:
        answer = client.get("/api/v1/gate", asked, headers={"Accept": "application/vnd.dsse.envelope.v1+json"})
    assert (answer.status_code, set(answer.json())) == (200, {"payload", "payloadType", "signatures"})
    said = [each["sql"] for each in queries]
    begun = next(place for place, sql in enumerate(said) if "REPEATABLE READ READ ONLY" in sql)
    read = [place for place, sql in enumerate(said) if "approvals_" in sql]
    ended = next(place for place, sql in enumerate(said) if sql == "COMMIT" and place > begun)
    assert begun < min(read)
    assert max(read) < ended


def test_of_two_who_publish_a_policy_at_once_one_learns_of_the_other(cast):
    ones = [policies.a_proposal(cast, policies.a_document(valid_days=days)) for days in (30, 60)]
    by = cast.risk_officer
    found = at_once(*(partial(publishing.publish, by=by, proposal=one, digest=one.digest) for one in ones))
    assert refusals(found) == ["policy_changed_meanwhile"]
    assert PolicyVersion.objects.filter(policy__slug="strict").count() == 1
