"""Policies and bindings come into force by two people, and what they do to requests: services, pages and API."""

from __future__ import annotations

import json

import pytest

from approvals import gate, publishing, services
from approvals.bound import policy_for
from approvals.models import Policy, PolicyBinding, PolicyVersion, Proposal, ReviewRequest
from ledger.models import Event
from ledger.refusals import Denied, Refusal
from tests import worlds
from tests.approvals import policies, world
from tests.approvals.test_pages import text_of
from tests.forms import fields_of

pytestmark = pytest.mark.django_db


def refused(act, **named):
    """The refusal, after seeing that nothing but its own record was written."""
    before = (PolicyVersion.objects.count(), PolicyBinding.objects.count(), Proposal.objects.count())
    with pytest.raises(Refusal) as caught:
        act(**named)
    assert before == (PolicyVersion.objects.count(), PolicyBinding.objects.count(), Proposal.objects.count())
    assert Event.objects.latest("id").content["facts"]["code"] == caught.value.code
    return caught.value


# Two people


def test_what_one_proposes_another_publishes(cast):
    proposal = policies.a_proposal(cast)
    assert Policy.objects.count() == 1
    assert refused(publishing.publish, by=cast.policy_admin, proposal=proposal, digest=proposal.digest).code == (
        "own_proposal"
    )
    with pytest.raises(Denied):
        publishing.publish(by=cast.approver, proposal=proposal, digest=proposal.digest)
    stale = refused(publishing.publish, by=cast.risk_officer, proposal=proposal, digest="sha256:" + 64 * "0")
    assert stale.code == "changed_while_reading"
    publishing.publish(by=cast.risk_officer, proposal=proposal, digest=proposal.digest, answer="Agreed.")
    version = PolicyVersion.objects.get(policy__slug="strict")
    assert (version.number, version.digest) == (1, proposal.digest)
    event = Event.objects.get(event="policy.published")
    assert event.content["facts"]["digest"] == version.digest
    again = refused(publishing.publish, by=cast.risk_officer, proposal=proposal, digest=proposal.digest)
    assert again.code == "proposal_closed"


def test_declining_and_taking_back(cast):
    proposal = policies.a_proposal(cast)
    assert refused(publishing.decline, by=cast.policy_admin, proposal=proposal, answer="No.").code == "own_proposal"
    assert refused(publishing.decline, by=cast.risk_officer, proposal=proposal, answer=" ").code == "reason_needed"
    publishing.decline(by=cast.risk_officer, proposal=proposal, answer="Too strict.")
    assert refused(publishing.withdraw_proposal, by=cast.policy_admin, proposal=proposal).code == "proposal_closed"
    other = policies.a_proposal(cast)
    with pytest.raises(Denied):
        publishing.withdraw_proposal(by=cast.risk_officer, proposal=other)
    publishing.withdraw_proposal(by=cast.policy_admin, proposal=other)
    assert not Policy.objects.filter(slug="strict").exists()


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"valid_days": 0}, "policy_invalid", "valid_days"),
        ({"format": "countersign-policy/1"}, "policy_invalid", "frameworks"),
        ({"version": 2}, "policy_changed_meanwhile", "version"),
        ({"frameworks": ["moon-treaty"]}, "framework_unknown", "frameworks.0"),
        ({"stages": [policies.a_stage(policies.a_requirement(role="auditor"))]}, "role_unknown",
         "stages.0.requirements.0.role"),
    ],
    ids=["rule", "format", "number", "framework", "role"],
)  # fmt: skip
def test_a_policy_that_cannot_be_kept_is_not_even_proposed(cast, changes, code, field):
    document = policies.a_document(**changes)
    found = refused(publishing.propose_version, by=cast.policy_admin, document=document, note="The board.")
    assert (found.code, found.field) == (code, field)


def test_who_may_propose(cast):
    for who in (cast.developer, cast.approver, cast.risk_officer, cast.platform_admin, cast.ci_bot):
        with pytest.raises(Denied):
            publishing.propose_version(by=who, document=policies.a_document(), note="The board.")
    assert refused(
        publishing.propose_version, by=cast.policy_admin, document=policies.a_document(), note=""
    ).field == "note"  # fmt: skip


def test_the_same_again_is_nothing_to_publish(cast):
    policies.a_policy(cast)
    document = policies.a_document(version=2)
    assert refused(publishing.propose_version, by=cast.policy_admin, document=document, note="Again.").code == (
        "nothing_changed"
    )


# What governs what


