"""The same through the REST API: tokens, shapes, statuses and refusals."""

from __future__ import annotations

import json

import pytest

from approvals.models import Decision
from ledger.canonical import sha256
from tests.approvals import world

pytestmark = pytest.mark.django_db


@pytest.fixture
def post(api):
    clients = {}

    def send(who, path, expect=201, **body):
        client = clients.setdefault(getattr(who, "pk", None), api(who))
        answer = client.post(f"/api/v1/{path}", json.dumps(body), content_type="application/json")
        assert answer.status_code == expect, answer.content
        return answer.json()

    return send


@pytest.fixture
def get(api):
    def ask(who, path, expect=200, **headers):
        answer = api(who).get(f"/api/v1/{path}", headers=headers or None)
        assert answer.status_code == expect, answer.content
        return answer

    return ask


def sign(post, who, request, requirement, expect=201, **changes):
    digest = changes.pop("digest", request["revision"]["digest"])
    proof = post(who, "reauthentications/", request=request["id"], digest=digest, password=world.PASSWORD)
    body = {
        "requirement": requirement, "outcome": "approve", "comment": world.REASONING, "digest": digest,
        "nonce": proof["nonce"], **changes,
    }  # fmt: skip
    return post(who, f"requests/{request['id']}/decisions/", expect, **body)


def test_from_submission_to_revocation(cast, post, get, seal):
    version = world.a_complete_version(cast)
    gate = f"gate?version={version.pk}&environment=production&use={world.USE}"
    assert get(cast.ci_bot, gate).json()["state"] == "no_approval"
    request = post(cast.ci_bot, "requests/", version=version.pk, environment="production", use=world.USE)
    assert (request["state"], request["revision"]["number"]) == ("in_review", 1)
    decision = sign(post, cast.validator, request, "validation")
    assert (decision["outcome"], decision["signer"]["name"]) == ("approve", "Vera Lind")
    post(cast.validator, f"requests/{request['id']}/comments/", text="Over to you.")
    sign(post, cast.approver, request, "approval")
    answer = get(cast.ci_bot, gate).json()
    assert (answer["allowed"], answer["state"]) == (False, "sealing")
    seal()
    answer = get(cast.ci_bot, gate).json()
    assert (answer["allowed"], answer["request"], answer["reasons"]) == (True, request["id"], [])
    digest = version.artifact.digest
    by_digest = get(cast.ci_bot, f"gate?digest={digest}&environment=production&use={world.USE}").json()
    assert by_digest["allowed"]
    post(cast.approver, f"requests/{request['id']}/revocation/", reason="Drift.")
    detail = get(cast.auditor, f"requests/{request['id']}/").json()
    assert (detail["gate"]["state"], detail["revocation"]["reason"]) == ("revoked", "Drift.")
    assert [each["requirement"] for each in detail["decisions"]] == ["validation", "approval"]
    assert len(get(cast.auditor, f"requests/{request['id']}/decisions/").json()) == 2
    assert get(cast.auditor, f"requests/{request['id']}/comments/").json()[0]["text"] == "Over to you."
    assert get(cast.auditor, "requests/?state=approved").json()["results"][0]["id"] == request["id"]


def test_the_manifest_is_the_bytes_that_were_signed(cast, get):
    request = world.a_request(cast)
    answer = get(cast.auditor, f"requests/{request.pk}/manifest/")
    assert sha256(answer.content) == request.latest.digest
    assert answer["ETag"] == f'"{request.latest.digest}"'
    get(cast.auditor, f"requests/{request.pk}/manifest/", 304, **{"If-None-Match": answer["ETag"]})
    assert get(cast.auditor, f"requests/{request.pk}/manifest/?revision=1").content == answer.content
    get(cast.auditor, f"requests/{request.pk}/manifest/?revision=2", 404)
    get(cast.auditor, f"requests/{request.pk}/manifest/?revision=x", 404)


def test_a_request_has_an_etag_that_changes_with_it(cast, get):
    request = world.a_request(cast)
    etag = get(cast.auditor, f"requests/{request.pk}/")["ETag"]
    get(cast.auditor, f"requests/{request.pk}/", 304, **{"If-None-Match": etag})
    world.sign(cast.validator, request, "validation")
    get(cast.auditor, f"requests/{request.pk}/", 200, **{"If-None-Match": etag})


def test_revising_and_withdrawing(cast, post, get):
    version = world.a_complete_version(cast)
    request = post(cast.developer, "requests/", version=version.pk, environment="staging", use=world.USE)
    evidence = request["revision"]["evidence"][:2]
    made = post(cast.developer, f"requests/{request['id']}/revision/", note="Fewer.", evidence=evidence)
    assert (made["number"], made["evidence"]) == (2, evidence)
    assert [each["number"] for each in get(cast.auditor, f"requests/{request['id']}/revision/").json()] == [2, 1]
    assert post(cast.developer, f"requests/{request['id']}/withdrawal/", reason="Later.")["state"] == "withdrawn"
    assert post(cast.developer, f"requests/{request['id']}/withdrawal/", 409, reason="Now.")["code"] == "request_closed"


