"""A frame from the policy's editor to the report that counts: nobody copies a number on the way."""

from __future__ import annotations

import json

from django.urls import reverse

from approvals import publishing
from approvals.gate import evaluate
from approvals.models import Proposal
from approvals.policytemplates import templates
from fairness.services import WORKER, publish_report
from jobs.models import Job
from jobs.running import Pulse
from jobs.services import claim
from tests import worlds
from tests.approvals import policies, world
from tests.approvals.policies import a_frame, a_rule, a_test
from tests.forms import fields_of

RULES = [a_test(minimum_group_size=20), a_test(metric="accuracy", comparison="at_least", bound=0.05, confidence=0.9)]
FRAME = a_frame(rules=RULES, attributes=[{"name": "group", "reference": "b"}])


def text_of(response, status=200):
    assert response.status_code == status
    return response.content.decode()


def reported(version):
    """What the newest job makes, done here without a worker's threads."""
    from fairness.computing import compute_bias

    held = claim(Job.objects.latest("pk").pk)
    computed = compute_bias(Pulse(held))
    return publish_report(by=WORKER, version=version, computed=computed, claim=held)


def test_the_form_that_the_policy_fills_in_gives_the_report_that_counts(cast, signed_in, api):
    document = policies.a_document(evidence=[a_rule(frame=FRAME)])
    policies.a_policy(cast, document, everywhere=True)
    version, dataset = worlds.a_version(cast), worlds.a_dataset(cast)
    worlds.a_dataset(cast, purpose="training")
    client, page = signed_in(cast.developer), reverse("report-new", args=[version.pk])
    plain = text_of(client.get(page))
    assert "What policies want" in plain
    assert "Compute the report" not in plain, "there are two datasets"
    (filled,) = {line.split('"')[0].replace("&amp;", "&") for line in plain.split('href="')[1:] if "metric=" in line}
    # The only dataset of rows for testing is taken.
    asking = text_of(client.get(filled))
    form = fields_of(asking, "baseline")
    assert (form["further.many"], form["further.0-metric"], form["reference_0"]) == (["1"], ["accuracy"], ["b"])
    assert client.post(filled, form).status_code == 302
    inputs = Job.objects.latest("pk").inputs
    assert (inputs["dataset"], inputs["reference"]) == (str(dataset.pk), {"group": "b"})
    assert [inputs["rule"], *inputs["further_rules"]] == RULES
    evidence = reported(version)
    assert evidence.summary["frame"]["purpose"] == "test"
    world.a_request(cast, version)
    assert {each.code for each in evaluate(version, "production", world.USE).reasons} == {"signature_missing"}
    # Asked otherwise, it is there and does not count; the page, the request and the API say why.
    other, tests = worlds.a_version(cast), [{**RULES[0], "bound": 0.7}, RULES[1]]
    world.a_report(other, dataset, by=cast.second_developer, frame=evidence.summary["frame"] | {"rules": tests})
    said = "has a rule with the bound 0.7; the policy wants 0.8"
    request = world.a_request(cast, other)
    for where in (reverse("request-new", args=[other.pk]), request.get_absolute_url()):
        shown = text_of(client.get(where))
        assert said in shown
        assert "Ask as the policy says" in shown
        assert filled.split("?")[1] in shown.replace("&amp;", "&")
    gate = f"/api/v1/gate?version={other.pk}&environment=production&use={world.USE}"
    assert said in text_of(api(cast.ci_bot).get(gate))
    gaps = [each["code"] for each in api(cast.ci_bot).get(gate).json()["reasons"]]
    assert "frame_rules" in gaps


def test_a_dry_run_says_which_part_differs(cast, api):
    version, dataset = worlds.a_version(cast), worlds.a_dataset(cast)
    document = policies.a_document(evidence=[a_rule()])
    policies.a_policy(cast, document, everywhere=True)
    world.a_report(version, dataset, by=cast.second_developer, frame=policies.told(purpose="training"))
    world.sign(cast.approver, world.a_request(cast, version), "approval")
    tried = {**document, "version": 2, "evidence": [a_rule(frame=a_frame())]}
    found = api(cast.policy_admin).post("/api/v1/policies/dry-run/", tried, content_type="application/json").json()
    (stopped,) = found["stopped"]
    assert stopped["code"] == "frame_purpose"
    assert "rests on rows for training; the policy wants test or out of time" in stopped["sentence"]


def test_form_and_text_make_the_same_frame_and_the_proposal_shows_it(cast, signed_in):
    client = signed_in(cast.policy_admin)
    form = fields_of(text_of(client.get("/policies/new/?template=low-risk")), "note")
    form = fields_of(text_of(client.post("/policies/new/", {**form, "do": "remove:evidence.0.frame"})), "note")
    assert not any("frame" in name for name in form)
    page = text_of(client.post("/policies/new/", {**form, "do": "add:evidence.0.frame"}))
    assert page.count("<details open>") == 1, "what was changed is in view"
    form = fields_of(page, "note")
    assert form["evidence.0.frame.rules.0-bound"] == ["0.8"]
    page = text_of(client.post("/policies/new/", {**form, "do": "add:evidence.0.frame.rules"}))
    form = {
        **fields_of(page, "note"), "evidence.0.frame.rules.1-metric": "accuracy",
        "evidence.0.frame.rules.1-comparison": "at_least", "evidence.0.frame-attributes": "group: b\n sex ",
        "evidence.0.frame-exclusions": "fraud\n", "evidence.0.frame-positive": "approved",
    }  # fmt: skip
    typo = {**form, "evidence.0.frame.rules.1-bound": "2", "do": "propose", "note": "x"}
    wrong = text_of(client.post("/policies/new/", typo), 422)
    assert "2.0 is no number from 0.001 to 1" in wrong
    text = fields_of(text_of(client.post("/policies/new/", {**form, "do": "text"})), "note")["text"][0]
    frame = json.loads(text)["evidence"][0]["frame"]
    assert frame == a_frame(
        rules=[a_test(), a_test(metric="accuracy", comparison="at_least")], exclusions=["fraud"],
        attributes=[{"name": "group", "reference": "b"}, {"name": "sex", "reference": ""}], positive="approved",
    )  # fmt: skip
    # Text back to form loses nothing.
    back = fields_of(text_of(client.post("/policies/new/", {"text": text, "do": "form", "note": ""})), "note")
    assert {name: back[name] for name in back if "frame" in name} == {
        name: [value] if isinstance(value, str) else value for name, value in form.items() if "frame" in name
    } | {"evidence.0.frame-attributes": ["group: b\nsex"], "evidence.0.frame-exclusions": ["fraud"]}
    # What it says is on the proposal, against the version before it.
    policies.a_policy(cast, templates()["low-risk"])
    document = {**json.loads(text), "version": 2}
    proposal = publishing.propose_version(by=cast.policy_admin, document=document, note="The board asked for it.")
    shown = text_of(client.get(proposal.get_absolute_url()))
    assert "evidence.1.frame.rules.2.metric" in shown
    assert "groups by group (compared with b) and sex (compared with the largest group)" in shown
    assert Proposal.objects.count() == 2
