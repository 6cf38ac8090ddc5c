"""Single explained rows: who may open one, that it is recorded, and what it shows; and the report's page around it."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.urls import reverse

from fairness.services import request_explanation_report
from jobs.models import Job
from ledger.events import database_time
from ledger.models import Event
from ledger.refusals import Refusal
from registry import storage
from registry.processing.services import record_processing
from registry.tasks import delete_expired_data
from tests import worlds
from tests.fairness.reporting import stored_explanation

CARD = "# Intended use\n\nLoans.\n\n# Features\n\n- income: Yearly income\n- `debt`: Debt (fixed)\n- other: unknown\n"


def text_of(response):
    assert response.status_code == 200
    return response.content.decode()


def test_a_report_leads_to_its_rows_for_those_who_may_read_rows(cast, signed_in, api):
    """One world, for making a report takes a second."""
    evidence = stored_explanation(cast, worlds.a_version(cast, card=CARD), worlds.a_dataset(cast))
    the_report_says_why_for_whom_and_how_sure(cast, evidence, signed_in)
    rows_are_closed_to_others(cast, evidence, signed_in, api)
    an_opened_row_is_recorded(cast, evidence, signed_in, api)


def the_report_says_why_for_whom_and_how_sure(cast, evidence, signed_in):
    page = text_of(signed_in(cast.developer).get(reverse("report", args=[evidence.pk])))
    order = [
        "Result</h2>", "exact Shapley values of a linear model", "log-odds", "Why the answer was no", "Yearly income:",
        "How reasons are found", "12 CFR 1002.9(b)(2)", "Features that tell groups apart", "How attributions spread",
        "How attribution follows the value", "Which features act together", "A weighted sum of features has no",
        "Would other rows or another method say the same?", "tolerance 0.0000",
        "its own bytes answer", "Where it comes from",
    ]  # fmt: skip
    places = [page.lower().index(words.lower()) for words in order]
    assert places == sorted(places)
    assert reverse("report-row", args=[evidence.pk, 1]) in page
    assert "has no plain words for" not in page
    report = json.loads(storage.read(evidence.artifact))
    for kept in ("row_in_dataset", 'counterfactual":', '"value":{'):
        assert kept not in json.dumps(report), "values of people are not in what everybody may see"


def an_opened_row_is_recorded(cast, evidence, signed_in, api):
    client = signed_in(cast.developer)
    kept = json.loads(storage.read(storage.Stored(evidence.summary["rows"]["digest"], 0)))
    refused = next(row["row"] for row in kept["rows"] if not row["yes"] and row["counterfactual"])
    answer = client.get(reverse("report-rows", args=[evidence.pk]), {"number": str(refused)})
    assert answer.headers["Location"] == reverse("report-row", args=[evidence.pk, refused])
    page = text_of(client.get(answer.headers["Location"]))
    for words in ("The answer is no", "yes from here on", "Yearly income: too low", "made up", "recorded"):
        assert words in page, words
    event = Event.objects.about(evidence.dataset).first()
    assert event.event == "explained_row.opened"
    facts = event.content["facts"]
    assert facts["row"] == refused
    shown = api(cast.developer).get(f"/api/v1/reports/{evidence.pk}/rows/{refused}/").json()
    assert shown["base_value"] + sum(f["attribution"] for f in shown["features"]) == pytest.approx(shown["raw"])
    assert {change["feature"] for change in shown["counterfactual"]} == {"income"}, "debt is fixed"
    assert shown["counterfactual"][0]["from"] < shown["counterfactual"][0]["to"]
    assert Event.objects.filter(event="explained_row.opened").count() == 2


def rows_are_closed_to_others(cast, evidence, signed_in, api):
    address = reverse("report-row", args=[evidence.pk, 1])
    assert signed_in(cast.auditor).get(address).status_code == 403
    page = text_of(signed_in(cast.auditor).get(reverse("report", args=[evidence.pk])))
    assert "Single rows are open to those" in page
    assert address not in page
    assert api(cast.auditor).get(f"/api/v1/reports/{evidence.pk}/rows/1/").status_code == 403
    assert signed_in(cast.outsider).get(address).status_code == 404
    assert api(cast.outsider).get(f"/api/v1/reports/{evidence.pk}/rows/1/").status_code == 404
    assert not Event.objects.filter(event="explained_row.opened").exists()
    assert Event.objects.filter(event="explained_row.opened.refused").count() == 2
    answer = api(cast.developer).get(f"/api/v1/reports/{evidence.pk}/rows/61/")
    assert answer.json()["code"] == "row_unknown"
    assert "1 to 60" in answer.json()["detail"]
    client = signed_in(cast.developer)
    for wrong in ("", "0", "61", "x"):
        answer = client.get(reverse("report-rows", args=[evidence.pk]), {"number": wrong})
        assert answer.headers["Location"] == reverse("report", args=[evidence.pk])
    assert "from 1 to 60" in text_of(client.get(reverse("report", args=[evidence.pk])))


def test_who_may_open_rows_and_their_deletion_go_for_explained_rows_too(cast, api):
    version, dataset = worlds.a_version(cast), worlds.a_dataset(cast)
    evidence, owner = stored_explanation(cast, version, dataset), cast.model_owner
    said = {"basis": "6.1.f", "condition": "none", "keep_days": 30, "note": "The archive's schedule."}
    record_processing(by=owner, dataset=dataset, **said, open_to="named", readers=[cast.validator])
    path = f"/api/v1/reports/{evidence.pk}/rows/1/"
    assert api(cast.validator).get(path).status_code == 200
    refused = api(cast.developer).get(path)
    assert (refused.status_code, refused.json()["code"]) == (409, "rows_closed")
    assert Event.objects.filter(event="explained_row.opened", outcome="done").count() == 1
    assert Event.objects.filter(event="explained_row.opened.refused").count() == 1

    kept = storage.Stored(evidence.summary["rows"]["digest"], 0)
    type(dataset).objects.filter(pk=dataset.pk).update(registered_at=database_time() - timedelta(days=40))
    assert storage.read(kept)
    assert delete_expired_data()["removed"] == 1
    with pytest.raises(Refusal) as caught:
        storage.read(kept)
    assert caught.value.code == "artifact_missing"
    assert api(cast.validator).get(path).json()["code"] == "data_deleted"
    assert storage.read(evidence.artifact), "the report itself holds nobody's row, and stays"


def test_the_baseline_and_the_cards_words_are_part_of_what_is_asked(cast, api):
    version, dataset = worlds.a_version(cast, card=CARD), worlds.a_dataset(cast)
    job = request_explanation_report(by=cast.developer, version=version, dataset=dataset)
    assert job.inputs["dictionary"] == {
        "income": {"words": "Yearly income", "fixed": False}, "debt": {"words": "Debt", "fixed": True},
    }  # fmt: skip
    path = f"/api/v1/versions/{version.pk}/explanation-reports/"
    other = api(cast.developer).post(path, {"dataset": dataset.pk, "baseline": "all"}, content_type="application/json")
    assert other.status_code == 202
    assert Job.objects.get(pk=other.json()["id"]).inputs["baseline"] == "all"
    answer = api(cast.developer).post(path, {"dataset": dataset.pk, "baseline": "x"}, content_type="application/json")
    assert answer.status_code == 422
    with pytest.raises(Refusal) as caught:
        request_explanation_report(by=cast.developer, version=version, dataset=dataset, baseline="x")
    assert caught.value.code == "baseline_unknown"
    assert Job.objects.count() == 2
