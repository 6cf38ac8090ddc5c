"""The validation report: filled from what is on record, written by the second line, attached as evidence."""

from __future__ import annotations

import copy
import json

import pytest
import yaml

from approvals.dossier import open_dossier
from approvals.models import ReportDraft
from approvals.reporting.filling import FILLERS
from approvals.reporting.services import attach_report, save_draft
from approvals.reporting.template import FILE, SOURCES, read, template
from approvals.services import revise
from approvals.signing import reasons_against
from ledger.models import Event
from ledger.refusals import Denied, Refusal
from registry import storage
from registry.models import Evidence
from tests import worlds
from tests.approvals import world
from tests.approvals.findings_world import a_finding, a_risk
from tests.approvals.test_pages import text_of
from tests.fairness.reporting import stored_report
from tests.forms import fields_of

NEEDED = {"soundness": "It is sound.", "outcomes": "Replicated.", "conclusion": "Approve it."}


def refused(code, act, **named):
    """Refused with this code, and its refused event is all that it leaves."""
    before = (ReportDraft.objects.count(), Evidence.objects.count(), Event.objects.count())
    with pytest.raises(Refusal) as caught:
        act(**named)
    assert caught.value.code == code, caught.value.sentence
    assert (ReportDraft.objects.count(), Evidence.objects.count(), Event.objects.count() - 1) == before
    assert Event.objects.latest("id").content["facts"]["code"] == code
    return caught.value


def test_the_template_is_whole_and_a_broken_one_is_noticed():
    assert set(FILLERS) == set(SOURCES)
    used = {name for section in template().sections for name in section.filled_by}
    assert used == set(SOURCES), "whatever can be filled in is in the report"
    good = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    for spoil, error in [
        (lambda one: one.update(slug="use"), ValueError), (lambda one: one.update(filled_by=["weather"]), ValueError),
        (lambda one: one.update(prompt="", needed=True), ValueError), (lambda one: one.pop("title"), TypeError),
        (lambda one: one.update(colour="red"), TypeError), (lambda one: one.update(filled_by=[]), ValueError),
    ]:  # fmt: skip
        bad = copy.deepcopy(good)
        spoil(bad["sections"][0])
        with pytest.raises(error):
            read(bad)


@pytest.mark.django_db
def test_it_is_filled_from_what_is_on_record(cast, api, signed_in):
    approved = world.an_approval(cast)
    version = worlds.a_version(cast, approved.version.model, weight=2.0, card="# Limitations\n\n# Conclusion\n\nGood.")
    dataset = worlds.a_dataset(cast)
    stored_report(cast, version, dataset)
    world.a_report(version, dataset, kind="explanation_report", by=cast.developer, verdict="", sentence="Income leads.")
    worlds.a_document(cast, version, by=cast.second_developer, title="Notes | on data")
    request = world.a_request(cast, version)
    finding = a_finding(cast, version, title="Cut-off not tested")
    a_risk(cast, request, f"finding:{finding.pk}")
    client = api(cast.validator)
    told = client.get(f"/api/v1/requests/{request.pk}/validation-report/").json()
    parts = {part["title"]: part for section in told["sections"] for part in section["parts"]}
    facts = dict(parts["The version and the request"]["rows"]) | dict(parts["The model"]["rows"])
    assert facts["Bytes"] == version.artifact.digest
    assert facts["Purpose"] == version.model.purpose
    assert facts["Risk tier"] == "high, as nobody of the second line has set it"
    assert dict(parts["How it decides"]["rows"])["Decision rule"] == "yes where probabilities[1] ≥ 0.5"
    assert dict(parts[dataset.name]["rows"])["Sensitive attributes"] == "group"
    bias = parts[f"Bias report: model on {dataset}"]
    assert bias["note"].startswith("computed here, asked for by Dev Anand")
    assert bias["head"] == ["Group", "Rows", "Impact ratio", "Interval", "Verdict"]
    assert {row[0] for row in bias["rows"]} == {"group = a", "group = b"}
    assert "Its figures cannot be read here. Income leads." in parts["Explanation report, model"]["text"]
    assert "submitted by Siri Dahl" in parts["Documents"]["rows"][0][2]
    assert parts["Findings"]["rows"][0][:4] == [str(finding.pk), "Cut-off not tested", "high", "open"]
    assert parts["Accepted risks"]["rows"][0][4] == "Rosa Klein"
    assert "artifact: digest" in [
        row[0] for row in parts[f"Since version 1, approved in request {approved.pk}"]["rows"]
    ]
    assert ["An approval holds for", "365 days"] in parts["What the policy asks for"]["rows"]
    assert any("is missing" in row[1] for row in parts["What stands open"]["rows"])
    assert (told["draft"], told["writers"]) == (0, [])
    file = client.get(f"/api/v1/requests/{request.pk}/validation-report/content/").content.decode()
    assert "\n> # Conclusion\n" in file, "what others wrote is quoted"
    assert "\n# Conclusion" not in file
    assert "Notes \\| on data" in file
    page = text_of(signed_in(cast.validator).get(f"/requests/{request.pk}/validation-report/"))
    for words in (
        "Who writes it cannot sign over it",
        "group = b",
        "Cut-off not tested",
        "something has to stand here",
    ):
        assert words in page
    first = client.get(f"/api/v1/requests/{approved.pk}/validation-report/").json()
    assert "was approved for this environment and use before" in json.dumps(first)
    for path in ("", "markdown/", "attach/"):
        assert signed_in(cast.developer).get(f"/requests/{request.pk}/validation-report/{path}").status_code == 403


