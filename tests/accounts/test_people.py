"""People, teams, roles and tokens: by the pages and by the API, and what is refused."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from accounts import access, services
from accounts.catalogue import PERMISSIONS, ROLES, conflict
from accounts.models import ApiToken, Grant, Role, Team, User
from ledger.actors import SystemActor
from ledger.models import Event
from ledger.refusals import Denied, Refusal

pytestmark = pytest.mark.django_db
CONSOLE = SystemActor("console", frozenset({"accounts.grant_role", "accounts.add_account", "accounts.add_team"}))


def post(client, path, **body):
    return client.post(path, json.dumps(body), content_type="application/json")


def role(slug):
    return Role.objects.get(slug=slug)


@pytest.fixture
def team_admin(cast):
    """The second developer looks after accounts of team Credit, and of no other."""
    services.grant_role(
        by=CONSOLE, account=cast.second_developer, role=role("platform_administrator"), team=cast.team, reason="helps"
    )
    return cast.second_developer


class TestPages:
    def test_people_are_listed_with_roles_and_found(self, signed_in, cast):
        browser = signed_in(cast.platform_admin)
        everybody = browser.get("/people/").content.decode()
        assert all(account.name in everybody for account in cast.everybody().values())
        found = browser.get("/people/?name=vera").content.decode()
        assert "Vera Lind" in found
        assert "Dev Anand" not in found
        auditors = browser.get("/people/?role=auditor").content.decode()
        assert "Aziz Haddad" in auditors
        assert "Dev Anand" not in auditors
        assert "Nobody like this" in browser.get("/people/?name=zzz").content.decode()

    def test_one_may_see_oneself_and_not_others(self, signed_in, cast):
        browser = signed_in(cast.developer)
        assert browser.get(f"/people/{cast.developer.pk}/").status_code == 200
        assert browser.get(f"/people/{cast.validator.pk}/").status_code == 404
        for path in ("/people/", "/people/permissions/", "/teams/", "/people/new/", "/teams/new/"):
            assert browser.get(path).status_code == 403

    def test_what_a_person_may_do_comes_with_the_reason(self, signed_in, cast):
        page = signed_in(cast.auditor).get(f"/people/{cast.validator.pk}/").content.decode()
        assert PERMISSIONS["approvals.sign_decision"] in page
        assert "Validator, team Credit" in page
        assert "Grant a role" not in page

    def test_who_can_do_what(self, signed_in, cast):
        page = signed_in(cast.auditor).get("/people/permissions/").content.decode()
        row = re.search(r"<code>registry.set_risk_tier</code>.*?</tr>", page, re.S)[0]
        assert "Rosa Klein" in row
        assert "Dev Anand" not in row

    def test_a_role_is_granted_with_reason_and_end_and_revoked(self, signed_in, cast):
        browser = signed_in(cast.platform_admin)
        path = f"/people/{cast.developer.pk}/roles/new/"
        form = {"role": role("reviewer").pk, "team": cast.team.pk, "reason": "stands in", "expires_on": "2099-12-31"}
        assert browser.post(path, form)["Location"] == f"/people/{cast.developer.pk}/"
        grant = Grant.objects.latest("pk")
        assert (grant.reason, grant.granted_by) == ("stands in", cast.platform_admin)
        assert grant.expires_at.isoformat() == "2100-01-01T00:00:00+00:00"
        assert "already" in browser.post(path, form).content.decode()
        assert browser.get(f"/people/grants/{grant.pk}/revoke/").status_code == 200
        assert browser.post(f"/people/grants/{grant.pk}/revoke/", {"reason": ""}).status_code == 422
        browser.post(f"/people/grants/{grant.pk}/revoke/", {"reason": "back again"})
        assert Grant.objects.get(pk=grant.pk).revoked_at is not None
        browser.post(f"/people/grants/{grant.pk}/revoke/", {"reason": "back again"})
        assert Event.objects.latest("id").event == "role.revoked.refused"

    def test_roles_that_should_be_apart_are_shown_before_saving(self, signed_in, cast):
        browser = signed_in(cast.platform_admin)
        path = f"/people/{cast.developer.pk}/roles/new/"
        form = {"role": role("approver").pk, "team": cast.team.pk, "reason": "small team", "expires_on": ""}
        page = browser.post(path, form)
        assert page.status_code == 422
        assert "meant for two people" in page.content.decode()
        assert 'type="checkbox" name="accept_conflict"' in page.content.decode()
        assert "small team" in page.content.decode()
        silent = browser.post(path, {**form, "accept_conflict": "on"})
        assert silent.status_code == 422
        assert "Say why one account may do what is meant for two" in silent.content.decode()
        assert not cast.developer.grants.filter(role__slug="approver").exists()
        said = {"accept_conflict": "on", "conflict_reason": "we are three, and Vera looks at it"}
        assert browser.post(path, {**form, **said}).status_code == 302
        event = Event.objects.latest("id")
        assert event.content["facts"]["conflict"] is event.content["facts"]["conflict_confirmed"] is True
        assert ["registry.register_version", "approvals.sign_decision"] in event.content["facts"]["conflicts"]
        assert "we are three" in event.disclosures.get(label="conflict_reason").value
        assert "we are three" in browser.get(f"/people/{cast.developer.pk}/").content.decode()

    def test_the_end_of_a_grant_lies_ahead(self, signed_in, cast):
        form = {"role": role("reviewer").pk, "team": "house", "reason": "stands in", "expires_on": "2020-01-01"}
        page = signed_in(cast.platform_admin).post(f"/people/{cast.developer.pk}/roles/new/", form)
        assert "The grant would end before it begins" in page.content.decode()

    def test_a_role_for_the_whole_house_is_chosen_on_purpose(self, signed_in, cast, team_admin):
        path = f"/people/{cast.developer.pk}/roles/new/"
        form = {"role": role("reviewer").pk, "team": "", "reason": "stands in"}
        assert signed_in(cast.platform_admin).post(path, form).status_code == 422
        assert signed_in(cast.platform_admin).post(path, {**form, "team": "house"}).status_code == 302
        assert Grant.objects.latest("pk").team is None
        page = signed_in(team_admin).get(f"/people/{cast.ci_bot.pk}/roles/new/").content.decode()
        assert "team Credit" in page
        assert "the whole house" not in page

    def test_a_person_is_added_and_invited(self, signed_in, client, cast):
        browser = signed_in(cast.platform_admin)
        there = browser.post("/people/new/", {"name": "Nina Neu", "email": "nina@example.org"})["Location"]
        assert "Make an invitation" in browser.get(there).content.decode()
        page = browser.post(f"{there}invite/").content.decode()
        link = re.search(r"http://testserver(/sign-in/invitation/[^<\"]+)", page)[1]
        assert client.get(link).status_code == 200
        again = browser.post("/people/new/", {"name": "Nina", "email": "NINA@example.org"})
        assert "has an account already" in again.content.decode()

    def test_a_service_account_gets_tokens_that_end(self, signed_in, client, cast):
        browser = signed_in(cast.platform_admin)
        form = {"name": "Trainer", "email": "trainer@example.org", "team": cast.team.pk}
        there = browser.post("/people/service-accounts/new/", form)["Location"]
        robot = User.objects.get(email="trainer@example.org")
        browser.post(
            f"{there}roles/new/", {"role": role("service_account").pk, "team": cast.team.pk, "reason": "for CI"}
        )
        assert "registry.upload_artifact" in browser.get(f"{there}tokens/new/").content.decode()
        form = {"name": "ci", "days": "7", "scopes": ["registry.view_model"]}
        page = browser.post(f"{there}tokens/new/", form).content.decode()
        text = re.search(r"cst_[0-9a-f]{8}_[\w-]{43}", page)[0]
        me = client.get("/api/v1/me/", headers={"Authorization": f"Bearer {text}"}).json()
        assert (me["id"], me["token_scopes"]) == (robot.pk, ["registry.view_model"])
        assert text not in browser.get(there).content.decode()
        token = ApiToken.objects.latest("pk")
        assert "already" in browser.post(f"{there}tokens/new/", form).content.decode()
        assert browser.get(f"/people/tokens/{token.pk}/revoke/").status_code == 200
        browser.post(f"/people/tokens/{token.pk}/revoke/")
        assert client.get("/api/v1/me/", headers={"Authorization": f"Bearer {text}"}).status_code == 401

    def test_deactivating_needs_the_name_and_ends_everything(self, signed_in, api, cast):
        theirs, token = signed_in(cast.developer), api(cast.developer)
        browser = signed_in(cast.platform_admin)
        path = f"/people/{cast.developer.pk}/deactivate/"
        assert browser.get(path).status_code == 200
        assert browser.post(path, {"reason": "left", "name": "Dev"}).status_code == 422
        assert browser.post(path, {"reason": "left", "name": "Dev Anand"}).status_code == 302
        assert theirs.get("/account/").status_code == 302
        assert token.get("/api/v1/me/").status_code == 401
        assert "Deactivated" in browser.get(f"/people/{cast.developer.pk}/").content.decode()

    def test_teams_are_added_once(self, signed_in, cast):
        browser = signed_in(cast.platform_admin)
        assert "Vera Lind" in browser.get("/teams/").content.decode()
        assert browser.get("/teams/new/").status_code == 200
        assert browser.post("/teams/new/", {"name": "Fraud", "slug": "fraud"})["Location"] == "/teams/"
        assert "there already" in browser.post("/teams/new/", {"name": "Fraud", "slug": "other"}).content.decode()

    def test_ones_own_tokens(self, signed_in, client, cast):
        browser = signed_in(cast.developer)
        form = {"name": "mine", "days": "7", "scopes": ["registry.view_model"]}
        text = re.search(r"cst_[0-9a-f]{8}_[\w-]{43}", browser.post("/account/tokens/new/", form).content.decode())[0]
        token = ApiToken.objects.latest("pk")
        assert text not in browser.get("/account/").content.decode()
        assert "There is a token of this name" in browser.post("/account/tokens/new/", form).content.decode()
        assert browser.post("/account/tokens/new/", {**form, "scopes": []}).status_code == 422
        assert signed_in(cast.validator).post(f"/account/tokens/{token.pk}/revoke/").status_code == 404
        assert browser.get(f"/account/tokens/{token.pk}/revoke/").status_code == 200
        browser.post(f"/account/tokens/{token.pk}/revoke/")
        browser.post(f"/account/tokens/{token.pk}/revoke/")
        assert Event.objects.latest("id").event == "token.revoked.refused"
        assert client.get("/api/v1/me/", headers={"Authorization": f"Bearer {text}"}).status_code == 401

    def test_mistakes_keep_what_was_typed(self, signed_in, cast):
        browser = signed_in(cast.platform_admin)
        taken = {"name": "Robot Seven", "email": "developer@example.org", "team": cast.team.pk}
        assert browser.get("/people/service-accounts/new/").status_code == 200
        page = browser.post("/people/service-accounts/new/", taken)
        assert page.status_code == 422
        assert "Robot Seven" in page.content.decode()
        assert "has an account already" in page.content.decode()
        assert browser.get("/people/new/").status_code == 200
        assert browser.get(f"/people/{cast.developer.pk}/roles/new/").status_code == 200

    def test_what_is_refused_is_said_where_one_came_from(self, signed_in, cast):
        browser = signed_in(cast.platform_admin)
        page = browser.post(f"/people/{cast.developer.pk}/invite/", follow=True)
        assert "Only a person who has not set a password yet can be invited" in page.content.decode()
        own = {"reason": "tired", "name": "Petra Sand"}
        page = browser.post(f"/people/{cast.platform_admin.pk}/deactivate/", own)
        assert page.status_code == 409
        assert "You cannot deactivate your own account" in page.content.decode()
        wish = {"name": "ci", "scopes": ["registry.view_model"], "days": 1}
        token, _ = services.issue_service_token(by=cast.platform_admin, account=cast.ci_bot, **wish)
        for _ in range(2):
            page = browser.post(f"/people/tokens/{token.pk}/revoke/", follow=True)
        assert "This token has been revoked already" in page.content.decode()


class TestWhoMay:
    def test_roles_count_for_their_team_only(self, cast):
        assert cast.developer.has_perm("registry.register_model", cast.team)
        assert not cast.developer.has_perm("registry.register_model", cast.other_team)
        assert not cast.developer.has_perm("registry.register_model")
        assert cast.risk_officer.has_perm("registry.set_risk_tier", cast.other_team)

    def test_a_grant_ends_with_its_day_its_revocation_and_the_account(self, cast):
        grant = cast.developer.grants.get()
        Grant.objects.filter(pk=grant.pk).update(expires_at=Now() - timedelta(seconds=1))
        assert not cast.developer.has_perm("registry.view_model", cast.team)
        Grant.objects.filter(pk=grant.pk).update(expires_at=Now() + timedelta(days=1))
        assert cast.developer.has_perm("registry.view_model", cast.team)
        Grant.objects.filter(pk=grant.pk).update(revoked_at=Now())
        assert cast.developer.roles_in(cast.team.pk) == set()
        assert not cast.developer.has_perms(["registry.view_model"], cast.team)
        User.objects.filter(pk=cast.approver.pk).update(is_active=False)
        gone = User.objects.get(pk=cast.approver.pk)
        assert gone.roles_in(cast.team.pk) == set()
        assert access.abilities(gone) == []
        assert not gone.may_somewhere("registry.view_model")

    def test_being_a_superuser_shortcuts_nothing(self, cast):
        cast.outsider.is_superuser = True
        assert not cast.outsider.has_perm("registry.view_model", cast.team)

    def test_own_access_is_ones_own(self, cast):
        assert cast.developer.has_perm("accounts.manage_own_access", cast.developer)
        assert not cast.developer.has_perm("accounts.manage_own_access", cast.validator)
        assert not cast.developer.has_perm("accounts.manage_own_access")
        with pytest.raises(Denied):
            services.change_password(by=cast.developer, account=cast.validator, old="x", new="a much better phrase")

    def test_nobody_grants_to_themselves(self, cast):
        with pytest.raises(Refusal) as refusal:
            services.grant_role(
                by=cast.platform_admin, account=cast.platform_admin, role=role("approver"), team=None, reason="why not"
            )
        assert refusal.value.code == "own_grant"
        with pytest.raises(Refusal) as refusal:
            services.deactivate_account(by=cast.platform_admin, account=cast.platform_admin, reason="tired")
        assert refusal.value.code == "own_account"

    def test_a_team_administrator_grants_in_that_team_only(self, cast, team_admin):
        wish = {"by": team_admin, "account": cast.ci_bot, "role": role("reviewer"), "reason": "reads along"}
        for elsewhere in (None, cast.other_team):
            with pytest.raises(Denied):
                services.grant_role(team=elsewhere, **wish)
        assert services.grant_role(team=cast.team, **wish).team == cast.team
        with pytest.raises(Denied):
            services.grant_role(team=cast.team, **{**wish, "account": cast.validator})
        with pytest.raises(Denied):
            services.revoke_grant(by=team_admin, grant=cast.auditor.grants.get(), reason="why not")

    @pytest.mark.parametrize("reason", ["", "  ", "x"])
    def test_a_grant_without_a_reason_is_none(self, cast, reason):
        with pytest.raises(Refusal) as refusal:
            services.grant_role(
                by=cast.platform_admin, account=cast.developer, role=role("reviewer"), team=None, reason=reason
            )
        assert refusal.value.code == "reason_needed"

    def test_a_deactivated_account_gets_no_token(self, cast):
        User.objects.filter(pk=cast.ci_bot.pk).update(is_active=False)
        with pytest.raises(Refusal) as refusal:
            services.issue_service_token(
                by=cast.platform_admin, account=cast.ci_bot, name="x", scopes=["registry.view_model"], days=1
            )
        assert refusal.value.code == "account_inactive"

    def test_one_mail_address_has_one_account(self, cast):
        with pytest.raises(IntegrityError), transaction.atomic():
            User.objects.create(name="X", email="Developer@Example.org")

    def test_the_last_use_of_a_token_is_written_at_most_each_minute(self, api, cast, django_assert_num_queries):
        client = api(cast.developer)
        client.get("/api/v1/me/")
        first = ApiToken.objects.latest("pk").last_used_at
        client.get("/api/v1/me/")
        assert first is not None
        assert ApiToken.objects.latest("pk").last_used_at == first


@pytest.mark.parametrize(
    ("added", "held", "clash"),
    [
        ("approver", {"developer"}, True),
        ("developer", {"validator"}, True),
        ("approver", {"platform_administrator"}, True),
        ("auditor", {"platform_administrator"}, True),
        ("reviewer", {"developer"}, False),
        ("approver", {"validator"}, False),
        ("approver", set(), False),
        ("unknown", {"developer"}, False),
        ("developer", {"unknown"}, False),
        ("reviewer", {"developer", "approver"}, False),
    ],
)
def test_roles_that_should_be_apart(added, held, clash):
    assert bool(conflict(added, held)) is clash


def test_the_roles_of_the_database_are_those_of_the_catalogue(cast):
    stored = {one.slug: (one.name, sorted(one.permissions)) for one in Role.objects.all()}
    assert stored == {slug: (name, sorted(permissions)) for slug, (name, permissions) in ROLES.items()}


def test_teams_know_themselves(cast):
    assert Team.objects.get(slug="credit").team_id == cast.team.pk
