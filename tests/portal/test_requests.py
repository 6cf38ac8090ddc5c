"""What holds for every request: an id, a policy for scripts, a door before pages, errors that say what to do."""

from __future__ import annotations

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


def test_each_answer_carries_a_request_id_and_keeps_a_sensible_one():
    assert len(Client().get("/healthz")["X-Request-ID"]) == 36
    assert Client().get("/healthz", headers={"X-Request-ID": "build-4711"})["X-Request-ID"] == "build-4711"
    hostile = Client().get("/healthz", headers={"X-Request-ID": 'x" onload="'})
    assert hostile["X-Request-ID"] != 'x" onload="'


def test_a_page_sends_a_stranger_to_sign_in_and_remembers_where_to():
    answer = Client().get("/jobs/?state=failed")
    assert answer.status_code == 302
    assert answer["Location"] == "/sign-in/?next=%2Fjobs%2F%3Fstate%3Dfailed"


def test_pages_of_the_signed_in_are_never_cached(signed_in, cast):
    assert signed_in(cast.developer).get("/jobs/")["Cache-Control"] == "no-store"


def test_no_script_or_style_from_elsewhere_or_inline(signed_in, cast):
    policy = signed_in(cast.developer).get("/jobs/")["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


def test_a_page_that_is_not_there_says_so_in_words(signed_in, cast):
    answer = signed_in(cast.developer).get("/nowhere/")
    assert answer.status_code == 404
    assert "<h1" in answer.content.decode()


def test_an_api_address_that_is_not_there_is_a_problem_document():
    answer = Client().get("/api/v1/nowhere/")
    body = answer.json()
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"
    assert (body["code"], body["status"]) == ("not_found", 404)
    assert body["request_id"] == answer["X-Request-ID"]


def test_a_form_without_its_token_is_turned_away_with_a_sentence(cast):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(cast.developer)
    answer = browser.post("/sign-out/")
    assert answer.status_code == 403
    assert "reload the page" in answer.content.decode()


def test_an_unknown_or_expired_token_is_401_and_says_what_to_do(api, cast):
    from accounts.models import ApiToken

    unknown = Client(headers={"Authorization": "Bearer cst_00000000_" + "A" * 43}).get("/api/v1/jobs/")
    assert (unknown.status_code, unknown.json()["code"]) == (401, "authentication_failed")
    assert unknown["WWW-Authenticate"].startswith("Bearer")
    client = api(cast.developer)
    assert client.get("/api/v1/jobs/").status_code == 200
    ApiToken.objects.update(expires_at="2020-01-01T00:00:00Z")
    expired = client.get("/api/v1/jobs/")
    assert expired.status_code == 401
    assert "Make a new one" in expired.json()["detail"]


def test_a_token_may_do_no_more_than_its_scopes(api, cast):
    assert cast.developer.has_perm("registry.register_model", cast.team)
    narrow = api(cast.developer, scopes=["registry.view_model"])
    answer = narrow.post(
        "/api/v1/models/",
        {"name": "Screening", "team": cast.team.pk, "purpose": "Screens."},
        content_type="application/json",
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert "registry.register_model" in answer.json()["detail"]


def test_a_broken_body_is_400_and_a_wrong_field_is_422_with_its_path(api, cast):
    client = api(cast.developer)
    broken = client.post("/api/v1/models/", "{", content_type="application/json")
    assert (broken.status_code, broken.json()["code"]) == (400, "parse_error")
    wrong = client.post("/api/v1/models/", {"team": cast.team.pk}, content_type="application/json")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid")
    assert {"name", "purpose"} <= {error["field"] for error in wrong.json()["errors"]}


def test_ready_only_while_the_database_answers():
    answer = Client().get("/readyz").json()
    assert (answer["status"], set(answer["log"])) == ("ok", {"state", "pending", "oldest_seconds", "size"})