@pytest.mark.django_db
def test_two_people_write_it_and_none_loses_what_they_typed(cast, api, signed_in):
    request = world.a_request(cast, worlds.a_version(cast))
    browser, page = signed_in(cast.validator), f"/requests/{request.pk}/validation-report/"
    assert page in browser.get(f"/requests/{request.pk}/").content.decode()
    typed = fields_of(browser.get(page).content.decode(), "soundness")
    assert typed["number"] == ["0"]
    typed["soundness"] = ["Logistic, and <b>rightly</b> so."]
    client = api(cast.risk_officer)
    sent = {"number": 0, "texts": {"soundness": "Hm.", "conclusion": "Not yet."}}
    saved = client.put(f"/api/v1{page}", sent, content_type="application/json")
    assert (saved.status_code, saved.json()["draft"], saved.json()["writers"]) == (200, 1, ["Rosa Klein"])
    stale = browser.post(page, typed)
    told = stale.content.decode()
    assert stale.status_code == 409
    assert "Rosa Klein saved the report meanwhile and changed: Conceptual soundness, Conclusion" in told
    assert "Not yet." in told
    typed = fields_of(told, "soundness")
    assert (typed["number"], typed["soundness"]) == (["1"], ["Logistic, and <b>rightly</b> so."])
    browser.post(page, {"number": "1", "soundness": "Logistic, and <b>rightly</b> so.", "conclusion": "Not yet."})
    draft = ReportDraft.objects.latest("number")
    assert (draft.number, draft.saved_by, draft.texts["conclusion"]) == (2, cast.validator, "Not yet.")
    event = Event.objects.get(event="validation_report.drafted", actor_id=str(cast.validator.opaque_id))
    assert event.content["facts"]["sections"] == ["soundness"]
    assert "rightly" not in json.dumps(event.content), "the words stay out of the log until they are evidence"
    assert "<b>rightly" not in browser.get(page).content.decode()
    again = browser.post(page, {"number": "2", "soundness": "x" * 20_001, "conclusion": "Kept."})
    assert (again.status_code, "Kept." in again.content.decode()) == (422, True)
    given = {"by": cast.validator, "request": request, "number": 2}
    refused("nothing_changed", save_draft, **given, texts={"conclusion": " Not yet. "})
    assert refused("section_unknown", save_draft, **given, texts={"verdict": "x"}).field == "texts.verdict"
    assert refused("text_too_long", save_draft, **given, texts={"data": "x" * 20_001}).field == "texts.data"
    refused("text_invalid", save_draft, **given, texts={"data": "\x07"})
    refused("changed_meanwhile", save_draft, **{**given, "number": 9}, texts={"data": "x"})
    stale = client.put(f"/api/v1{page}", sent, content_type="application/json")
    assert (stale.status_code, stale.json()["code"]) == (412, "changed_meanwhile")
    with pytest.raises(Denied):
        save_draft(by=cast.developer, request=request, number=2, texts=NEEDED)
    assert ReportDraft.objects.count() == 2


