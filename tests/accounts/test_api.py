"""Accounts by the API: tokens and their limits, people, teams, roles, grants."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from accounts import services
from accounts.catalogue import ROLES
from accounts.models import ApiToken, Role
from ledger.actors import SystemActor

pytestmark = pytest.mark.django_db
CONSOLE = SystemActor("console", frozenset({"accounts.grant_role", "accounts.add_account", "accounts.add_team"}))


def post(client, path, **body):
    return client.post(path, json.dumps(body), content_type="application/json")


@pytest.fixture
def team_admin(cast):
    """The second developer looks after accounts of team Credit, and of no other."""
    role = Role.objects.get(slug="platform_administrator")
    services.grant_role(by=CONSOLE, account=cast.second_developer, role=role, team=cast.team, reason="helps")
    return cast.second_developer


def test_a_token_may_do_only_what_it_is_for(api, cast):
    narrow = api(cast.platform_admin, scopes=["accounts.view_people"])
    assert narrow.get("/api/v1/people/").json()["results"]
    assert post(narrow, "/api/v1/teams/", name="Fraud", slug="fraud").status_code == 403
    assert not api(cast.platform_admin, scopes=["jobs.view_job"]).get("/api/v1/grants/").json()["results"][1:]


def test_a_token_cannot_make_tokens_but_a_browser_can(api, signed_in, cast):
    wish = {"name": "more", "scopes": ["registry.view_model"], "days": 1}
    answer = post(api(cast.developer), "/api/v1/tokens/", **wish)
    assert (answer.status_code, answer.json()["code"]) == (409, "token_scope")
    made = post(signed_in(cast.developer), "/api/v1/tokens/", **wish)
    assert made.status_code == 201
    assert made.json()["token"].startswith("cst_")
    assert "token" not in api(cast.developer).get("/api/v1/tokens/").json()["results"][0]


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"scopes": ["registry.fly"]}, "unknown_scope", "scopes"),
        ({"scopes": []}, "scope_needed", "scopes"),
        ({"days": 0}, "expiry_invalid", "days"),
        ({"days": 366}, "expiry_invalid", "days"),
    ],
)
def test_tokens_are_checked(signed_in, cast, change, code, field):
    wish = {"name": "more", "scopes": ["registry.view_model"], "days": 1, **change}
    answer = post(signed_in(cast.developer), "/api/v1/tokens/", **wish)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer x", "Bearer cst_00000000_" + "a" * 43, "bearer \xff", "Bearer a b c"]
)
def test_what_is_no_token_opens_nothing(client, header):
    answer = client.get("/api/v1/me/", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_an_expired_token_says_what_to_do(api, cast):
    client = api(cast.developer)
    ApiToken.objects.update(expires_at=Now() - timedelta(seconds=1))
    answer = client.get("/api/v1/me/")
    assert answer.status_code == 401
    assert "Make a new one on your account page" in answer.json()["detail"]


def test_an_administrator_adds_grants_and_deactivates(api, cast):
    admin = api(cast.platform_admin)
    person = post(admin, "/api/v1/people/", name="Nina Neu", email="nina@example.org").json()
    wish = {"account": person["id"], "role": "reviewer", "team": cast.team.pk, "reason": "new here"}
    grant = post(admin, "/api/v1/grants/", **wish)
    assert grant.status_code == 201
    assert post(admin, "/api/v1/grants/", **wish).json()["code"] == "already_granted"
    shown = admin.get(f"/api/v1/people/{person['id']}/").json()
    assert {"permission": "approvals.comment", "because_of": [grant.json()["id"]]}.items() <= next(
        one for one in shown["may"] if one["permission"] == "approvals.comment"
    ).items()
    revoked = post(admin, f"/api/v1/grants/{grant.json()['id']}/revocation/", reason="left again")
    assert revoked.json()["revoked_at"]
    gone = post(admin, f"/api/v1/people/{person['id']}/deactivation/", reason="left again")
    assert gone.json()["is_active"] is False
    assert post(admin, "/api/v1/grants/", **wish).json()["code"] == "account_inactive"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": "X", "email": "no address"}, "invalid"),
        ({"name": "X", "email": "DEVELOPER@example.org"}, "email_taken"),
        ({"name": "X", "email": "x@example.org", "kind": "service_account"}, "team_needed"),
        ({"name": "X", "email": "x@example.org", "kind": "robot"}, "invalid"),
    ],
)
def test_accounts_are_checked(api, cast, body, code):
    answer = post(api(cast.platform_admin), "/api/v1/people/", **body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_service_tokens_and_who_makes_them(api, cast, team_admin):
    wish = {"name": "ci", "scopes": ["registry.view_model"], "days": 1}
    path = f"/api/v1/people/{cast.ci_bot.pk}/tokens/"
    assert post(api(cast.platform_admin), path, **wish).status_code == 201
    made = post(api(team_admin), path, **{**wish, "name": "second"})
    assert made.status_code == 201
    assert post(api(cast.developer), path, **wish).status_code == 404
    person = f"/api/v1/people/{cast.developer.pk}/tokens/"
    assert post(api(cast.platform_admin), person, **wish).json()["code"] == "not_a_service_account"
    assert post(api(cast.developer), f"/api/v1/tokens/{made.json()['id']}/revocation/").status_code == 404
    assert post(api(team_admin), f"/api/v1/tokens/{made.json()['id']}/revocation/").status_code == 200


def test_teams_and_roles(api, cast):
    assert [team["slug"] for team in api(cast.developer).get("/api/v1/teams/").json()["results"]] == ["credit"]
    assert len(api(cast.auditor).get("/api/v1/teams/").json()["results"]) == 2
    assert {one["slug"] for one in api(cast.outsider).get("/api/v1/roles/").json()["results"]} == set(ROLES)
    assert post(api(cast.platform_admin), "/api/v1/teams/", name="Fraud", slug="fraud").status_code == 201
