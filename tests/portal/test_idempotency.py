"""`Idempotency-Key`: sending a POST again gives the first answer again, and nothing is done twice."""

from __future__ import annotations

import pytest

from ledger.models import Event
from portal.models import IdempotentRequest
from registry.models import Model

pytestmark = pytest.mark.django_db
KEY = {"Idempotency-Key": "0f8fad5b-d9cb-469f-a165-70867728950e"}


def register(client, cast, name="Screening", headers=KEY):
    body = {"name": name, "team": cast.team.pk, "purpose": "Screens applications."}
    return client.post("/api/v1/models/", body, content_type="application/json", headers=headers)


def test_the_same_request_twice_is_answered_once_and_replayed(api, cast):
    client = api(cast.developer)
    first = register(client, cast)
    events = Event.objects.count()
    again = register(client, cast)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again["Idempotency-Replayed"] == "true"
    assert Model.objects.count() == 1
    assert Event.objects.count() == events


def test_a_key_used_for_another_request_is_refused(api, cast):
    client = api(cast.developer)
    register(client, cast)
    other = register(client, cast, name="Another")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert Model.objects.count() == 1


def test_two_people_may_choose_the_same_key(api, cast):
    assert register(api(cast.developer), cast).status_code == 201
    assert register(api(cast.second_developer), cast, name="Another").status_code == 201


def test_a_request_under_way_is_not_started_again(api, cast):
    client = api(cast.developer)
    register(client, cast)
    IdempotentRequest.objects.update(status=None)
    again = register(client, cast)
    assert (again.status_code, again.json()["code"]) == (409, "request_in_progress")


def test_a_key_left_by_a_killed_process_can_be_used_again(api, cast):
    client = api(cast.developer)
    register(client, cast, name="Screening")
    IdempotentRequest.objects.update(status=None, created_at="2020-01-01T00:00:00Z")
    again = register(client, cast, name="Screening two")
    assert again.status_code == 201


def test_a_refusal_is_replayed_too(api, cast):
    client = api(cast.validator)
    first, again = register(client, cast), register(client, cast)
    assert first.status_code == again.status_code == 403
    assert again["Idempotency-Replayed"] == "true"


def test_a_key_that_is_too_short_is_refused_with_a_sentence(api, cast):
    answer = register(api(cast.developer), cast, headers={"Idempotency-Key": "1"})
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_invalid")
    assert not Model.objects.exists()