@pytest.mark.django_db
def test_attached_it_is_evidence_over_which_no_writer_signs(cast, api, signed_in):
    request = world.a_request(cast, worlds.a_version(cast))
    given = {"by": cast.validator, "request": request}
    refused("draft_missing", attach_report, **given, digest="")
    refused("changed_meanwhile", save_draft, **given, number=1, texts=NEEDED)
    save_draft(by=cast.risk_officer, request=request, number=0, texts={"soundness": "Sound.\n\n# Really"})
    client, path = api(cast.validator), f"/api/v1/requests/{request.pk}/validation-report/"
    digest = client.get(path).json()["digest"]
    refused("section_empty", attach_report, **given, digest=digest)
    save_draft(**given, number=1, texts=NEEDED)
    assert refused("changed_meanwhile", attach_report, **given, digest=digest).field is None
    browser, page = signed_in(cast.validator), f"/requests/{request.pk}/validation-report/attach/"
    shown = browser.get(page)
    assert "none of them can sign the request" in text_of(shown)
    assert "Written by Rosa Klein and Vera Lind" in text_of(shown)
    attached = browser.post(page, fields_of(shown.content.decode(), "digest"), follow=True)
    evidence = Evidence.objects.latest("id")
    assert (evidence.kind, evidence.provenance, evidence.produced_by) == (
        "validation_report", "submitted", cast.validator,
    )  # fmt: skip
    assert "It is sound." in text_of(attached), "it is read on its own page"
    text = storage.read(evidence.artifact).decode()
    assert "### Assessment\n\nIt is sound." in text
    assert "attached by Vera Lind on" in text
    event = Event.objects.filter(event="evidence.attached").latest("id")
    assert event.content["facts"]["artifact"] == evidence.artifact.digest
    again = client.post(f"{path}attachment/", {"digest": client.get(path).json()["digest"]}, "application/json")
    assert (again.status_code, again.json()["code"]) == (409, "evidence_exists")
    requirement = open_dossier(request).policy.requirement("validation")
    assert reasons_against(open_dossier(request), requirement, cast.validator) == [], "no revision holds it yet"
    revise(by=cast.developer, request=request, note="With the report.")
    assert evidence.artifact.digest in json.dumps(request.latest.manifest)
    for writer in (cast.validator, cast.risk_officer):
        codes = [reason.code for reason in reasons_against(open_dossier(request), requirement, writer)]
        assert "own_work" in codes
    with pytest.raises(Refusal) as told:
        world.sign(cast.validator, request, "validation")
    assert told.value.code == "own_work"
    storage_of(evidence).unlink()
    assert browser.get(evidence.get_absolute_url()).status_code == 200


def storage_of(evidence):
    root = storage.local_root()
    return root / storage.path_of(evidence.artifact.digest)


@pytest.mark.django_db
def test_nobody_validates_what_they_made(cast):
    from accounts.services import grant_role
    from tests.accounts.world import CONSOLE, role

    request = world.a_request(cast, worlds.a_version(cast))
    for account in (cast.developer, cast.ci_bot):
        grant_role(
            by=CONSOLE, account=account, role=role("validator"), team=cast.team, reason="helps out",
            accept_conflict=True, conflict_reason="for a week",
        )  # fmt: skip
    refused("own_work", save_draft, by=cast.developer, request=request, number=0, texts=NEEDED)
    refused("own_work", attach_report, by=cast.developer, request=request, digest="")
    refused("humans_only", save_draft, by=cast.ci_bot, request=request, number=0, texts=NEEDED)
