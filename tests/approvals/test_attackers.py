"""Three people with a motive and some rights: the model's owner, an administrator, somebody who signs.

Each tries by the pages and by the API; whoever can change the database is tried in `test_sealed.py`.
"""

from __future__ import annotations

import json

import pytest

from approvals import gate, services
from approvals.models import Decision, Policy, PolicyBinding, Proposal, ReviewRequest
from ledger.models import Event
from tests import worlds
from tests.accounts.world import proposed, refused, role, second_admin
from tests.approvals import policies, world
from tests.approvals.test_pages import a_signature, text_of

pytestmark = pytest.mark.django_db


class Door:
    """One way in. Each call gives the status and what was answered."""

    def __init__(self, way, signed_in, api):
        self.way, self.signed_in, self.api = way, signed_in, api

    def post(self, who, page, path, form, body=None):
        if self.way == "page":
            answer = self.signed_in(who).post(page, form)
        else:
            sent = json.dumps(form if body is None else body)
            answer = self.api(who).post(f"/api/v1/{path}", sent, content_type="application/json")
        return answer.status_code

    def sign(self, who, request, requirement, outcome="approve", *, digest="", acknowledged=()):
        digest = digest or request.latest.digest
        given = {"requirement": requirement, "outcome": outcome, "digest": digest, "acknowledged": list(acknowledged)}
        if self.way == "page":
            page = f"/requests/{request.pk}/sign/"
            return self.signed_in(who).post(page, a_signature(request, **given)).status_code
        client = self.api(who)
        asked = {"request": request.pk, "digest": digest, "password": world.PASSWORD}
        proof = client.post("/api/v1/reauthentications/", json.dumps(asked), content_type="application/json")
        if proof.status_code != 201:
            return proof.status_code
        given |= {"nonce": proof.json()["nonce"], "comment": world.REASONING}
        path = f"/api/v1/requests/{request.pk}/decisions/"
        return client.post(path, json.dumps(given), content_type="application/json").status_code


@pytest.fixture(params=["page", "api"])
def door(request, signed_in, api):
    return Door(request.param, signed_in, api)


def nothing_by(code, act, *given, **named):
    """The act is refused with this code; no decision, request or policy comes of it."""

    def kept():
        rows = (Decision, PolicyBinding, Proposal)
        return [list(ReviewRequest.objects.values_list("id", "state")), *(each.objects.count() for each in rows)]

    before, last = kept(), Event.objects.latest("id").id
    status = act(*given, **named)
    assert status >= 400, status
    refusals = Event.objects.filter(outcome="refused").order_by("id")
    said = [event.content["facts"].get("code") for event in refusals if event.id != last]
    assert said[-1:] == [code], said
    assert kept() == before


def given_role(cast, who, slug):
    from accounts.services import grant_role

    grant_role(
        by=cast.platform_admin, account=who, role=role(slug), team=cast.team, reason="for the test",
        accept_conflict=True, conflict_reason="for the test",
    )  # fmt: skip


class TestTheOwner:
    def test_chooses_no_weaker_policy_by_a_lower_tier_or_another_binding(self, cast, door):
        version = world.a_complete_version(cast)
        policies.a_policy(cast, tier="low")
        strict = Policy.objects.get(slug="strict").pk
        tier = {"tier": "low", "reason": "It is small."}
        model, owner = version.model, cast.model_owner
        assert door.post(owner, f"/models/{model.pk}/risk-tier/", f"models/{model.pk}/risk-tier/", tier) == 403
        bound = {"policy": strict, "team": cast.team.pk, "use": "", "tier": "", "note": "Quick."}
        body = {"policy": "strict", "team": cast.team.slug, "use": "", "tier": "", "note": "Quick."}
        assert door.post(owner, "/policies/bindings/new/", "policies/bindings/", bound, body) == 403
        model.refresh_from_db()
        assert model.risk_tier == ""
        assert world.a_request(cast, version).policy_version.policy.slug == "validate-then-approve"

    @pytest.mark.parametrize("slug", ["validator", "approver"])
    def test_signs_for_no_work_of_their_own_with_the_role_for_it(self, cast, door, slug):
        given_role(cast, cast.developer, slug)
        request = world.a_request(cast)
        requirement = {"validator": "validation", "approver": "approval"}[slug]
        for outcome in ("approve", "reject", "request_changes"):
            nothing_by("own_work", door.sign, cast.developer, request, requirement, outcome)

    def test_attaches_the_best_of_many_runs(self, cast, door, signed_in):
        """Two runs say outside, one within, and one came to nothing: whoever shows one of them is found out."""
        policies.a_policy(cast, policies.a_document(evidence=[policies.a_rule(runs="all")]), everywhere=True)
        version, dataset = worlds.a_version(cast), worlds.a_dataset(cast)
        made = [
            world.a_report(version, dataset, verdict=verdict, by=cast.second_developer)
            for verdict in ("outside", "outside", "within")
        ]
        a_failed_run(cast, version, dataset)
        asked = {"environment": "production", "use": world.USE, "note": "Fine.", "evidence": [made[2].pk]}
        page = f"/versions/{version.pk}/requests/new/"
        assert door.post(cast.developer, page, "requests/", asked, {**asked, "version": version.pk}) in (201, 302)
        request = ReviewRequest.objects.get()
        said = gate.evaluate(version, request.environment, request.use).reasons[0]
        assert said.code == "evidence_left_out"
        assert "2 of 3 reports computed here are left out" in said.sentence
        for path in (request.get_absolute_url(), f"/requests/{request.pk}/sign/"):
            shown = text_of(signed_in(cast.approver).get(path))
            assert "1 of 4 reports that were ever run for this version is attached" in shown
            assert "The file was damaged." in shown
        nothing_by("evidence_incomplete", door.sign, cast.approver, request, "approval")
        services.revise(by=cast.developer, request=request, note="All of them.")
        assert door.sign(cast.approver, request, "approval") in (409, 422), "bad runs are acknowledged one by one"
        known = [each.code for each in gate.evaluate(version, request.environment, request.use).obligations]
        assert known == [f"evidence:{each.pk}" for each in made[:2]]
        assert door.sign(cast.approver, request, "approval", acknowledged=known) in (201, 302)

    def test_shows_a_good_run_beside_a_bad_one_where_only_good_ones_count(self, cast, door):
        rule = policies.a_rule(runs="all", verdicts="within_only")
        policies.a_policy(cast, policies.a_document(evidence=[rule]), everywhere=True)
        request = world.a_request(cast, world.a_complete_version(cast))
        assert not gate.evaluate(request.version, request.environment, request.use).reasons[0].code.startswith("evid")
        dataset = request.version.evidence.first().dataset
        world.a_report(request.version, dataset, verdict="outside", by=cast.second_developer)
        services.revise(by=cast.developer, request=request, note="One more run.")
        nothing_by("evidence_incomplete", door.sign, cast.approver, request, "approval")
        told = gate.evaluate(request.version, request.environment, request.use).reasons[0]
        assert told.code == "evidence_verdict"


