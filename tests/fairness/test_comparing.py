"""Two versions on the same rows: the job and its evidence, the page side by side, the API."""

from __future__ import annotations

import csv
import io

import pytest
from django.urls import reverse

from fairness.comparing import Side, comparison_report, sentence, warnings
from fairness.presenting import rates_by_group
from fairness.reports import content_of
from fairness.roles import Roles
from fairness.services import request_comparison_report
from fairness.views import lead, parts_of
from jobs.models import Job
from ledger.models import Event
from ledger.refusals import Denied, Refusal
from registry.models import Evidence
from tests import worlds
from tests.fairness.files import uncounted
from tests.fairness.reporting import done, stored_report

STRICTER = {**worlds.RULE, "at_least": 0.7}


def test_pairs_are_counted_by_group_and_the_same_each_time(tmp_path):
    data, model = tmp_path / "loans.csv", tmp_path / "tiny.onnx"
    data.write_bytes(worlds.csv_bytes())
    model.write_bytes(worlds.onnx_bytes())
    roles = Roles("approved", ("group",), worlds.FEATURES)
    old, new = (Side(name, model, rule, worlds.FEATURES) for name, rule in (("Old", worlds.RULE), ("New", STRICTER)))

    def report(one, other):
        return comparison_report(data, roles, positive="1", old=one, new=other)

    found = report(old, new)
    assert found == report(old, new)
    assert uncounted(found) == set()
    pairs = found["overall"]["pairs"]
    assert sum(pairs.values()) == found["overall"]["count"] == 200
    assert (pairs["after"], found["result"]["changed"]) == (0, pairs["before"])
    assert pairs["before"] == sum(group["pairs"]["before"] for group in found["attributes"][0]["groups"])
    rows = [row for row in csv.DictReader(io.StringIO(worlds.csv_bytes().decode())) if row["group"] == "b"]
    group = next(group for group in found["attributes"][0]["groups"] if group["name"] == "group = b")
    assert group["count"] == len(rows)
    # The tiny model's chance of class 1 is that of twice the sum of income and debt.
    assert group["pairs"]["both"] + group["pairs"]["before"] == sum(
        float(row["income"]) + float(row["debt"]) >= 0 for row in rows
    )
    assert "get a yes now" in found["result"]["sentence"]
    assert "moved most, and clearly" in found["result"]["sentence"]
    still = found["overall"] | {"pairs": {"both": 120, "before": 0, "after": 0, "neither": 80}}
    assert sentence(old, new, still, []) == "New decides as Old does about each of 200 rows."
    table = {"groups": [group | {"p_value_corrected": 0.2}]}
    assert sentence(old, new, found["overall"], [table]).endswith("No group's selection rate has clearly moved.")
    assert [warning["code"] for warning in warnings(roles)] == []
    weighted = Roles("approved", ("group",), worlds.FEATURES, weight="income")
    assert [warning["code"] for warning in warnings(weighted)] == ["unweighted"]


def test_a_comparison_becomes_evidence_of_the_newer_version_with_page_and_document(committing_db, cast, signed_in):
    old, dataset = worlds.a_version(cast), worlds.a_dataset(cast)
    new = worlds.a_version(cast, model=old.model, decision_rule=STRICTER)
    job = done(request_comparison_report(by=cast.developer, version=new, dataset=dataset, other=old))
    assert (job.state, job.error_sentence) == ("succeeded", "")
    evidence = Evidence.objects.get(kind="comparison_report")
    assert (evidence.version, evidence.title) == (new, f"Comparison with version {old.number} on {dataset}")
    assert evidence.summary["other"] == str(old.pk)
    assert Event.objects.about(evidence).get().event == "report.published"
    client = signed_in(cast.developer)
    page = client.get(job.result_url).content.decode()
    assert content_of(evidence)["result"]["sentence"] in page.replace("&#x27;", "'")
    table = list(csv.DictReader(io.StringIO(client.get(f"{job.result_url}report.csv").content.decode())))
    assert [row["group"] for row in table] == ["all rows", "group = a", "group = b"]
    paper = client.get(reverse("report-pdf", args=[evidence.pk]))
    assert paper.content.startswith(b"%PDF-")
    assert lead(evidence).startswith("How ")
    assert parts_of(evidence, content_of(evidence))["decision_words"].count("is at least") == 2
    both = [stored_report(cast, version, dataset) for version in (old, new)]
    page = client.get(reverse("report-compare", args=[both[1].pk])).content.decode()
    assert "What has changed" in page
    assert f'href="{job.result_url}"' in page


def test_what_cannot_be_compared_is_refused_and_two_reports_stand_side_by_side(cast, signed_in, api):
    old, dataset = worlds.a_version(cast), worlds.a_dataset(cast)
    new = worlds.a_version(cast, model=old.model, weight=-1.0)
    for other, code in ((new, "same_version"), (worlds.a_pinned_version(cast), "version_of_another_model")):
        with pytest.raises(Refusal) as refused:
            request_comparison_report(by=cast.developer, version=new, dataset=dataset, other=other)
        assert (refused.value.code, refused.value.field) == (code, "other")
    with pytest.raises(Denied):
        request_comparison_report(by=cast.auditor, version=new, dataset=dataset, other=old)
    robot, path = api(cast.ci_bot), f"/api/v1/versions/{new.pk}/comparison-reports/"
    answer = robot.post(path, {"dataset": dataset.pk, "other": 0}, content_type="application/json")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "other")
    assert not Job.objects.exists()
    told = [event.content["facts"]["code"] for event in Event.objects.filter(event="report.requested.refused")]
    assert {"same_version", "version_of_another_model"} <= set(told)

    client, first = signed_in(cast.developer), stored_report(cast, old, dataset)
    address = reverse("report-compare", args=[first.pk])
    assert "Nothing to compare with" in client.get(address).content.decode()
    assert client.post(address).status_code == 200
    second = stored_report(cast, new, dataset)
    assert address in client.get(reverse("report", args=[first.pk])).content.decode()
    page = client.get(f"{address}?with={second.pk}").content.decode()
    assert "Changes without intervals" in page
    rates = [rates_by_group(content_of(each))["group = b"]["rate"]["value"] for each in (first, second)]
    assert f"{abs(rates[1] - rates[0]):.3f}" in page
    assert client.get(f"{address}?with={first.pk}").status_code == 404
    assert signed_in(cast.auditor).post(address).status_code == 403
    assert signed_in(cast.outsider).get(address).status_code == 404
    assert client.get(reverse("report-compare", args=[worlds.a_document(cast, old).pk])).status_code == 404
    answer = client.post(f"{address}?with={second.pk}")
    (job,) = Job.objects.all()
    assert answer.headers["Location"] == job.get_absolute_url()
    assert (job.inputs["version"], job.inputs["other"]) == (str(new.pk), str(old.pk)), "from either report"
    asked = robot.post(path, {"dataset": dataset.pk, "other": old.pk}, content_type="application/json")
    assert (asked.status_code, asked.json()["id"]) == (202, job.pk), "the same inputs are the same job"
