"""Grants that take two people, and every way round them that was thought of."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from accounts.granting.services import confirm_grant, decline_grant, propose_grant
from accounts.models import Grant, ProposedGrant, Recertification, User
from accounts.services import deactivate_account, grant_role, revoke_grant
from ledger.models import Event
from ledger.refusals import Denied, Refusal
from tests.accounts.world import CONSOLE, post, proposed, refused, role, second_admin


@pytest.mark.django_db
class TestTwoPeople:
    def test_by_the_pages(self, cast, signed_in):
        admin, second = cast.platform_admin, second_admin(cast)
        browser, other = signed_in(admin), signed_in(second)
        assert "Propose a role" in browser.get(f"/people/{admin.pk}/").content.decode()
        path = f"/people/{admin.pk}/roles/new/"
        form = {"role": role("approver").pk, "team": cast.team.pk, "reason": "signs while Arno is away"}
        assert browser.post(path, form).status_code == 422
        there = browser.post(path, {**form, "accept_conflict": "on", "conflict_reason": "only for a week"})["Location"]
        assert not User.objects.get(pk=admin.pk).has_perm("approvals.sign_decision", cast.team)
        assert "Another administrator decides" in browser.get(there).content.decode()
        page = browser.post(f"{there}confirm/")
        assert page.status_code == 409
        assert "You proposed this grant" in page.content.decode()
        assert "1 proposed grant waits" in other.get("/").content.decode()
        page = other.get(there).content.decode()
        assert "grant roles and sign decisions" in page
        assert "only for a week" in page
        assert other.get(f"{there}confirm/").status_code == other.get(f"{there}decline/").status_code == 200
        assert other.post(f"{there}confirm/")["Location"] == there
        assert User.objects.get(pk=admin.pk).has_perm("approvals.sign_decision", cast.team)
        made = Grant.objects.latest("pk")
        assert (made.granted_by, made.proposal.decided_by, made.conflict_reason) == (admin, second, "only for a week")
        assert "confirmed by" in other.get(f"/people/{admin.pk}/").content.decode()
        facts = Event.objects.latest("id").content["facts"]
        assert (facts["proposer"], facts["conflict_confirmed"]) == (str(admin.opaque_id), True)

    def test_by_the_api(self, cast, api):
        admin, second = cast.platform_admin, second_admin(cast)
        body = {"account": admin.pk, "role": "approver", "team": cast.team.pk, "reason": "signs for a week"}
        assert post(api(admin), "grants/", **body).json()["code"] == "own_grant"
        assert post(api(admin), "grant-proposals/", **body).json()["code"] == "role_conflict"
        made = post(api(admin), "grant-proposals/", **body, accept_conflict=True, conflict_reason="a week").json()
        assert (made["state"], made["grant"]) == ("proposed", None)
        one = f"grant-proposals/{made['id']}/"
        assert post(api(admin), f"{one}confirming/").json()["code"] == "own_proposal"
        assert post(api(second), f"{one}declining/", reason="").status_code == 422
        assert post(api(second), f"{one}declining/", reason="ask Ada instead").json()["state"] == "declined"
        assert post(api(second), f"{one}confirming/").json()["code"] == "proposal_decided"
        assert api(second).get("/api/v1/grant-proposals/").json()["results"][0]["decided_by"] == second.pk
        assert Event.objects.filter(event="grant_proposal.declined").exists()
        assert not cast.platform_admin.grants.filter(role__slug="approver").exists()

    def test_neither_proposer_nor_receiver_nor_a_service_account_confirms(self, cast):
        admin, second = cast.platform_admin, second_admin(cast)
        for_other = proposed(admin, second, team=cast.team)
        refused("own_proposal", confirm_grant, by=admin, proposal=for_other)
        refused("own_grant", confirm_grant, by=second, proposal=for_other)
        refused("own_proposal", decline_grant, by=admin, proposal=for_other, reason="changed my mind")
        administrator = role("platform_administrator")
        grant_role(by=CONSOLE, account=cast.ci_bot, role=administrator, team=None, reason="automation",
                   accept_conflict=True, conflict_reason="x" * 9)  # fmt: skip
        refused("humans_only", confirm_grant, by=cast.ci_bot, proposal=for_other)
        wish = {"role": role("approver"), "team": cast.team, "reason": "through the robot"}
        clash = {"accept_conflict": True, "conflict_reason": "why not"}
        refused("humans_only", grant_role, by=cast.ci_bot, account=admin, **wish, **clash)
        refused("humans_only", propose_grant, by=cast.ci_bot, account=admin, **wish, **clash)
        with pytest.raises(Denied):
            confirm_grant(by=cast.risk_officer, proposal=for_other)
        with pytest.raises(IntegrityError), transaction.atomic():
            ProposedGrant.objects.filter(pk=for_other.pk).update(
                outcome="declined", decided_by=for_other.proposed_by, decided_at=Now()
            )

    def test_it_expires_and_counts_once(self, cast):
        admin, second = cast.platform_admin, second_admin(cast)
        proposal = proposed(admin, admin, team=cast.team)
        refused("already_proposed", propose_grant, by=admin, account=admin, role=role("approver"), team=cast.team,
                reason="again", accept_conflict=True, conflict_reason="again")  # fmt: skip
        ProposedGrant.objects.filter(pk=proposal.pk).update(expires_at=Now() - timedelta(seconds=1))
        refused("proposal_expired", confirm_grant, by=second, proposal=proposal)
        assert ProposedGrant.objects.get(pk=proposal.pk).state == "expired"
        anew = proposed(admin, admin, team=cast.team)
        assert confirm_grant(by=second, proposal=anew).user == admin
        refused("proposal_decided", confirm_grant, by=second, proposal=anew)
        refused("proposal_decided", decline_grant, by=second, proposal=anew, reason="too late")

    def test_what_changed_meanwhile_counts(self, cast):
        admin, second = cast.platform_admin, second_admin(cast)
        third = second_admin(cast, "Dora Dritt")
        from_second = proposed(second, cast.developer, team=cast.team, slug="risk_officer")
        plain = proposed(second, cast.auditor, team=cast.team, accept_conflict=False, conflict_reason="")
        grant_role(by=admin, account=cast.auditor, role=role("developer"), team=None, reason="helps out")
        refused("role_conflict", confirm_grant, by=admin, proposal=plain)
        revoke_grant(by=admin, grant=second.grants.get(), reason="moves on")
        refused("proposer_gone", confirm_grant, by=admin, proposal=from_second)
        from_third = proposed(third, cast.developer, team=cast.team)
        deactivate_account(by=admin, account=third, reason="left us")
        refused("proposer_gone", confirm_grant, by=admin, proposal=from_third)
        gone = proposed(admin, cast.second_developer, team=cast.team)
        deactivate_account(by=admin, account=cast.second_developer, reason="left us")
        fourth = second_admin(cast, "Vito Viert")
        refused("account_inactive", confirm_grant, by=fourth, proposal=gone)

    def test_a_role_for_the_whole_house_meets_the_roles_of_every_team(self, cast):
        wish = {"by": cast.platform_admin, "account": cast.developer, "reason": "stands in"}
        refused("role_conflict", grant_role, role=role("approver"), team=None, **wish)
        grant_role(role=role("approver"), team=cast.other_team, **wish)


def test_one_of_many_confirmations_counts(committing_db, cast):
    """Four administrators at once make one grant between them."""
    proposal = proposed(cast.platform_admin, cast.platform_admin, team=cast.team)
    admins = [second_admin(cast, name) for name in ("Ana A", "Ben B", "Cleo C", "Dan D")]
    answers, start = [], threading.Barrier(len(admins))

    def confirm(who):
        start.wait()
        try:
            confirm_grant(by=who, proposal=proposal)
            answers.append("made")
        except Refusal as refusal:
            answers.append(refusal.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=confirm, args=[who]) for who in admins]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["made", *["proposal_decided"] * 3]
    assert Grant.objects.filter(user=cast.platform_admin, role__slug="approver").count() == 1


@pytest.mark.django_db
class TestRecertification:
    def old(self, account, days=200):
        Grant.objects.filter(user=account).update(granted_at=Now() - timedelta(days=days))
        return account.grants.get()

    def test_by_the_page_many_at_once_the_oldest_first(self, cast, signed_in):
        older, newer = self.old(cast.approver, 300), self.old(cast.validator, 160)
        own = self.old(cast.risk_officer, 400)
        browser = signed_in(cast.risk_officer)
        assert "2 grants are due for recertification" in browser.get("/").content.decode()
        page = browser.get("/people/recertification/").content.decode()
        assert 0 < page.index("Arno Weiss") < page.index("Vera Lind")
        assert "Overdue" in page
        assert "Due soon" in page
        assert f'value="{own.pk}"' not in page, "one's own access is for somebody else"
        assert "Dev Anand" not in page
        assert "Overdue" in browser.get("/people/").content.decode()
        ticked = {"grant": [older.pk, newer.pk, own.pk, "x", "9" * 30]}
        said = browser.post("/people/recertification/", ticked, follow=True).content.decode()
        assert "2 grants are confirmed" in said
        assert "Nothing is due" in said
        assert {row.grant_id for row in Recertification.objects.filter(by=cast.risk_officer)} == {older.pk, newer.pk}
        assert Event.objects.filter(event="grant.recertified").count() == 2
        assert "Nothing was ticked" in browser.post("/people/recertification/", {}, follow=True).content.decode()

    def test_by_the_api(self, cast, api):
        grant, client = self.old(cast.approver), api(cast.platform_admin)
        (due,) = client.get("/api/v1/grants/due/").json()["results"]
        assert (due["id"], due["overdue"], due["confirmed_at"], due["name"]) == (grant.pk, True, None, "Arno Weiss")
        answer = post(client, f"grants/{grant.pk}/recertification/").json()
        assert answer["overdue"] is False
        assert answer["confirmed_at"]
        assert client.get("/api/v1/grants/due/").json()["results"] == []
        assert post(client, f"grants/{grant.pk}/dropping/", reason="left").json()["code"] == "not_due"
        other = self.old(cast.validator)
        dropped = post(api(cast.risk_officer), f"grants/{other.pk}/dropping/", reason="no longer validates")
        assert dropped.json()["revoked_at"]
        event = Event.objects.latest("id")
        assert (event.event, event.content["facts"]["recertification"]) == ("role.revoked", True)
        assert post(client, f"grants/{other.pk}/recertification/").json()["code"] == "grant_over"
        assert post(client, f"grants/{other.pk}/dropping/", reason="again").json()["code"] == "already_revoked"

    def test_dropping_by_the_page(self, cast, signed_in):
        grant, browser = self.old(cast.approver), signed_in(cast.risk_officer)
        path = f"/people/grants/{grant.pk}/drop/"
        assert browser.get(path).status_code == 200
        assert browser.post(path, {"reason": ""}).status_code == 422
        assert browser.post(path, {"reason": "changed teams"})["Location"] == "/people/recertification/"
        assert browser.post(path, {"reason": "changed teams"}).status_code == 409
        assert not User.objects.get(pk=cast.approver.pk).has_perm("approvals.sign_decision", cast.team)

    def test_nobody_decides_about_their_own_and_no_program_does(self, cast, api):
        from accounts.granting.recertifying import drop_grant, recertify

        own = self.old(cast.risk_officer)
        refused("own_grant", recertify, by=cast.risk_officer, grant=own)
        refused("own_grant", drop_grant, by=cast.risk_officer, grant=own, reason="tired")
        grant_role(by=CONSOLE, account=cast.ci_bot, role=role("risk_officer"), team=None, reason="automation",
                   accept_conflict=True, conflict_reason="a try")  # fmt: skip
        refused("humans_only", recertify, by=cast.ci_bot, grant=own)
        with pytest.raises(Denied):
            recertify(by=cast.auditor, grant=own)
        assert post(api(cast.developer), f"grants/{own.pk}/recertification/").status_code == 404

    def test_a_team_s_officer_sees_that_team(self, cast, api):
        self.old(cast.approver)
        self.old(cast.outsider)
        self.old(cast.auditor)
        grant_role(by=CONSOLE, account=cast.model_owner, role=role("risk_officer"), team=cast.team, reason="helps",
                   accept_conflict=True, conflict_reason="a try")  # fmt: skip
        found = api(cast.model_owner).get("/api/v1/grants/due/").json()["results"]
        assert [one["name"] for one in found] == ["Arno Weiss"]


def test_what_was_confirmed_stays(committing_db, cast, owner_cursor):
    from accounts.granting.recertifying import recertify

    recertify(by=cast.risk_officer, grant=cast.approver.grants.get())
    for table in ("recertification", "credentialchange", "credentialconfirmation"):
        for statement in ("UPDATE {} SET at = now()", "DELETE FROM {}", "TRUNCATE {} CASCADE"):
            with pytest.raises(Exception, match="append-only"):
                owner_cursor.execute(statement.format(f"accounts_{table}"))


@pytest.mark.django_db
class TestWhoCanDoWhat:
    def test_a_permission_for_a_team_with_reasons(self, cast, signed_in):
        browser = signed_in(cast.auditor)
        path = f"/people/permissions/?permission=approvals.sign_decision&team={cast.team.pk}"
        page = browser.get(path).content.decode()
        rows = page.partition("<tbody>")[2]
        assert all(name in rows for name in ("Vera Lind", "Arno Weiss", "Rosa Klein", "the cast", "the whole house"))
        assert "Dev Anand" not in rows
        elsewhere = browser.get(path.replace(f"team={cast.team.pk}", f"team={cast.other_team.pk}")).content.decode()
        assert "Rosa Klein" in elsewhere.partition("<tbody>")[2]
        assert "Vera Lind" not in elsewhere
        assert "Nobody" in browser.get("/people/permissions/?permission=audits.carry_out_erasure").content.decode()
        assert "It needs no role" in browser.get("/people/permissions/?permission=accounts.sign_in").content.decode()
        assert "permissions.csv?permission=approvals.sign_decision" in page

    def test_as_csv_that_no_spreadsheet_runs(self, cast, signed_in):
        grant_role(by=CONSOLE, account=cast.developer, role=role("reviewer"), team=cast.team, reason="=cmd|x")
        answer = signed_in(cast.auditor).get("/people/permissions.csv?permission=approvals.comment")
        lines = answer.content.decode().splitlines()
        assert lines[0].startswith("permission,may,account,kind,role,team,reason")
        assert any(",Dev Anand,person,Reviewer,Credit,'=cmd|x," in line for line in lines)
        assert all(line.startswith("approvals.comment,") for line in lines[1:])
        assert signed_in(cast.developer).get("/people/permissions.csv").status_code == 403

    def test_by_the_api(self, cast, api):
        client = api(cast.auditor)
        query = f"?permission=approvals.revoke_approval&team={cast.other_team.pk}"
        (found,) = client.get(f"/api/v1/permissions/{query}").json()["results"]
        assert [grant["name"] for grant in found["grants"]] == ["Rosa Klein"]
        assert found["grants"][0]["reason"] == "the cast"
        assert len(client.get("/api/v1/permissions/").json()["results"]) > 40
        assert client.get("/api/v1/permissions/?permission=x.y").status_code == 422
        assert api(cast.developer).get("/api/v1/permissions/").status_code == 403

    def test_a_person_s_page_says_from_whom_and_why(self, cast, signed_in):
        page = signed_in(cast.auditor).get(f"/people/{cast.validator.pk}/").content.decode()
        row = page.partition(">sign decisions that the policy gives to their role</th>")[2].partition("</tr>")[0]
        assert "Validator, team Credit" in row
        assert "the cast" in row
        assert "the system" in row
