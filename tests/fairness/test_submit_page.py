"""The page for predictions made elsewhere, and datasets whose outcome has not two values, from upload to report."""

from __future__ import annotations

import re
from html import unescape

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from fairness.services import request_bias_report, request_explanation_report, submit_predictions
from fairness.tradeoff.services import request_trade_off_report
from jobs.models import Job
from ledger.models import Event
from ledger.refusals import Refusal
from registry.models import Artifact
from tests import worlds
from tests.fairness.reporting import done
from tests.forms import fields_of

SCORES = [round((row * 37 % 100) / 100, 2) for row in range(200)]
NUMBER = {"approved": "other", "group": "sensitive", "income": "label_number"}
CLASSES = {"approved": "label_classes", "group": "sensitive"}


def file(values, header="score"):
    return SimpleUploadedFile("scores.csv", "\n".join([header, *map(str, values)]).encode())


def text_of(answer):
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", answer.content.decode())).split())


@pytest.fixture
def page(cast, signed_in):
    """Address and fields of the form, as a browser has them, for the usual version and dataset."""
    version, dataset = worlds.a_version(cast), worlds.a_dataset(cast)
    address = reverse("predictions-new", args=[version.pk])
    client = signed_in(cast.developer)
    given = fields_of(client.get(address).content.decode(), "at_least")
    return client, address, {name: value for name, value in given.items() if name != "file"}, (version, dataset)


def test_a_file_is_what_the_api_takes_and_twice_is_once(cast, page):
    client, address, given, (version, dataset) = page
    assert given["task"] == ["binary"]
    more = given | {"where": "file", "task": "binary", "at_least": "0.5", "scale": "probability"}
    first = client.post(address, more | {"file": file(SCORES)})
    (job,) = Job.objects.all()
    assert first.headers["Location"] == job.get_absolute_url()
    sent = {"version": version, "dataset": dataset, "at_least": 0.5, "scale": "probability"}
    assert submit_predictions(by=cast.ci_bot, predictions=SCORES, **sent).pk == job.pk
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": list(range(200)), "p": SCORES}), sink)
    parquet = SimpleUploadedFile("scores.parquet", sink.getvalue().to_pybytes())
    assert client.post(address, more | {"file": parquet, "column": "p"}).headers["Location"] == job.get_absolute_url()
    assert Event.objects.filter(event="report.requested").count() == 3


REFUSED = [
    ({}, None, "Choose the file."),
    ({}, file([0.5, 0.5]), "There are 2 predictions for 200 rows."),
    ({}, file([f"{score},1" for score in SCORES], "a,b"), "Say which one to take."),
    ({"column": "c"}, file(SCORES), "The file has no column 'c'."),
    ({}, file(["high", *SCORES[1:]]), "The prediction for row 1 is 'high', where a number is wanted."),
    ({"where": "dataset", "task": "regression", "at_least": ""}, None, "Say from which number on"),
    ({"where": "dataset", "task": "multiclass"}, None, "Classes have no threshold."),
    ({"where": "dataset"}, None, "Send predictions, one a row, or register the dataset with a column"),
    ({"bound": "7"}, file(SCORES), "less than or equal to 1"),
]


def test_what_the_api_refuses_the_page_refuses_and_keeps_what_was_typed(cast, page, signed_in):
    client, address, given, _ = page
    before = Artifact.objects.count()
    for change, sent, words in REFUSED:
        more = given | {"where": "file", "task": "binary", "at_least": "0.5", "minimum_group_size": "44"} | change
        answer = client.post(address, more | ({"file": sent} if sent else {}))
        assert (answer.status_code, words in text_of(answer)) == (422, True), text_of(answer)
        assert 'value="44"' in answer.content.decode()
    assert (Job.objects.count(), Artifact.objects.count()) == (0, before)
    assert signed_in(cast.outsider).get(address).status_code == 404
    auditor = signed_in(cast.auditor)
    assert auditor.get(address).status_code == 403
    refused = Event.objects.filter(event="report.requested.refused").count()
    right = given | {"where": "file", "task": "binary", "at_least": "0.5", "file": file(SCORES)}
    assert auditor.post(address, right).status_code == 403
    assert Event.objects.filter(event="report.requested.refused").count() == refused + 1
    assert not Job.objects.exists()


def test_an_outcome_that_is_a_number_goes_from_its_page_to_a_report(committing_db, cast, signed_in):
    version = worlds.a_pinned_version(cast)
    dataset = worlds.a_dataset(cast, roles=NUMBER, positive_class="")
    client, address = signed_in(cast.developer), reverse("predictions-new", args=[version.pk])
    assert "income is a number" in text_of(client.get(dataset.get_absolute_url()))
    asking = client.get(reverse("report-new", args=[version.pk]))
    assert "The outcome is a number: it counts as yes from the threshold" in text_of(asking)
    assert fields_of(asking.content.decode(), "baseline")["what"] == ["model"]
    given = fields_of(client.get(address).content.decode(), "at_least")
    assert given["task"] == ["regression"]
    given = {name: value for name, value in given.items() if name != "file"} | {"at_least": "0.5"}
    client.post(address, given | {"file": file(SCORES)})
    job = Job.objects.get()
    assert (job.inputs["roles"]["label"], job.inputs["positive"]) == ("income", "at least 0.5")
    job = done(job)
    assert (job.state, job.error_sentence) == ("succeeded", "")
    assert "Errors by group" in text_of(client.get(job.result_url))


def test_reports_say_which_outcome_they_need(db, cast):
    version = worlds.a_version(cast)
    number = worlds.a_dataset(cast, roles=NUMBER, positive_class="")
    classes = worlds.a_dataset(cast, roles=CLASSES)
    nothing = worlds.a_dataset(cast, roles={"group": "sensitive"}, positive_class="")
    assert [each.labels for each in (number, classes, nothing)] == [["income"], ["approved"], []]
    assert nothing.record["positive_class"] == ""

    def refused(act, dataset, **more):
        with pytest.raises(Refusal) as caught:
            act(by=cast.developer, version=version, dataset=dataset, **more)
        return caught.value.code, caught.value.field

    for dataset in (number, classes):
        assert refused(request_trade_off_report, dataset, sensitive="group", us_employment=False) == (
            "outcome_differs", "dataset",
        )  # fmt: skip
    assert refused(request_bias_report, nothing, source="model") == ("label_missing", "dataset")
    for dataset, code in ((number, "outcome_differs"), (classes, "outcome_differs"), (nothing, "label_missing")):
        assert refused(submit_predictions, dataset, predictions=SCORES, at_least=0.5) == (code, "outcome")
    sent = {"by": cast.developer, "version": version, "predictions": [1, 0] * 100}
    assert submit_predictions(dataset=classes, task="multiclass", **sent).inputs["positive"] == "1"
    found = refused(submit_predictions, nothing, predictions=SCORES, at_least=0.5, outcome="approved")
    assert found == ("positive_class_missing", "positive")
    named = submit_predictions(dataset=nothing, outcome="approved", positive="1", **sent)
    assert named.inputs["roles"]["label"] == "approved"
    own = submit_predictions(dataset=number, outcome="income", task="regression", at_least=0.1, **sent)
    assert own.inputs["roles"]["label"] == "income"
    explained = request_explanation_report(by=cast.developer, version=version, dataset=nothing)
    assert explained.inputs["roles"]["label"] == ""
