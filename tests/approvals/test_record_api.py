"""`…/record/?as_of=`: what an object was, in a form that can be checked against the log."""

from __future__ import annotations

import hashlib

import pytest

from ledger.canonical import timestamp
from ledger.events import database_time
from ledger.models import Event
from registry.services import edit_card, edit_model
from tests import worlds
from tests.approvals import world


@pytest.fixture
def client(committing_db, cast, api, seal):
    return api(cast.developer)


def record(client, kind, pk, at=None, status=200):
    answer = client.get(f"/api/v1/{kind}/{pk}/record/", {"as_of": at} if at else {})
    assert answer.status_code == status, answer.content
    return answer.json()


def agrees(told):
    """The three steps by which anybody may check an answer."""
    digest = "sha256:" + hashlib.sha256(told["bytes"].encode()).hexdigest()
    event = Event.objects.get(pk=told["event"])
    return digest == told["sha256"] == event.content["records"][told["object"]]


def test_a_model_and_a_version_as_they_stood(client, cast, seal):
    version = worlds.a_version(cast)
    model, before = version.model, timestamp(database_time())
    seal()
    edit_model(by=cast.developer, model=model, name="Renamed", purpose="Screens renters.")
    edit_card(by=cast.developer, version=version, card="# Another card")
    now, then = record(client, "models", model.pk), record(client, "models", model.pk, before)
    assert (now["record"]["name"], now["texts"]) == ("Renamed", {"purpose": "Screens renters."})
    assert then["record"]["name"] == model.name
    assert (then["state"], then["next"], then["previous"]) == ("verified", now["changed_at"], None)
    assert now["previous"] == then["changed_at"] == then["since"]
    assert now["entry"] is None
    assert then["entry"] is not None
    assert agrees(now)
    assert agrees(then)
    now, then = record(client, "versions", version.pk), record(client, "versions", version.pk, before)
    assert now["texts"]["card"] == "# Another card"
    assert "Screening of home loans." in then["texts"]["card"]
    assert agrees(now)
    assert agrees(then)


def test_a_request_with_the_gate_s_answer_of_the_moment(client, cast):
    request = world.a_request(cast)
    asked = timestamp(database_time())
    world.sign(cast.validator, request, "validation")
    world.sign(cast.approver, request, "approval")
    approved = timestamp(database_time())
    edit_card(by=cast.developer, version=request.version, card="# Another card")
    told = record(client, "requests", request.pk, asked)
    assert (told["record"]["state"], told["gate"]["state"]) == ("in_review", "in_review")
    told = record(client, "requests", request.pk, approved)
    assert (told["record"]["state"], told["gate"]["allowed"]) == ("approved", True)
    assert told["gate"]["evaluated_at"].startswith(approved[:26])
    assert agrees(told)
    told = record(client, "requests", request.pk)
    assert (told["record"]["state"], told["gate"]["allowed"], told["gate"]["state"]) == ("approved", False, "outdated")


def test_whoever_signed_and_left_was_there_before(client, cast):
    from accounts.services import deactivate_account

    request = world.an_approval(cast)
    approved = timestamp(database_time())
    deactivate_account(by=cast.platform_admin, account=cast.validator, reason="Left us.")
    assert record(client, "requests", request.pk, approved)["gate"]["allowed"] is True


@pytest.mark.parametrize(
    ("at", "status", "code"),
    [("soon", 422, "as_of_invalid"), ("9999-01-01", 422, "as_of_future"), ("2020-01-01", 404, "not_on_record")],
)
def test_other_moments_are_refused(client, cast, at, status, code):
    model = worlds.a_model(cast)
    assert record(client, "models", model.pk, at, status)["code"] == code


def test_what_one_cannot_see_now_one_cannot_see_then(client, cast, api):
    model = worlds.a_model(cast)
    assert record(api(cast.outsider), "models", model.pk, None, 404)["code"] == "not_found"