def test_refusals_are_problem_documents(cast, post):
    version = world.a_complete_version(cast, verdict="outside")
    asked = {"version": version.pk, "environment": "production", "use": world.USE}
    request = post(cast.developer, "requests/", **asked)
    assert post(cast.developer, "requests/", 409, **asked)["code"] == "request_open"
    assert (
        post(cast.developer, "requests/", 422, **{**asked, "environment": "prod"})["errors"][0]["field"]
        == "environment"
    )
    assert post(cast.developer, "requests/", 422, **{**asked, "use": "A B"})["code"] == "use_invalid"
    assert post(cast.developer, "requests/", 422, **{**asked, "version": 0})["code"] == "unknown_version"
    assert post(cast.developer, "requests/", 422, **{**asked, "evidence": [0]})["code"] == "evidence_not_usable"
    assert post(cast.validator, "requests/", 403, **{**asked, "environment": "staging"})["code"] == "permission_denied"
    assert post(cast.outsider, "requests/", 422, **asked)["code"] == "unknown_version"
    found = sign(post, cast.validator, request, "validation", 422)
    assert (found["code"], found["errors"][0]["field"]) == ("not_acknowledged", "acknowledged")
    assert sign(post, cast.approver, request, "approval", 409)["code"] == "not_your_turn"
    wrong = {"request": request["id"], "digest": request["revision"]["digest"], "password": "guess"}
    assert post(cast.validator, "reauthentications/", 403, **wrong)["code"] == "wrong_credentials"
    assert post(cast.validator, "reauthentications/", 422, **{**wrong, "request": 0})["code"] == "unknown_request"
    assert post(cast.developer, "reauthentications/", 403, **wrong)["code"] == "permission_denied"


def test_a_token_alone_never_signs(cast, post):
    request = world.a_request(cast)
    body = {"requirement": "validation", "outcome": "approve", "comment": "Fine.", "digest": request.latest.digest}
    assert post(cast.validator, f"requests/{request.pk}/decisions/", 422, **body)["errors"][0]["field"] == "nonce"
    refused = post(cast.validator, f"requests/{request.pk}/decisions/", 409, **body, nonce="guess")
    assert refused["code"] == "reauthentication_needed"
    assert not Decision.objects.exists()


def test_a_nonce_belongs_to_the_token_that_asked_for_it(cast, api):
    request = world.a_request(cast)
    first, second = api(cast.validator), api(cast.validator)
    asked = {"request": request.pk, "digest": request.latest.digest, "password": world.PASSWORD}
    nonce = first.post("/api/v1/reauthentications/", json.dumps(asked), content_type="application/json").json()["nonce"]
    body = {
        "requirement": "validation", "outcome": "approve", "comment": "Fine.", "nonce": nonce,
        "digest": request.latest.digest,
    }  # fmt: skip
    path = f"/api/v1/requests/{request.pk}/decisions/"
    assert second.post(path, json.dumps(body), content_type="application/json").status_code == 409
    assert first.post(path, json.dumps(body), content_type="application/json").status_code == 201


def test_a_replayed_proof_shows_no_nonce(cast, api):
    request = world.a_request(cast)
    asked = json.dumps({"request": request.pk, "digest": request.latest.digest, "password": world.PASSWORD})
    client = api(cast.validator)
    sent = {"content_type": "application/json", "headers": {"Idempotency-Key": "one-and-the-same"}}
    assert client.post("/api/v1/reauthentications/", asked, **sent).status_code == 201
    assert client.post("/api/v1/reauthentications/", asked, **sent).json()["code"] == "secret_shown_once"


def test_outsiders_see_nothing(cast, get, post):
    request = world.a_request(cast)
    assert get(cast.outsider, "requests/").json()["results"] == []
    for path in ("", "manifest/", "decisions/", "comments/", "revision/"):
        get(cast.outsider, f"requests/{request.pk}/{path}", 404)
    post(cast.outsider, f"requests/{request.pk}/comments/", 404, text="Hello?")
    get(cast.outsider, f"gate?version={request.version_id}&environment=production&use=x", 404)
    get(None, "requests/", 401)
    get(None, "gate?version=1&environment=production&use=x", 401)


def test_the_gates_question_has_to_be_whole(cast, get, api):
    for query in (
        "",
        "?version=1",
        "?version=1&digest=sha256:0&environment=production&use=x",
        "?environment=moon&use=x&version=1",
    ):
        get(cast.auditor, f"gate{query}", 422)
    get(cast.auditor, "gate?version=0&environment=production&use=x", 404)
    narrow = api(cast.developer, scopes=["registry.view_model"])
    assert narrow.get("/api/v1/gate?version=1&environment=production&use=x").status_code == 403


def test_a_token_for_the_gate_needs_no_other_scope(cast, api):
    request = world.an_approval(cast)
    client = api(cast.developer, scopes=["approvals.check_gate"])
    query = f"environment=production&use={world.USE}"
    assert client.get(f"/api/v1/gate?version={request.version_id}&{query}").json()["allowed"]
    assert client.get(f"/api/v1/gate?digest={request.version.artifact.digest}&{query}").json()["allowed"]
    assert client.get("/api/v1/requests/").json()["results"] == []


def test_policies_are_listed(cast, get):
    found = get(cast.developer, "policies/").json()["results"]
    assert found[0]["slug"] == "validate-then-approve"
    assert found[0]["document"]["evidence"][0]["verdicts"] == "acknowledge"
    assert get(cast.platform_admin, "policies/").json()["results"] == []
