"""Report pages, their downloads, the form that asks for one, and the API."""

from __future__ import annotations

import csv
import io
import json

import pytest
from django.urls import reverse

from fairness import matching
from jobs.models import Job
from ledger.canonical import sha256
from ledger.models import Event
from registry import storage
from tests import worlds
from tests.fairness.reporting import done, stored_report
from tests.forms import fields_of


@pytest.fixture
def world(cast):
    return worlds.a_version(cast), worlds.a_dataset(cast)


def text_of(response):
    assert response.status_code == 200
    return response.content.decode()


def test_a_bias_report_reads_from_its_result_to_where_it_comes_from(cast, world, signed_in):
    evidence = stored_report(cast, *world)
    report = json.loads(storage.read(evidence.artifact))
    text = text_of(signed_in(cast.validator).get(reverse("report", args=[evidence.pk])))
    order = [
        "Result</h2>", "Groups by group</h2>", 'class="plot"', "All metrics by group",
        "What these numbers can and cannot show", "Where it comes from", evidence.artifact.digest,
    ]  # fmt: skip
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert report["result"]["attributes"][0]["groups"][0]["group"] in text
    assert "False_positive_rate" not in text
    assert "false_positive_rate" not in text
    assert "Ask for that report" in text, "the recorded decisions have not been looked at"


def test_recorded_decisions_stand_beside_the_models_own(cast, world, signed_in):
    model, historical = stored_report(cast, *world), stored_report(cast, *world, source="historical")
    client = signed_in(cast.developer)
    for one, other in ((model, historical), (historical, model)):
        text = text_of(client.get(reverse("report", args=[one.pk])))
        assert "Recorded decisions beside the model's own" in text.replace("&#x27;", "'")
        assert f'href="/reports/{other.pk}/"' in text
    rates = [
        json.loads(storage.read(evidence.artifact))["attributes"][0]["groups"][0]["metrics"]["selection_rate"]["value"]
        for evidence in (historical, model)
    ]
    assert all(f"{rate:.3f}" in text for rate in rates)


def test_an_explanation_report_shows_features_groups_and_how_sure_the_method_is(committing_db, cast, signed_in):
    from fairness.services import request_explanation_report

    version, dataset = worlds.a_version(cast), worlds.a_dataset(cast)
    job = done(request_explanation_report(by=cast.developer, version=version, dataset=dataset))
    client = signed_in(cast.developer)
    text = text_of(client.get(job.result_url))
    for words in ("income", "debt", "group = a", "group = b", "add up to its score", "less than 0.000001", "<svg"):
        assert words in text
    table = list(csv.DictReader(io.StringIO(text_of(client.get(f"{job.result_url}report.csv")))))
    assert {row["feature"] for row in table} == {"income", "debt"}
    assert "Explanation report" in text_of(client.get("/reports/"))


def test_the_downloads_are_the_exact_bytes_and_a_harmless_table(cast, world, signed_in):
    evidence = stored_report(cast, *world)
    client = signed_in(cast.developer)
    answer = client.get(reverse("report-json", args=[evidence.pk]))
    assert sha256(b"".join(answer.streaming_content)) == evidence.artifact.digest
    assert Event.objects.about(evidence).first().event == "artifact.downloaded"
    assert client.get(reverse("report-json", args=[evidence.pk])).status_code == 200
    assert signed_in(cast.platform_admin).get(reverse("report-json", args=[evidence.pk])).status_code == 404
    rows = list(csv.DictReader(io.StringIO(text_of(client.get(reverse("report-csv", args=[evidence.pk]))))))
    assert {row["verdict"] for row in rows if row["metric"] == "impact_ratio of selection_rate"} != {""}
    assert {row["group"] for row in rows if row["metric"] == "selection_rate"} == {"group = a", "group = b"}


def test_outsiders_find_no_report(cast, world, signed_in, api):
    evidence = stored_report(cast, *world)
    client, outside = signed_in(cast.outsider), api(cast.outsider)
    for name in ("report", "report-csv", "report-json"):
        assert client.get(reverse(name, args=[evidence.pk])).status_code == 404
    assert client.get(reverse("report-new", args=[world[0].pk])).status_code == 404
    assert "No reports yet" in text_of(client.get("/reports/"))
    assert outside.get("/api/v1/reports/").json()["results"] == []
    for path in (f"reports/{evidence.pk}/", f"reports/{evidence.pk}/content/"):
        assert outside.get(f"/api/v1/{path}").status_code == 404
    for kind in ("bias", "explanation"):
        path = f"/api/v1/versions/{world[0].pk}/{kind}-reports/"
        assert outside.post(path, {}, content_type="application/json").status_code == 404