def test_a_request_is_pinned_to_what_is_bound_and_says_so(cast):
    version = world.a_complete_version(cast)
    general = policy_for(version, "hiring")
    strict = policies.a_policy(cast, use="hiring")
    assert policy_for(version, "hiring") == strict
    assert policy_for(version, world.USE) == general
    request = world.a_request(cast, version, use="hiring")
    assert request.policy_version == strict
    assert request.latest.manifest["policy"]["digest"] == strict.digest
    policies.a_binding(cast, general.policy, use="hiring", team=cast.team)
    assert policy_for(version, "hiring") == general
    policies.a_binding(cast, None, use="hiring", team=cast.team)
    assert policy_for(version, "hiring") == strict
    # What is under way stays where it was.
    policies.a_binding(cast, None, use="hiring")
    assert policy_for(version, "hiring") == general
    assert ReviewRequest.objects.get(pk=request.pk).policy_version == strict


@pytest.mark.parametrize(
    ("scope", "code"),
    [
        ({}, "binding_needed"),
        ({"use": "hiring"}, "nothing_bound"),
        ({"use": "Hiring people"}, "use_invalid"),
        ({"tier": "huge"}, "tier_unknown"),
    ],
    ids=["everything", "nothing there", "use", "tier"],
)
def test_what_governs_everything_cannot_be_taken_away(cast, scope, code):
    given = {"team": None, "use": "", "tier": "", **scope}
    assert refused(publishing.propose_binding, by=cast.policy_admin, policy=None, note="Off.", **given).code == code


# A new version, and requests under way


def next_version(cast, **changes):
    binds_now = changes.pop("binds_now", False)
    return policies.a_policy(cast, policies.a_document(version=2, **changes), binds_now=binds_now)


def test_a_new_version_changes_nothing_under_way(cast):
    first = policies.a_policy(cast, everywhere=True)
    request = world.a_request(cast)
    next_version(cast, stages=[policies.a_stage(policies.a_requirement(count=2))])
    world.sign(cast.approver, request, "approval")
    answer = gate.evaluate(request.version, request.environment, request.use)
    assert (answer.allowed, answer.policy_digest) == (True, first.digest)


def test_one_that_binds_at_once_asks_for_a_new_revision(cast):
    policies.a_policy(cast, everywhere=True)
    request = world.a_request(cast)
    second = next_version(cast, stages=[policies.a_stage(policies.a_requirement(count=2))], binds_now=True)
    answer = gate.evaluate(request.version, request.environment, request.use)
    assert answer.reasons[0].code == "policy_superseded"
    with pytest.raises(Refusal) as caught:
        world.sign(cast.approver, request, "approval")
    assert caught.value.code == "policy_superseded"
    services.revise(by=cast.developer, request=request, note="Under the new policy.")
    request.refresh_from_db()
    assert request.policy_version == second
    assert Event.objects.get(event="request.revised").content["facts"]["policy"] == second.digest
    for who in (cast.approver, cast.second_approver):
        world.sign(who, request, "approval")
    assert gate.evaluate(request.version, request.environment, request.use).allowed


def test_a_signature_carries_over_a_new_card_but_not_over_new_evidence(cast):
    from registry.services import edit_card

    carrying = policies.a_requirement("validation", role="validator", carry_over_if=["artifact", "evidence"])
    document = policies.a_document(stages=[policies.a_stage(carrying, slug="validation"), policies.a_stage()])
    policies.a_policy(cast, document, everywhere=True)
    version = world.a_complete_version(cast)
    request = world.a_request(cast, version)
    world.sign(cast.validator, request, "validation")
    edit_card(by=cast.developer, version=version, card="# Use\nOnly for screening.\n")
    services.revise(by=cast.developer, request=request, note="The card says more.")
    states = [each.state for each in gate.evaluate(version, request.environment, request.use).requirements]
    assert states == ["met", "waiting"]
    world.a_report(version, worlds.a_dataset(cast), by=cast.second_developer)
    services.revise(by=cast.developer, request=request, note="One more report.")
    states = [each.state for each in gate.evaluate(version, request.environment, request.use).requirements]
    assert states == ["waiting", "blocked"]


# The dry run


