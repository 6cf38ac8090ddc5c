"""Endpoints and keys over the API: what is done, what is refused, and what each leaves in the log."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta

import pytest
from django.core.cache import cache

from inference import keys, services
from inference.models import Endpoint, InferenceKey
from inference.rollouts.services import earlier
from ledger.events import database_time
from ledger.models import Event
from ledger.refusals import Denied, Refusal
from tests import worlds
from tests.approvals import world as approvals
from tests.inference.world import USE, a_key, an_endpoint, terms

pytestmark = pytest.mark.django_db


class Log:
    """Events since it was made: their names, in order."""

    def __init__(self):
        self.start = Event.objects.count()

    def names(self):
        return [event.event for event in Event.objects.order_by("id")[self.start :]]

    def last(self):
        return Event.objects.latest("id")


@pytest.fixture
def owner(api, cast):
    client = api(cast.model_owner)

    def send(method, path, body=None, **headers):
        return client.generic(
            method, f"/api/v1/{path}", json.dumps(body or {}), content_type="application/json", headers=headers
        )

    return send


def refused(answer, status, code, field=None):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content
    if field:
        assert answer.json()["errors"][0]["field"] == field
    assert answer.json()["detail"][-1] in ".!?"


def an_answer(**changes):
    return {"name": "desk", "environment": "production", "use": USE, **changes}


def test_an_endpoint_from_adding_to_serving_nothing(cast, owner):
    version = worlds.a_version(cast)
    log = Log()
    made = owner("POST", "endpoints/", an_answer(model=version.model_id))
    assert made.status_code == 201, made.content
    pk = made.json()["id"]
    assert made.headers["Location"] == f"/api/v1/endpoints/{pk}/"
    assert made.json()["version"] is None
    assert made.json()["gateway_url"].endswith("/v2/models/desk")
    bound = owner("PUT", f"endpoints/{pk}/binding/", {"version": version.pk})
    assert bound.status_code == 200, bound.content
    assert bound.json()["version"] == version.pk
    assert bound.json()["bound_by"]["name"] == "Olga Novak"
    assert not bound.json()["gate"]["allowed"]
    assert bound.json()["gate"]["reasons"][0]["code"] == "no_request"
    free = owner("PUT", f"endpoints/{pk}/binding/", {"version": None})
    assert (free.json()["version"], free.json()["gate"]) == (None, None)
    assert log.names() == ["endpoint.added", "endpoint.bound", "endpoint.bound"]


def test_the_binding_says_in_the_log_what_the_gate_said_then(cast, owner):
    request = approvals.an_approval(cast)
    endpoint, log = an_endpoint(cast, model=request.version.model), Log()
    owner("PUT", f"endpoints/{endpoint.pk}/binding/", {"version": request.version_id})
    facts = log.last().content["facts"]
    assert facts["gate"] == {"allowed": True, "state": "active"}
    assert facts["from"] is None
    assert facts["to"]["artifact"] == request.version.artifact.digest


def test_the_endpoint_shows_the_gates_answer_of_now(cast, owner):
    request = approvals.an_approval(cast)
    endpoint = an_endpoint(cast, request.version)
    shown = owner("GET", f"endpoints/{endpoint.pk}/")
    assert shown.json()["gate"]["allowed"]
    tag = shown.headers["ETag"]
    assert owner("GET", f"endpoints/{endpoint.pk}/", **{"If-None-Match": tag}).status_code == 304
    from approvals.services import revoke

    revoke(by=cast.approver, request=request, reason="Drift in the field.")
    again = owner("GET", f"endpoints/{endpoint.pk}/", **{"If-None-Match": tag})
    assert again.status_code == 200
    assert again.json()["gate"]["state"] == "revoked"
    assert [row["name"] for row in owner("GET", "endpoints/").json()["results"]] == [endpoint.name]


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"name": "Has Spaces"}, "endpoint_name_invalid", "name"),
        ({"name": "x" * 61}, "endpoint_name_invalid", "name"),
        ({"use": "Loans & more"}, "use_invalid", "use"),
        ({"use": "x" * 81}, "use_invalid", "use"),
    ],
)
def test_an_endpoint_that_is_refused(cast, owner, changes, code, field):
    model = worlds.a_model(cast)
    log = Log()
    refused(owner("POST", "endpoints/", an_answer(model=model.pk, **changes)), 422, code, field)
    assert log.names() == ["endpoint.added.refused"]
    assert not Endpoint.objects.exists()


def test_a_name_is_taken_once(cast, owner):
    endpoint = an_endpoint(cast)
    body, log = an_answer(model=endpoint.model_id, name=endpoint.name), Log()
    refused(owner("POST", "endpoints/", body), 422, "endpoint_name_taken", "name")
    assert log.names() == ["endpoint.added.refused"]


def test_an_environment_that_is_not_one(cast, owner):
    model = worlds.a_model(cast)
    log = Log()
    refused(owner("POST", "endpoints/", an_answer(model=model.pk, environment="moon")), 422, "invalid", "environment")
    assert log.names() == []
    with pytest.raises(Refusal) as caught:
        services.add_endpoint(by=cast.model_owner, model=model, name="desk", environment="moon", use=USE)
    assert caught.value.code == "unknown_environment"
    assert log.names() == ["endpoint.added.refused"]


def test_a_model_that_is_not_there(owner):
    refused(owner("POST", "endpoints/", an_answer(model=10**6)), 422, "invalid", "model")


def test_bindings_that_are_refused(cast, owner):
    version = worlds.a_version(cast)
    endpoint, log = an_endpoint(cast, version), Log()
    path = f"endpoints/{endpoint.pk}/binding/"
    refused(owner("PUT", path, {"version": version.pk}), 422, "already_bound", "version")
    stranger = worlds.a_version(cast, weight=3.0)
    before = log.names()
    refused(owner("PUT", path, {"version": stranger.pk}), 422, "other_model", "version")
    assert log.names()[len(before) :] == ["endpoint.bound.refused"]
    refused(owner("PUT", path, {"version": 10**6}), 422, "unknown_version", "version")
    refused(owner("PUT", path, {}), 422, "invalid", "version")
    endpoint.refresh_from_db()
    assert endpoint.version == version
    # Where another server predicts, nobody could know whether it runs these bytes.
    upstream = f"endpoints/{endpoint.pk}/upstream/"
    elsewhere = {"kind": "http-oip", "url": "https://93.184.216.34", "model_name": "loans"}
    refused(owner("PUT", upstream, elsewhere), 422, "bytes_here", "kind")
    assert owner("PUT", path, {"version": None}).status_code == 200
    assert owner("PUT", upstream, elsewhere).status_code == 200
    refused(owner("PUT", path, {"version": version.pk}), 422, "bytes_here", "version")
    # Nor does it come back by going back.
    endpoint = Endpoint.objects.get(pk=endpoint.pk)
    assert (earlier(endpoint), endpoint.version) == ([], None)


def test_whoever_may_look_may_not_bind_or_issue(cast, api):
    version = worlds.a_version(cast)
    endpoint, client = an_endpoint(cast, version), api(cast.validator)
    log = Log()
    answer = client.put(f"/api/v1/endpoints/{endpoint.pk}/binding/", {"version": None}, "application/json")
    refused(answer, 403, "permission_denied")
    answer = client.post(f"/api/v1/endpoints/{endpoint.pk}/keys/", terms(), "application/json")
    refused(answer, 403, "permission_denied")
    assert log.names() == ["endpoint.bound.refused", "key.issued.refused"]
    assert api(cast.outsider).get(f"/api/v1/endpoints/{endpoint.pk}/").status_code == 404


def test_a_key_is_shown_once_and_only_its_digest_is_kept(cast, owner):
    endpoint = an_endpoint(cast)
    log = Log()
    made = owner("POST", f"endpoints/{endpoint.pk}/keys/", terms())
    assert made.status_code == 201, made.content
    secret = made.json()["secret"]
    assert secret.startswith(f"cs_live_{made.json()['key_id']}_")
    assert made.json()["scopes"] == [{"endpoint": endpoint.name, "actions": ["infer", "metadata"]}]
    assert made.json()["state"] == "active"
    assert log.names() == ["key.issued"]
    kept = json.dumps(log.last().content) + json.dumps(list(InferenceKey.objects.values()), default=str)
    assert secret.rpartition("_")[2] not in kept
    listed = owner("GET", f"endpoints/{endpoint.pk}/keys/").json()["results"]
    assert [row["name"] for row in listed] == ["Loan desk"]
    assert secret not in json.dumps(listed)
    assert "secret" not in owner("GET", f"keys/{made.json()['id']}/").json()


def test_the_same_request_again_issues_nothing_and_shows_nothing(cast, owner):
    endpoint = an_endpoint(cast)
    again = {"Idempotency-Key": str(uuid.uuid4())}
    first = owner("POST", f"endpoints/{endpoint.pk}/keys/", terms(), **again)
    second = owner("POST", f"endpoints/{endpoint.pk}/keys/", terms(), **again)
    assert first.status_code == 201
    refused(second, 409, "secret_shown_once")
    assert first.json()["secret"] not in second.content.decode()
    assert InferenceKey.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"actions": []}, "unknown_action", "actions"),
        ({"days": 0}, "expiry_invalid", "days"),
        ({"days": 366}, "expiry_invalid", "days"),
        ({"rate_per_minute": 0}, "rate_invalid", "rate_per_minute"),
        ({"rate_per_minute": 10**12}, "rate_invalid", "rate_per_minute"),
        ({"reason": "no"}, "reason_needed", "reason"),
        ({"holder": "outsider"}, "holder_invalid", "holder"),
        ({"holder": "developer"}, "holder_invalid", "holder"),
    ],
)
def test_a_key_that_is_refused(cast, owner, changes, code, field):
    if "holder" in changes:
        changes = {"holder": getattr(cast, changes["holder"]).pk}
    endpoint = an_endpoint(cast)
    log = Log()
    refused(owner("POST", f"endpoints/{endpoint.pk}/keys/", terms(**changes)), 422, code, field)
    assert log.names() == ["key.issued.refused"]
    assert not InferenceKey.objects.exists()


def test_inputs_of_the_wrong_shape_are_no_act(cast, owner):
    endpoint = an_endpoint(cast)
    log, path = Log(), f"endpoints/{endpoint.pk}/keys/"
    refused(owner("POST", path, terms(actions=["fly"])), 422, "invalid", "actions.0")
    refused(owner("POST", path, terms(name=" ")), 422, "invalid", "name")
    refused(owner("POST", path, terms(holder=10**6)), 422, "holder_invalid", "holder")
    assert log.names() == []
    for changes, code in (({"name": " "}, "key_name_needed"), ({"actions": ["fly"]}, "unknown_action")):
        with pytest.raises(Refusal) as caught:
            services.issue_key(by=cast.model_owner, endpoint=endpoint, **terms(**changes))
        assert caught.value.code == code
    assert log.names() == ["key.issued.refused"] * 2


def test_a_service_account_of_the_team_can_hold_a_key(cast, owner):
    made = owner("POST", f"endpoints/{an_endpoint(cast).pk}/keys/", terms(holder=cast.ci_bot.pk))
    assert made.status_code == 201, made.content
    assert made.json()["holder"]["name"] == "CI bot"
    assert made.json()["created_by"]["name"] == "Olga Novak"


def test_one_form_issues_one_key(cast):
    endpoint, ticket = an_endpoint(cast), uuid.uuid4()
    a_key(cast, endpoint, ticket=ticket)
    log = Log()
    with pytest.raises(Refusal) as caught:
        a_key(cast, endpoint, ticket=ticket)
    assert caught.value.code == "already_issued"
    assert log.names() == ["key.issued.refused"]
    assert InferenceKey.objects.count() == 1


def test_revoking_a_key(cast, owner):
    key, _ = a_key(cast)
    log, path = Log(), f"keys/{key.pk}/revocation/"
    refused(owner("POST", path, {"reason": "no"}), 422, "reason_needed", "reason")
    done = owner("POST", path, {"reason": "The desk is closed."})
    assert (done.status_code, done.json()["state"]) == (200, "revoked")
    assert done.json()["revoked_by"]["name"] == "Olga Novak"
    refused(owner("POST", path, {"reason": "Once more."}), 409, "already_revoked")
    assert log.names() == ["key.revoked.refused", "key.revoked", "key.revoked.refused"]


def test_a_risk_officer_can_stop_a_key_too_and_an_auditor_cannot(cast, api):
    key, _ = a_key(cast)
    path, body = f"/api/v1/keys/{key.pk}/revocation/", {"reason": "Seen in a public repository."}
    refused(api(cast.auditor).post(path, body, "application/json"), 403, "permission_denied")
    assert api(cast.risk_officer).post(path, body, "application/json").status_code == 200


def leaked(client, text):
    return client.post("/api/v1/keys/report-leak/", {"key": text}, "application/json")


def test_anybody_who_shows_a_key_ends_it(cast, api):
    key, text = a_key(cast)
    log = Log()
    answer = leaked(api(None), f" {text}\n")
    assert answer.status_code == 200, answer.content
    assert set(answer.json()) == {"key_id", "revoked_at"}
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert key.revoked_by is None
    assert leaked(api(None), text).json() == answer.json()
    assert log.names() == ["key.leak_reported"]
    assert log.last().content["actor"]["kind"] == "anonymous"


def test_a_token_that_is_wrong_does_not_keep_a_leak_from_being_reported(cast, client):
    _, text = a_key(cast)
    assert leaked(client, text).status_code == 200
    _, other = a_key(cast)
    client.defaults["HTTP_AUTHORIZATION"] = "Bearer cst_wrong"
    assert leaked(client, other).status_code == 200


def test_what_is_no_key_ends_nothing_and_writes_nothing(cast, api):
    key, text = a_key(cast)
    log = Log()
    parts = keys.split(text)
    assert parts is not None
    forged = keys.text_of(keys.Parts(parts.id, "0" * 43))
    for wrong in ("cs_live_", text[:-1], forged, keys.text_of(keys.new())):
        refused(leaked(api(None), wrong), 422, "unknown_key", "key")
    key.refresh_from_db()
    assert key.revoked_at is None
    assert log.names() == []


def test_strangers_cannot_try_keys_without_end(cast, api):
    for _ in range(services.LEAK_REPORTS_PER_ADDRESS_AND_MINUTE):
        refused(leaked(api(None), "cs_live_x"), 422, "unknown_key")
    answer = leaked(api(None), "cs_live_x")
    refused(answer, 429, "rate_limited")
    assert answer.headers["Retry-After"] == "60"
    cache.clear()
    refused(leaked(api(None), "cs_live_x"), 422, "unknown_key")


def test_how_a_key_stands(cast):
    key, _ = a_key(cast, days=90)
    now = database_time()
    assert key.state(now) == "active"
    assert key.state(now + timedelta(days=31)) == "stale"
    assert key.state(now + timedelta(days=77)) == "expiring"
    assert key.state(now + timedelta(days=91)) == "expired"
    services.touch_keys([key.pk])
    key.refresh_from_db()
    used = key.last_used_at
    assert used is not None
    services.touch_keys([key.pk])
    key.refresh_from_db()
    assert key.last_used_at == used, "within minutes it is not written again"
    assert key.state(used + timedelta(days=29)) == "active"
    key.holder.is_active = False
    assert key.state(now) == "inactive"
    key.revoked_at = now
    assert key.state(now) == "revoked"


def test_only_keys_that_open_something_are_usable(cast):
    (good, _), (revoked, _), (robots, _) = a_key(cast), a_key(cast), a_key(cast, holder=cast.ci_bot)
    services.revoke_key(by=cast.model_owner, key=revoked, reason="No longer used.")
    assert set(InferenceKey.objects.usable()) == {good, robots}
    from accounts.services import deactivate_account

    deactivate_account(by=cast.platform_admin, account=cast.ci_bot, reason="The job is gone.")
    assert set(InferenceKey.objects.usable()) == {good}


def test_a_person_of_another_team_issues_nothing_here(cast):
    endpoint = an_endpoint(cast)
    with pytest.raises(Denied):
        services.issue_key(by=cast.outsider, endpoint=endpoint, **terms())