ASKED = {
    "what": "model", "sensitive": ["group"], "metric": "selection_rate", "comparison": "impact_ratio", "bound": "0.8",
    "confidence": "0.95", "minimum_group_size": "30",
}  # fmt: skip


def test_a_report_is_asked_for_on_a_page_and_twice_is_once(cast, world, signed_in):
    client, address = signed_in(cast.developer), reverse("report-new", args=[world[0].pk])
    page = text_of(client.get(address))
    assert 'value="0.8"' in page
    assert "four-fifths" in page
    first = client.post(address, ASKED)
    (job,) = Job.objects.all()
    assert first.headers["Location"] == job.get_absolute_url()
    assert client.post(address, ASKED).headers["Location"] == job.get_absolute_url()
    assert client.post(address, ASKED | {"what": "explanation"}).status_code == 302
    assert Job.objects.count() == 2
    assert job.inputs["rule"]["bound"] == 0.8


def test_a_form_that_fails_keeps_what_was_typed_and_says_why(cast, world, signed_in):
    client, address = signed_in(cast.developer), reverse("report-new", args=[world[0].pk])
    answer = client.post(address, ASKED | {"bound": "7", "minimum_group_size": "44"})
    assert answer.status_code == 422
    assert 'value="44"' in answer.content.decode()
    answer = client.post(address, ASKED | {"what": "historical", "metric": "accuracy"})
    assert answer.status_code == 422
    assert "Recorded decisions have no predictions" in answer.content.decode()
    assert client.post(address, ASKED | {"sensitive": []}).status_code == 422
    assert not Job.objects.exists()
    assert signed_in(cast.auditor).post(address, ASKED).status_code == 403


def test_further_rules_are_rows_that_come_and_go_with_what_was_typed(cast, world, signed_in):
    client, address = signed_in(cast.developer), reverse("report-new", args=[world[0].pk])
    typed = {**ASKED, "bound": "0.75", "sensitive": []}
    form = fields_of(text_of(client.post(address, {**typed, "do": "add"})), "metric")
    assert (form["bound"], form["further.many"], form["further.0-bound"]) == (["0.75"], ["1"], ["0.8"])
    assert "sensitive" not in form
    two = {**form, "further.0-metric": "accuracy", "further.0-comparison": "at_least", "sensitive": ["group"]}
    two = fields_of(text_of(client.post(address, {**two, "do": "add"})), "metric")
    assert two["further.0-metric"] == ["accuracy"]
    wrong = client.post(address, {**two, "further.1-bound": "9"})
    assert 'aria-describedby="id_further.1-bound_error"' in wrong.content.decode()
    twice = client.post(address, {**two, "further.1-metric": "accuracy", "further.1-comparison": "at_least"})
    assert (wrong.status_code, twice.status_code) == (422, 422)
    assert "Name each rule of the test once" in twice.content.decode()
    one = fields_of(text_of(client.post(address, {**two, "do": "remove:1"})), "metric")
    assert not Job.objects.exists()
    assert client.post(address, one).status_code == 302
    inputs = Job.objects.get().inputs
    assert (inputs["rule"]["bound"], [each["metric"] for each in inputs["further_rules"]]) == (0.75, ["accuracy"])
    told = client.post(address, {**one, "what": "historical"}).content.decode()
    assert "Recorded decisions have no predictions" in told
    full = {**one, "further.many": "7", "do": "add"}
    assert "Add a rule" not in text_of(client.post(address, full))