def test_a_dry_run_says_what_a_policy_would_have_stopped_and_let_through(cast, api):
    approved = world.an_approval(cast)
    waiting = world.a_request(cast)
    world.sign(cast.validator, waiting, "validation")
    two = policies.a_document(stages=[policies.a_stage(policies.a_requirement(count=2))])
    lenient = policies.a_document(stages=[policies.a_stage(policies.a_requirement("look", role="validator"))])

    def ran(document, who=cast.policy_admin):
        answer = api(who).post("/api/v1/policies/dry-run/", json.dumps(document), content_type="application/json")
        assert answer.status_code == 200, answer.content
        return answer.json()

    found = ran(two)
    assert (found["looked_at"], found["stopped_count"], found["let_through_count"]) == (2, 1, 0)
    assert found["stopped"][0]["request"] == approved.pk
    assert found["stopped"][0]["sentence"] == "Approval: two signatures needed, one given."
    assert ran(lenient)["let_through"] == [waiting.pk]
    assert PolicyVersion.objects.count() == 1


def test_whoever_decides_tries_it_by_a_link(cast, signed_in):
    world.an_approval(cast)
    proposal = policies.a_proposal(cast)
    client = signed_in(cast.risk_officer)
    page = text_of(client.get(proposal.get_absolute_url()))
    assert "Try it on the last 12 months" in page
    assert "Of 1 request" not in page
    assert "Of 1 request, this policy would have stopped" in text_of(client.get(f"{proposal.get_absolute_url()}?try=1"))


# Pages


def test_the_editor_keeps_what_was_typed_and_says_where_it_is_wrong(cast, signed_in):
    client = signed_in(cast.policy_admin)
    page = client.get("/policies/new/?template=sr-26-2")
    assert "SR 26-2 model risk" in text_of(page)
    form = fields_of(page.content.decode(), "note")
    assert form["stages.1.requirements.1-role"] == ["risk_officer"]
    # Every button brings all of it back.
    page = client.post("/policies/new/", {**form, "do": "add:stages.0.requirements", "policy-title": "Ours"})
    form = fields_of(page.content.decode(), "note")
    assert (form["policy-title"], form["stages.0.requirements.many"]) == (["Ours"], ["2"])
    page = client.post("/policies/new/", {**form, "do": "propose", "note": "The board."})
    assert page.status_code == 422
    assert "(stages.0.requirements.1.slug)" in text_of(page)
    assert "Short name: Stages.0.requirements.1.slug: '' must be small letters" in text_of(page)
    page = client.post("/policies/new/", {**form, "do": "remove:stages.0.requirements.1"})
    form = fields_of(page.content.decode(), "note")
    assert form["stages.0.requirements.many"] == ["1"]
    as_text = client.post("/policies/new/", {**form, "do": "text"})
    document = json.loads(fields_of(as_text.content.decode(), "note")["text"][0])
    assert document["title"] == "Ours"
    assert document == {**policies.a_template("sr_26_2"), "title": "Ours"}
    broken = client.post("/policies/new/", {"text": "{", "do": "propose", "note": "x"})
    assert (broken.status_code, "This is no JSON" in text_of(broken)) == (422, True)
    tried = client.post("/policies/new/", {**form, "do": "try"})
    assert "nothing can be tried on" in text_of(tried)
    done = client.post("/policies/new/", {**form, "do": "propose", "note": "The board."})
    proposal = Proposal.objects.get()
    assert done.url == proposal.get_absolute_url()
    assert proposal.content == document


def test_how_long_a_gateway_may_go_without_asking_is_set_in_the_form_and_shown(cast, signed_in):
    policies.a_policy(cast)
    client, strict = signed_in(cast.policy_admin), PolicyVersion.objects.get(policy__slug="strict")
    form = fields_of(client.get(f"/policies/new/?of={strict.pk}").content.decode(), "note")
    assert form["policy-max_lease_seconds"] == [""]
    given = {**form, "note": "The board.", "do": "propose"}
    for said, read in (("1", "1"), ("3601", "3601"), ("soon", "'soon'")):
        wrong = client.post("/policies/new/", {**given, "policy-max_lease_seconds": said})
        assert wrong.status_code == 422
        sentence = f"Max_lease_seconds: {read} is no whole number from 2 to 3,600."
        assert f"serves on for (seconds): {sentence}" in text_of(wrong)
    given["policy-max_lease_seconds"] = "10"
    looked = client.post("/policies/new/", {**given, "do": "try"})
    assert "10 s at most by a gateway that cannot ask the gate" in text_of(looked)
    assert "nothing can be tried on" in text_of(looked)
    proposal = client.get(client.post("/policies/new/", given).url)
    assert Proposal.objects.latest("pk").content == policies.a_document(version=2, max_lease_seconds=10)
    assert "max_lease_seconds not set 10" in text_of(proposal)
    assert "serves on for at most 10 s" in text_of(proposal)
    assert "10 s at most" in text_of(proposal)
    assert "the gateways' own" in text_of(client.get(strict.get_absolute_url()))


