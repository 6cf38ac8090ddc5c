"""The calculations of a bias audit as a job, evidence, page, sheet and PDF; and what cannot be asked."""

from __future__ import annotations

import csv
import io
import json
from datetime import date, timedelta

import pytest
from django.urls import reverse

from fairness.ll144.asking import Ask, asked
from fairness.ll144.counting import Model
from fairness.ll144.problems import Wrong
from fairness.ll144.report import ll144_report
from fairness.ll144.services import request_ll144_audit
from fairness.problems import DataProblem
from jobs.models import Job
from ledger.models import Event
from ledger.refusals import Refusal
from registry.models import Evidence
from tests import worlds
from tests.fairness.auditing import ASKED, RACE_VALUES, SCORED, applicants, csv_bytes, stored_audit
from tests.fairness.files import uncounted
from tests.fairness.reporting import done
from tests.forms import fields_of


@pytest.fixture
def people(tmp_path):
    path = tmp_path / "people.csv"
    path.write_bytes(csv_bytes())
    return path


def ratios(report, outcome=0):
    return {
        table["name"]: {row["category"]: row["impact_ratio"] for row in table["rows"]}
        for table in report["outcomes"][outcome]["tables"]
    }


def test_scores_selections_and_groups_give_the_published_example(people):
    scoring = ll144_report(people, asked(**ASKED))
    assert scoring["median"] == {"value": 1.5, "above": 84, "at": 15, "below": 84}
    assert (scoring["people"], scoring["counted"], scoring["unknown"]["either"]) == (183, 168, 15)
    assert scoring["unknown"]["values"] == {"sex": {"unknown": 8, "other": 7}, "race": {}}
    chosen = asked(**ASKED | {"kind": "selection", "outcome": "invited", "selected": ["1.0"]})
    groups = ll144_report(people, asked(**ASKED | {"kind": "classification", "outcome": "style"}))
    assert [each["name"] for each in groups["outcomes"]] == ["helps", "leads"]
    for report, at in ((scoring, 0), (ll144_report(people, chosen), 0), (groups, 1)):
        for name, rows in SCORED.items():
            assert {key: f"{ratio:.2f}" for key, ratio in ratios(report, at)[name].items()} == {
                key: printed for key, (_, _, printed) in rows.items()
            }
        assert report["result"]["sentence"].endswith("Local Law 144 sets no threshold.")
    assert "by both 0.333, Female, Asian" in scoring["result"]["sentence"]
    assert ll144_report(people, asked(**ASKED)) == scoring
    assert uncounted(scoring) | uncounted(groups) == set()


def test_the_model_itself_can_be_run_on_test_data(tmp_path):
    data, model = tmp_path / "rows.csv", tmp_path / "tiny.onnx"
    rows = [("f", "w", 1), ("f", "w", -1), ("m", "w", 1), ("m", "b", 1), ("m", "b", 2)]
    data.write_text("sex,race,income,debt\n" + "".join(f"{s},{r},{x},0\n" for s, r, x in rows))
    model.write_bytes(worlds.onnx_bytes())
    wanted = ASKED | {
        "kind": "selection", "source": "model", "sex": "sex", "race": "race",
        "sex_values": {"f": "female", "m": "male"},
        "race_values": {"w": "white", "b": "black_or_african_american"}, "data_kind": "test",
        "why_test": "It has not been used.", "how_made": "Drawn by us.",
    }  # fmt: skip
    runs = Model(model, worlds.RULE, worlds.FEATURES)
    report = ll144_report(data, asked(**wanted), model=runs)
    assert ratios(report)["sex"] == {"male": 1.0, "female": 0.5}
    assert report["data"]["why_test"] == "It has not been used."
    scoring = ll144_report(data, asked(**wanted | {"kind": "scoring"}), model=runs)
    assert scoring["median"]["above"] == 1, "four score at the median or below: ties are not above it"
    assert scoring["median"]["at"] == 3