def a_failed_run(cast, version, dataset):
    from fairness.services import request_bias_report

    job = request_bias_report(by=cast.second_developer, version=version, dataset=dataset, source="model")
    job.state, job.error_sentence = "failed", "The file was damaged."
    job.save(update_fields=["state", "error_sentence"])


class TestTheAdministrator:
    def test_grants_themselves_no_role_that_signs(self, cast, door):
        admin = cast.platform_admin
        clash = {"reason": "signs for a week", "accept_conflict": True, "conflict_reason": "a week"}
        form = {"role": role("approver").pk, "team": cast.team.pk, **clash}
        body = {"account": admin.pk, "role": "approver", "team": cast.team.pk, **clash}
        assert door.post(admin, f"/people/{admin.pk}/roles/new/", "grants/", form, body) in (302, 409)
        assert not type(admin).objects.get(pk=admin.pk).has_perm("approvals.sign_decision", cast.team)

    def test_takes_a_signer_over_by_a_link_and_signs_nothing(self, cast, door):
        """Who sends the link may set the password, but neither sign with it nor confirm that all is well."""
        from accounts.takeover.services import accept_reset, confirm_credentials, make_reset_link

        request = world.a_request(cast)
        text = make_reset_link(by=cast.platform_admin, account=cast.validator, reason="forgot it")
        accept_reset(text=text, new=world.PASSWORD + "!")
        taken = type(cast.validator).objects.get(pk=cast.validator.pk)
        taken.set_password(world.PASSWORD)
        taken.save(update_fields=["password"])
        nothing_by("credentials_changed", door.sign, taken, request, "validation")
        confirm = {"account": taken, "reason": "I called him"}
        refused("same_person", confirm_credentials, by=cast.platform_admin, **confirm)

    def test_takes_another_administrator_over_and_is_no_second_person(self, cast):
        """An administrator sends a link to another, opens it, and would be both."""
        from accounts.granting.services import confirm_grant, decline_grant
        from accounts.services import grant_role
        from accounts.takeover.services import accept_reset, make_reset_link

        admin, second = cast.platform_admin, second_admin(cast)
        proposal = proposed(admin, admin, team=cast.team)
        accept_reset(text=make_reset_link(by=admin, account=second, reason="forgot it"), new="a much better phrase")
        refused("credentials_changed", confirm_grant, by=second, proposal=proposal)
        refused("credentials_changed", decline_grant, by=second, proposal=proposal, reason="no")
        refused("credentials_changed", grant_role, by=second, account=admin, role=role("approver"), team=cast.team,
                reason="friend", accept_conflict=True, conflict_reason="friend")  # fmt: skip


class TestTheSigner:
    def test_counts_once_with_two_roles(self, cast, door):
        given_role(cast, cast.validator, "approver")
        request = world.a_request(cast)
        assert door.sign(cast.validator, request, "validation") in (201, 302)
        nothing_by("already_signed", door.sign, cast.validator, request, "approval")

    def test_signs_over_no_evidence_that_they_made(self, cast, door):
        version = world.a_complete_version(cast)
        worlds.a_document(cast, version, by=cast.validator)
        nothing_by("own_work", door.sign, cast.validator, world.a_request(cast, version), "validation")

    def test_signs_no_other_digest_than_they_read(self, cast, door):
        request = world.a_request(cast)
        read = request.latest.digest
        nonce = services.reauthenticate(
            by=cast.validator, request=request, digest=read, password=world.PASSWORD, session_key=world.SESSION
        )
        given_role(cast, cast.second_approver, "validator")
        world.sign(cast.second_approver, request, "validation", "request_changes")
        services.revise(by=cast.developer, request=request, note="Explained the threshold.")
        nothing_by("changed_while_reading", door.sign, cast.validator, request, "validation", digest=read)
        refused(
            "changed_while_reading", services.sign, by=cast.validator, request=request, requirement="validation",
            outcome="approve", comment=world.REASONING, digest=read, nonce=nonce, session_key=world.SESSION,
        )  # fmt: skip