def test_a_proposal_is_read_and_published_on_its_page(cast, signed_in):
    policies.a_policy(cast, everywhere=True)
    world.a_request(cast)
    proposal = policies.a_proposal(cast, policies.a_document(version=2, valid_days=90), binds_now=True)
    mine = text_of(signed_in(cast.policy_admin).get(proposal.get_absolute_url()))
    assert "Somebody else who may publish policies has to decide." in mine
    client = signed_in(cast.risk_officer)
    page = text_of(client.get(proposal.get_absolute_url()))
    assert "valid_days 365 90" in page
    assert "bound at once: 1 need a new revision" in page
    declined = client.post(proposal.get_absolute_url(), {"do": "decline", "digest": proposal.digest, "answer": ""})
    assert declined.status_code == 422
    done = client.post(proposal.get_absolute_url(), {"do": "publish", "digest": proposal.digest, "answer": "Agreed."})
    assert done.status_code == 302
    assert "Published" in text_of(client.get(proposal.get_absolute_url()))
    assert "Strict" in text_of(client.get("/policies/?team=&use=hiring&tier=low"))


def test_a_binding_is_proposed_on_its_page(cast, signed_in):
    policies.a_policy(cast)
    client = signed_in(cast.policy_admin)
    strict = Policy.objects.get(slug="strict")
    wrong = client.post("/policies/bindings/new/", {"policy": "", "team": "", "use": "", "tier": "", "note": "Off."})
    assert (wrong.status_code, "Something has to govern every request" in text_of(wrong)) == (422, True)
    done = client.post(
        "/policies/bindings/new/", {"policy": strict.pk, "use": "hiring", "tier": "high", "note": "Law."}
    )
    assert done.status_code == 302
    assert "Strict for high-risk models, used for hiring" in text_of(client.get(done.url))


def test_whoever_only_looks_is_offered_nothing_to_change(cast, signed_in):
    for path in ("/policies/new/", "/policies/bindings/new/"):
        assert signed_in(cast.developer).get(path).status_code == 403
    assert "New policy" not in text_of(signed_in(cast.developer).get("/policies/"))
    frameworks = text_of(signed_in(cast.developer).get("/policies/frameworks/"))
    assert "from 2 December 2027" in frameworks


# The API


def test_the_api_proposes_publishes_and_lists(cast, api):
    def post(who, path, status=201, **body):
        answer = api(who).post(f"/api/v1/{path}", json.dumps(body), content_type="application/json")
        assert answer.status_code == status, answer.content
        return answer.json()

    made = post(cast.policy_admin, "policies/", document=policies.a_document(), note="The board.")
    own = post(cast.policy_admin, f"proposals/{made['id']}/publication/", 409, digest=made["digest"])
    assert own["code"] == "own_proposal"
    wrong = post(cast.policy_admin, "policies/", 422, document=policies.a_document(valid_days=0), note="The board.")
    assert (wrong["code"], wrong["errors"][0]["field"]) == ("policy_invalid", "document.valid_days")
    hours = policies.a_document(max_lease_seconds=7200)
    wrong = post(cast.policy_admin, "policies/", 422, document=hours, note="The board.")
    assert (wrong["code"], wrong["errors"][0]["field"]) == ("policy_invalid", "document.max_lease_seconds")
    done = post(cast.risk_officer, f"proposals/{made['id']}/publication/", digest=made["digest"])
    assert done["state"] == "published"
    bound = post(cast.policy_admin, "policies/bindings/", policy="strict", use="hiring", note="Law.")
    assert post(cast.policy_admin, "policies/bindings/", 422, policy="lax", note="Law.")["code"] == "unknown_policy"
    post(cast.risk_officer, f"proposals/{bound['id']}/declining/", answer="Not yet.")
    again = post(cast.policy_admin, "policies/bindings/", policy="strict", use="hiring", note="Now.")
    post(cast.policy_admin, f"proposals/{again['id']}/withdrawal/")
    listed = api(cast.auditor).get("/api/v1/policies/bindings/").json()
    assert [each["policy"] for each in listed] == ["validate-then-approve"]
    assert api(cast.auditor).get("/api/v1/proposals/?state=published").json()["results"][0]["id"] == made["id"]
