"""Erasing what the log discloses: what can be asked for, by whom, and what stands in the way."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import Role
from accounts.services import grant_role
from audits.erasing import rules
from audits.erasing.choosing import Choice, preview
from audits.erasing.models import Erasure, Hold
from audits.erasing.services import approve, lift_hold, place_hold, reject, request_erasure
from ledger.models import Event
from ledger.refusals import Denied
from tests.approvals import world as approvals
from tests.audits.erasing import (
    CONSOLE,
    WHY,
    asked,
    refused,
    second_risk_officer,
    second_risk_officer_who_grants,
    state_of,
)
from tests.worlds import a_model


@pytest.mark.django_db
class TestAsking:
    def test_the_same_person_never_decides(self, cast, leaver):
        erasure = asked(cast, leaver, by=cast.risk_officer)
        refused("same_person", approve, by=cast.risk_officer, erasure=erasure)
        refused("same_person", reject, by=cast.risk_officer, erasure=erasure, reason="no")
        with pytest.raises(IntegrityError), transaction.atomic():
            Erasure.objects.filter(pk=erasure.pk).update(state="approved", decided_by=cast.risk_officer)
        events = Event.objects.filter(event__startswith="erasure.approved")
        assert [event.event for event in events] == ["erasure.approved.refused"]

    def test_a_platform_administrator_cannot_be_both_alone_or_through_an_account_of_their_making(self, cast, leaver):
        erasure = asked(cast, leaver)
        puppet = second_risk_officer(cast, granted_by=cast.platform_admin)
        refused("approver_of_the_asker", approve, by=puppet, erasure=erasure)
        with pytest.raises(Denied):
            approve(by=cast.platform_admin, erasure=erasure)
        both = second_risk_officer_who_grants(cast)
        refused("administrator", approve, by=both, erasure=erasure)
        assert approve(by=cast.risk_officer, erasure=erasure).state == "approved"
        refused("already_decided", reject, by=cast.risk_officer, erasure=erasure, reason="too late")

    def test_a_preview_says_what_goes_what_stays_and_asks_nothing(self, cast, leaver):
        before = Event.objects.count()
        found = preview(Choice("person", "ZORA@example.org"), cast.platform_admin)
        assert (found.person, found.subject, found.count) == (leaver, str(leaver.opaque_id), 4)
        assert found.by_label == [("actor_email", 1), ("actor_name", 1), ("email", 1), ("name", 1)]
        assert ("reason", "Not chosen.", 1) in found.staying
        assert {name for _, name, _, _ in found.entries} == {"account.added", "model.registered"}
        assert Event.objects.count() == before
        reason = preview(Choice("person", leaver.email, ("reason",)), cast.platform_admin)
        assert [line.name for line in reason.going] == ["role.granted"]

    def test_names_of_those_who_acted_upon_somebody_are_not_theirs(self, cast, leaver):
        """Petra added the account: her name in that entry goes with her, not with the leaver."""
        found = preview(Choice("person", leaver.email), cast.platform_admin)
        about = Event.objects.get(event="account.added", object_id=str(leaver.pk))
        assert {line.label for line in found.going if line.event == about.pk} == {"name", "email"}

    def test_one_entry_for_those_who_may_read_it(self, cast, leaver):
        event = Event.objects.get(event="role.granted", disclosures__value="Zora joins the project")
        choice = Choice("entry", str(event.pk))
        refused("unknown_entry", preview, choice=choice, by=cast.platform_admin)
        found = preview(choice, cast.risk_officer)
        assert found.labels == ("actor_email", "actor_name", "reason")
        erasure = request_erasure(
            by=cast.risk_officer, choice=Choice("entry", str(event.pk), ("reason",)), ground="mistake", reason=WHY
        )
        assert list(erasure.items.values_list("event", "label")) == [(event.pk, "reason")]
        told = Event.objects.get(event="erasure.requested")
        assert WHY not in bytes(told.bytes).decode()
        assert told.disclosures.get(label="reason").value == WHY

    @pytest.mark.parametrize(
        ("code", "changes"),
        [
            ("unknown_person", {"choice": Choice("person", "nobody@example.org")}),
            ("unknown_kind", {"choice": Choice("team", "credit")}),
            ("unknown_entry", {"choice": Choice("entry", "1")}),
            ("unknown_label", {"choice": Choice("person", "zora@example.org", ("salary",))}),
            ("unknown_ground", {"ground": "because"}),
            ("reason_needed", {"reason": "  "}),
            ("reason_too_long", {"reason": "x" * 2001}),
            ("preview_outdated", {"seen": "sha256:0"}),
            ("nothing_to_erase", {"choice": Choice("person", "zora@example.org", ("address",))}),
        ],
    )
    def test_what_cannot_be_asked_for(self, cast, leaver, code, changes):
        given = {"choice": Choice("person", leaver.email), "ground": "objection", "reason": WHY, **changes}
        refused(code, request_erasure, by=cast.platform_admin, **given)
        assert not Erasure.objects.exists()

    def test_not_twice_and_not_by_a_program(self, cast, leaver):
        asked(cast, leaver)
        refused("erasure_open", request_erasure, by=cast.risk_officer, choice=Choice("person", leaver.email),
                ground="mistake", reason=WHY)  # fmt: skip
        officer = Role.objects.get(slug="risk_officer")
        grant_role(by=CONSOLE, account=cast.ci_bot, role=officer, team=None, reason="x1x", accept_conflict=True,
                   conflict_reason="a try")  # fmt: skip
        refused("humans_only", asked, cast=cast, person=cast.developer, by=cast.ci_bot)


@pytest.mark.django_db
class TestSignatures:
    def test_signers_and_askers_keep_their_names_and_lose_the_rest(self, cast):
        version = approvals.a_complete_version(cast)
        approvals.an_approval(cast, version, environment="staging")
        for person, event in [(cast.validator, "decision.signed"), (cast.developer, "request.submitted")]:
            found = preview(Choice("person", person.email), cast.risk_officer)
            lines = [line for line in found.lines if line.name == event and line.label in rules.ACTOR]
            assert {(line.label, bool(line.kept)) for line in lines} == {("actor_name", True), ("actor_email", False)}
            assert ("actor_name", rules.SIGNATURE) in {(label, why) for label, why, _ in found.staying}
            assert not {line for line in found.going if line.name in rules.KEPT and line.label == "actor_name"}
        signed = Event.objects.filter(event="decision.signed").first()
        assert {"meaning", "digest"} <= set(signed.content["facts"]), "facts, which nothing can erase"
        refused("unknown_label", request_erasure, by=cast.risk_officer, ground="objection", reason=WHY,
                choice=Choice("entry", str(signed.pk), ("actor_name",)))  # fmt: skip

    def test_the_exact_list(self):
        assert sorted(rules.KEPT) == [
            "approval.revoked", "decision.signed", "erasure.approved", "erasure.rejected", "erasure.requested",
            "hold.lifted", "hold.placed", "request.revised", "request.submitted", "request.withdrawn",
            "risk_acceptance.signed", "signer.reauthenticated",
        ]  # fmt: skip
        assert rules.why_kept("decision.signed", "actor_name")
        assert not rules.why_kept("decision.signed", "comment")
        assert not rules.why_kept("decision.signed.refused", "actor_name")
        assert not rules.why_kept("model.registered", "actor_name")

    @pytest.mark.parametrize(
        ("label", "acted", "anonymous", "theirs"),
        [
            ("actor_name", True, False, True), ("actor_name", False, False, False), ("reason", False, False, True),
            ("address", False, True, True), ("address", False, False, False), ("actor_email", False, True, False),
        ],
    )  # fmt: skip
    def test_whose_a_disclosure_is(self, label, acted, anonymous, theirs):
        assert rules.is_theirs(label, acted=acted, anonymous=anonymous) is theirs


@pytest.mark.django_db
class TestHolds:
    def test_it_refuses_asking_and_approving_while_it_stands(self, cast, leaver):
        erasure = asked(cast, leaver)
        hold = place_hold(by=cast.risk_officer, kind="team", team=cast.team, reason="an inquiry")
        assert str(hold) in refused("legal_hold", approve, by=cast.risk_officer, erasure=erasure)
        refused("legal_hold", asked, cast=cast, person=leaver, labels=["actor_email"])
        lift_hold(by=cast.risk_officer, hold=hold, reason="it is over")
        refused("hold_is_over", lift_hold, by=cast.risk_officer, hold=hold, reason="again")
        approve(by=cast.risk_officer, erasure=erasure)

    def held(self, cast, person):
        return [hold.kind for hold in preview(Choice("person", person.email), cast.risk_officer).holds]

    def test_each_kind_covers_its_own(self, cast, leaver):
        place = {"by": cast.risk_officer, "reason": "an inquiry"}
        now, other = timezone.now(), a_model(cast, by=cast.second_developer)
        place_hold(kind="person", account=cast.outsider, **place)
        place_hold(kind="team", team=cast.other_team, **place)
        place_hold(kind="model", model=str(other.pk), **place)
        place_hold(kind="period", since=now + timedelta(days=1), until=now + timedelta(days=2), **place)
        ended = place_hold(kind="period", since=now - timedelta(days=1), ends_at=now + timedelta(days=1), **place)
        assert self.held(cast, leaver) == ["period"]
        Hold.objects.filter(pk=ended.pk).update(ends_at=now - timedelta(minutes=1))
        assert self.held(cast, leaver) == []
        assert Hold.objects.get(pk=ended.pk).state == "ended"
        assert self.held(cast, cast.outsider) == ["person"]
        assert self.held(cast, cast.second_developer) == ["model"]

    def test_a_model_is_held_with_its_versions_requests_and_signatures(self, cast):
        version = approvals.a_complete_version(cast)
        request = approvals.a_request(cast, version)
        from approvals.services import comment

        comment(by=cast.second_approver, request=request, text="Looks odd to me.")
        assert self.held(cast, cast.second_approver) == []
        place_hold(by=cast.risk_officer, kind="model", model=str(version.model.pk), reason="an inquiry")
        assert self.held(cast, cast.second_approver) == ["model"]
        assert self.held(cast, cast.outsider) == []

    @pytest.mark.parametrize(
        ("code", "given"),
        [
            ("unknown_kind", {"kind": "world"}),
            ("subject_needed", {"kind": "person"}),
            ("subject_needed", {"kind": "period"}),
            ("unknown_model", {"kind": "model", "model": "999999"}),
            ("end_is_past", {"kind": "period", "since": timezone.now(), "ends_at": timezone.now()}),
            ("period_empty", {"kind": "period", "since": timezone.now(), "until": timezone.now() - timedelta(days=1)}),
            ("reason_needed", {"kind": "period", "since": timezone.now(), "reason": ""}),
        ],
    )
    def test_what_cannot_be_held(self, cast, code, given):
        refused(code, place_hold, by=cast.risk_officer, **{"reason": "an inquiry", **given})
        assert not Hold.objects.exists()


@pytest.mark.django_db
class TestPagesAndApi:
    def test_from_asking_to_approving_by_pages(self, cast, leaver, signed_in):
        admin, officer = signed_in(cast.platform_admin), signed_in(cast.risk_officer)
        assert "Nothing was erased yet" in admin.get("/erasures/").content.decode()
        page = admin.get("/erasures/new/", {"kind": "person", "subject": leaver.email}).content.decode()
        assert "Entries that lose something" in page
        assert "What this does not reach" in page
        found = preview(Choice("person", leaver.email), cast.platform_admin)
        body = {
            "kind": "person", "subject": found.subject, "labels": found.labels, "ground": "objection", "seen": "old",
            "reason": WHY,
        }  # fmt: skip
        outdated = admin.post("/erasures/new/", body)
        assert outdated.status_code == 409
        assert WHY in outdated.content.decode()
        assert f'value="{found.digest}"' in outdated.content.decode()
        answer = admin.post("/erasures/new/", {**body, "seen": found.digest})
        erasure = Erasure.objects.get()
        assert (answer.status_code, answer["Location"]) == (302, f"/erasures/{erasure.pk}/")
        assert WHY in officer.get(answer["Location"]).content.decode()
        assert "Approve</a>" not in admin.get(answer["Location"]).content.decode()
        assert officer.post(f"/erasures/{erasure.pk}/approve/", {"confirm": "yes"}).status_code == 422
        assert officer.post(f"/erasures/{erasure.pk}/approve/", {"confirm": f"erasure {erasure.pk}"}).status_code == 302
        assert state_of(erasure) == "approved"
        assert officer.post(f"/erasures/{erasure.pk}/reject/", {"reason": "too late"}).status_code == 409

    @pytest.mark.parametrize(
        ("given", "status", "words"),
        [
            ({"kind": "person", "subject": "nobody@example.org"}, 422, "Nobody here has this mail address"),
            ({"kind": "x", "subject": "nobody@example.org"}, 422, "Choose a person or one entry"),
            ({"kind": "entry", "subject": "\x00"}, 422, "There is no entry"),
            ({"kind": "person", "subject": " "}, 200, "See what would go"),
            ({"kind": "person", "subject": "zora@example.org", "labels": "salary"}, 422, "no “salary” to erase"),
        ],
    )
    def test_a_wrong_choice_is_kept_and_told(self, cast, leaver, signed_in, given, status, words):
        page = signed_in(cast.platform_admin).get("/erasures/new/", given)
        assert page.status_code == status
        assert words in page.content.decode()

    def test_holds_by_pages(self, cast, leaver, signed_in):
        officer = signed_in(cast.risk_officer)
        assert "No legal hold was ever placed" in officer.get("/holds/").content.decode()
        wrong = officer.post("/holds/new/", {"kind": "team", "reason": "an inquiry"})
        assert wrong.status_code == 422
        assert "Say what the hold covers" in wrong.content.decode()
        made = officer.post(
            "/holds/new/", {"kind": "person", "person": leaver.email, "reason": "an inquiry", "ends_at": ""}
        )
        hold = Hold.objects.get()
        assert made["Location"] == f"/holds/{hold.pk}/"
        page = officer.get(f"/erasures/new/?kind=person&subject={leaver.email}").content.decode()
        assert "Under legal hold" in page
        assert "Ask for this erasure" not in page
        assert officer.post(f"/holds/{hold.pk}/lift/", {"reason": "settled"}).status_code == 302
        assert "settled" in officer.get(f"/holds/{hold.pk}/").content.decode()
        assert "Lifted" in officer.get("/holds/").content.decode()

    def test_from_asking_to_approving_by_the_api(self, cast, leaver, api):
        admin, officer = api(cast.platform_admin), api(cast.risk_officer)
        seen = admin.get("/api/v1/erasures/preview/", {"kind": "person", "subject": leaver.email}).json()
        assert (seen["count"], seen["entries"], seen["holds"]) == (4, 2, [])

        def post(client, path, **body):
            return client.post(f"/api/v1/{path}", json.dumps(body), content_type="application/json")

        body = {"kind": "person", "subject": leaver.email, "ground": "objection", "reason": WHY}
        made = post(admin, "erasures/", **body, seen=seen["digest"])
        assert made.status_code == 201, made.content
        erasure = made.json()
        assert (erasure["state"], erasure["reason"], erasure["digest"]) == ("requested", WHY, seen["digest"])
        hold = post(officer, "holds/", kind="person", person=leaver.email, reason="an inquiry").json()
        assert admin.get(erasure["url"]).json()["holds"] == [hold["id"]]
        stopped = post(officer, f"erasures/{erasure['id']}/approval/")
        assert (stopped.status_code, stopped.json()["code"]) == (409, "legal_hold")
        assert post(officer, f"holds/{hold['id']}/lifting/", reason="settled").json()["state"] == "lifted"
        alone = post(admin, f"erasures/{erasure['id']}/approval/")
        assert alone.status_code == 403
        done = post(officer, f"erasures/{erasure['id']}/approval/", note="Checked with legal.")
        assert (done.json()["state"], done.json()["note"]) == ("approved", "Checked with legal.")
        assert [one["id"] for one in admin.get("/api/v1/erasures/").json()["results"]] == [erasure["id"]]
        assert [one["id"] for one in admin.get("/api/v1/holds/").json()["results"]] == [hold["id"]]