def test_the_page_says_which_rows_cannot_give_the_report_that_is_asked_for(cast, world, signed_in):
    rows = "".join(f"{i % 2},{'ab'[i % 3 % 2]},{1 + i % 4}\n" for i in range(40))
    told = {"roles": {"approved": "label", "group": "sensitive", "w": "weight"}, "purpose": "training"}
    version, weighted = world[0], worlds.a_dataset(cast, data=f"approved,group,w\n{rows}".encode(), **told)
    client, address = signed_in(cast.developer), reverse("report-new", args=[version.pk])
    wanted = "&purpose=historical&purpose=fun&sensitive=age&positive=approved"
    for dataset, weights, said in (
        (world[1], "survey", "It has no column of weights."), (weighted, "none", "Its rows have weights.")
    ):  # fmt: skip
        text = text_of(client.get(f"{address}?dataset={dataset.pk}&weight_kind={weights}{wanted}"))
        assert "A report on these rows would not count" in text
        purpose = dataset.get_purpose_display().lower()
        for sentence in (
            f"Its rows are for {purpose}, not for historical use.", "No column “age” is marked as sensitive in it.",
            "Its positive class is “1”, not “approved”.", said,
        ):  # fmt: skip
            assert sentence in text
    fits = text_of(client.get(f"{address}?dataset={weighted.pk}&purpose=training&positive=1.0&weight_kind=importance"))
    assert "A report on these rows would not count" not in fits
    form = fields_of(fits, "metric")
    assert form["weight_kind"] == ["importance"]
    assert client.post(address + f"?dataset={weighted.pk}", {**form, "what": "historical"}).status_code == 302
    assert Job.objects.get().inputs["weight_kind"] == "importance"


def test_with_several_datasets_one_is_chosen_first_and_without_any_the_page_says_what_to_do(cast, world, signed_in):
    version, dataset = world
    client, address = signed_in(cast.developer), reverse("report-new", args=[version.pk])
    worlds.a_dataset(cast)
    page = text_of(client.get(address))
    assert "Take this dataset" in page
    assert "Compute the report" not in page
    page = text_of(client.get(f"{address}?dataset={dataset.pk}&what=historical"))
    assert "Compute the report" in page
    elsewhere = worlds.a_version(cast, worlds.a_model(cast, by=cast.outsider, team=cast.other_team), by=cast.outsider)
    page = text_of(signed_in(cast.outsider).get(reverse("report-new", args=[elsewhere.pk])))
    assert "No data to look at" in page


def test_the_api_asks_lists_and_shows(cast, world, api):
    version, dataset = world
    evidence = stored_report(cast, version, dataset)
    client = api(cast.ci_bot)
    path = f"/api/v1/versions/{version.pk}/bias-reports/"

    def post(address, body):
        return client.post(address, body, content_type="application/json")

    asked = post(path, {"dataset": dataset.pk, "source": "historical"})
    assert asked.status_code == 202
    assert (asked.json()["state"], asked.json()["kind"]) == ("queued", "fairness.compute_bias_report")
    assert post(path, {"dataset": dataset.pk, "source": "historical"}).json()["id"] == asked.json()["id"]
    explained = post(f"/api/v1/versions/{version.pk}/explanation-reports/", {"dataset": dataset.pk})
    assert explained.status_code == 202
    for body, field in (
        ({"source": "model"}, "dataset"),
        ({"dataset": 0, "source": "model"}, "dataset"),
        ({"dataset": dataset.pk, "source": "oracle"}, "source"),
        ({"dataset": dataset.pk, "source": "model", "rule": {"metric": "luck"}}, "rule.metric"),
        ({"dataset": dataset.pk, "source": "model", "rule": {"bound": 9}}, "rule"),
        ({"dataset": dataset.pk, "source": "model", "sensitive": ["income"]}, "sensitive"),
    ):
        refused = post(path, body)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)
    listed = client.get(f"/api/v1/reports/?version={version.pk}").json()["results"]
    assert [(row["id"], row["url"]) for row in listed] == [(evidence.pk, f"/reports/{evidence.pk}/")]
    shown = client.get(f"/api/v1/reports/{evidence.pk}/")
    assert shown.json()["report"] == json.loads(storage.read(evidence.artifact))
    assert shown.json()["outline"] == matching.digest(storage.read(evidence.artifact))
    assert client.get(
        f"/api/v1/reports/{evidence.pk}/", headers={"If-None-Match": shown.headers["ETag"]}
    ).status_code == 304  # fmt: skip
    assert client.get(f"/api/v1/reports/{evidence.pk}/content/").status_code == 403
    content = api(cast.auditor).get(f"/api/v1/reports/{evidence.pk}/content/")
    assert sha256(b"".join(content.streaming_content)) == evidence.artifact.digest