BAD_DATA = {
    "selected never occurs": (
        {"kind": "selection", "outcome": "invited", "selected": ["yes"]}, "positive_class_missing",
    ),
    "not small": (
        {"left_out": [{"table": "intersection", "category": "female/pacific_islander", "reason": "Four people."}]},
        "left_out_not_small",
    ),
    "nobody known": ({"sex_values": {"none of these": "male"}}, "no_known_category"),
    "too many groups": ({"kind": "classification", "outcome": "score"}, "too_many_categories"),
    "no such column": ({"outcome": "scores"}, "column_missing"),
    "no numbers": ({"outcome": "style"}, "not_numeric"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(BAD_DATA))
def test_data_that_cannot_answer_say_why(people, name):
    changes, code = BAD_DATA[name]
    with pytest.raises(DataProblem) as caught:
        ll144_report(people, asked(**ASKED | changes))
    assert caught.value.code == code


WRONG = {
    "kind": ({"kind": "guessing"}, "not_one_of", "kind"),
    "source": ({"source": "hearsay"}, "not_one_of", "source"),
    "data": ({"data_kind": "old"}, "not_one_of", "data_kind"),
    "one column for both": ({"race": "gender"}, "column_twice", "race"),
    "groups of a model": ({"kind": "classification", "source": "model"}, "groups_recorded_only", "source"),
    "no outcome": ({"outcome": ""}, "outcome_missing", "outcome"),
    "nothing selected": ({"kind": "selection", "outcome": "invited"}, "selected_missing", "selected"),
    "unknown selected": ({"kind": "selection", "outcome": "invited", "selected": [""]}, "selected_missing", "selected"),
    "no explanation": ({"explanation": " "}, "words_needed", "explanation"),
    "no reason for test data": ({"data_kind": "test", "how_made": "Drawn."}, "words_needed", "why_test"),
    "test data from nowhere": ({"data_kind": "test", "why_test": "It is new."}, "words_needed", "how_made"),
    "category": ({"sex_values": {"m": "man"}}, "category_unknown", "sex_values.m"),
    "unknown as a category": ({"race_values": {"unknown": "white"}}, "value_unknown", "race_values.unknown"),
    "no values": ({"race_values": {}}, "values_missing", "race_values"),
    "no such table": (
        {"left_out": [{"table": "age", "category": "old", "reason": "Few."}]}, "not_one_of", "left_out.0.table",
    ),
    "no such category": (
        {"left_out": [{"table": "sex", "category": "white", "reason": "Few."}]}, "not_one_of", "left_out.0.category",
    ),
    "left out without a reason": (
        {"left_out": [{"table": "sex", "category": "male", "reason": ""}]}, "words_needed", "left_out.0.reason",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(WRONG))
def test_what_no_data_could_answer_is_refused_by_field(name):
    changes, code, field = WRONG[name]
    with pytest.raises(Wrong) as caught:
        asked(**ASKED | changes)
    assert (caught.value.code, caught.value.field) == (code, field)


def test_what_is_asked_is_plain_and_comes_back_whole():
    left_out = [{"table": "sex", "category": "male", "reason": " Few. "}] * 2
    whole = asked(
        **ASKED | {"kind": "selection", "outcome": "invited", "selected": [1, "1.0"], "left_out": left_out},
        dates={"audit_date": date(2026, 1, 5)},
    )
    assert whole.selected == ("1",)
    assert whole.left_out == ({"table": "sex", "category": "male", "reason": "Few."},)
    assert Ask.from_mapping(json.loads(json.dumps(whole.as_dict()))) == whole
    assert asked(**ASKED | {"source": "model"}).outcome == ""


def test_a_job_makes_it_evidence_without_a_verdict(committing_db, cast, signed_in, api):
    version, dataset = worlds.a_version(cast), applicants(cast)
    body = ASKED | {"dataset": dataset.pk, "audit_date": "2026-01-05"}
    path = f"/api/v1/versions/{version.pk}/ll144-audits/"
    answer = api(cast.developer).post(path, json.dumps(body), content_type="application/json")
    assert answer.status_code == 202, answer.content
    job = done(Job.objects.get(pk=answer.json()["id"]))
    assert job.state == "succeeded", job.error_sentence
    evidence = Evidence.objects.get()
    assert (evidence.kind, evidence.summary["verdict"], evidence.summary["audit_date"]) == (
        "ll144_audit",
        "",
        "2026-01-05",
    )
    assert job.result_url == reverse("report", args=[evidence.pk])
    assert "Local Law 144 calculations on" in signed_in(cast.validator).get("/reports/").content.decode()


def test_the_page_the_sheet_and_the_pdf_say_the_same(cast, signed_in):
    version, dataset = worlds.a_version(cast), applicants(cast)
    reason = "Four people say nothing. =1+1"
    rows = csv_bytes() + b"".join(b"male,white,0.5,0,helps\n" for _ in range(200))
    larger = worlds.a_dataset(
        cast, data=rows, roles={"gender": "sensitive", "ethnicity": "sensitive", "invited": "label"}
    )
    evidence = stored_audit(
        cast, version, larger, kind="selection", outcome="invited", selected=["1"],
        left_out=[{"table": "intersection", "category": "male/pacific_islander", "reason": reason}],
        dates={"distribution_date": date(2026, 1, 5), "notice_date": date(2026, 1, 2)}, auditor="Fair Figures LLP",
    )  # fmt: skip
    client = signed_in(cast.validator)
    text = client.get(reverse("report", args=[evidence.pk])).content.decode()
    for words in (
        "Female, Asian (not Hispanic or Latino)", "left out", "If none were left out", "29 CFR 1607.4(D)",
        "16 January 2026", "Use began earlier than 10 business days", "Fair Figures LLP", "Unknown is no category",
    ):  # fmt: skip
        assert words in text
    assert not {"within", "outside", "inconclusive"} & set(text.partition("<main")[2].lower().split())
    sheet = client.get(reverse("report-csv", args=[evidence.pk])).content.decode()
    found = {row["category"]: row for row in csv.DictReader(io.StringIO(sheet)) if row["table"] == "intersection"}
    assert found["male/pacific_islander"]["left_out_because"] == reason
    assert found["male/pacific_islander"]["impact_ratio"] == ""
    assert found["male/hispanic_or_latino"]["impact_ratio"] == "1"
    pdf = client.get(reverse("ll144-summary", args=[evidence.pk])).getvalue()
    assert pdf.startswith(b"%PDF-")
    assert pdf == client.get(reverse("ll144-summary", args=[evidence.pk])).getvalue()
    assert "Local Law 144 calculations on" in client.get(f"/versions/{version.pk}/?tab=evidence").content.decode()
    outside = signed_in(cast.outsider)
    assert outside.get(reverse("ll144-summary", args=[evidence.pk])).status_code == 404
    assert outside.get(reverse("ll144-new", args=[version.pk])).status_code == 404
    test_data = stored_audit(cast, version, dataset, data_kind="test", why_test="It is new.", how_made="Drawn by us.")
    assert "It is new." in client.get(reverse("report", args=[test_data.pk])).content.decode()
    assert client.get(reverse("ll144-summary", args=[test_data.pk])).getvalue() != pdf


def test_the_form_knows_the_values_and_keeps_what_was_typed(cast, signed_in):
    version = worlds.a_version(cast)
    client, address = signed_in(cast.developer), reverse("ll144-new", args=[version.pk])
    assert "Register a dataset" in client.get(address).content.decode()
    dataset = applicants(cast)
    page = client.get(address).content.decode()
    fields = fields_of(page, "explanation")
    guessed = {value[0] for name, value in fields.items() if name.startswith("race_")}
    assert guessed == set(RACE_VALUES), "gender and ethnicity are found by name, and the categories by value"
    given = fields | {
        "kind": ["scoring"], "outcome": ["score"], "explanation": ["All applications of 2025."],
        "left_out_2": ["sex:male"], "reason_2": [""],
    }  # fmt: skip
    refused = client.post(address, given)
    assert refused.status_code == 422
    assert "takes the auditor" in refused.content.decode()
    assert "All applications of 2025." in refused.content.decode()
    tomorrow = (date.today() + timedelta(days=3)).isoformat()
    assert client.post(address, given | {"reason_2": ["Few."], "audit_date": [tomorrow]}).status_code == 422
    assert not Job.objects.exists()
    assert {event.event for event in Event.objects.all()} >= {"report.requested.refused"}
    answer = client.post(address, given | {"left_out_2": [""]})
    job = Job.objects.get()
    assert answer.headers["Location"] == job.get_absolute_url()
    assert job.inputs["ask"]["race_values"] == RACE_VALUES
    assert "Take these" in client.get(f"{address}?dataset={dataset.pk}&sex=gender&race=nothing").content.decode()
    assert signed_in(cast.auditor).get(address).status_code == 403


REFUSED = {
    "not sensitive": ({"sex": "style"}, "not_sensitive", "sex"),
    "no such outcome": ({"outcome": "grade"}, "column_missing", "outcome"),
    "the outcome is an attribute": ({"outcome": "gender"}, "column_twice", "outcome"),
    "wrong words": ({"explanation": ""}, "words_needed", "explanation"),
    "what the model lacks": ({"source": "model"}, "inputs_differ", "dataset"),
    "a day to come": ({"dates": {"audit_date": date(9999, 1, 1)}}, "date_in_future", "audit_date"),
}  # fmt: skip


def test_a_refusal_leaves_nothing_but_its_record(cast):
    version, dataset = worlds.a_version(cast), applicants(cast)
    for changes, code, field in REFUSED.values():
        with pytest.raises(Refusal) as caught:
            request_ll144_audit(by=cast.developer, version=version, dataset=dataset, **ASKED | changes)
        assert (caught.value.code, caught.value.field) == (code, field)
    elsewhere = worlds.a_model(cast, by=cast.outsider, team=cast.outsider.grants.first().team)
    strange = worlds.a_version(cast, model=elsewhere, by=cast.outsider)
    with pytest.raises(Refusal) as caught:
        request_ll144_audit(by=cast.outsider, version=strange, dataset=dataset, **ASKED)
    assert caught.value.code == "dataset_of_another_team"
    assert not Job.objects.exists()
    refusals = Event.objects.filter(event="report.requested.refused")
    assert len(refusals) == len(REFUSED) + 1
