"""What a version was trained on: said on its page, and measured by reports."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from django.db import DatabaseError, transaction

from fairness.computing import compute_bias
from fairness.services import request_bias_report
from ledger.models import Event, Record
from ledger.refusals import Denied, Refusal
from registry import storage
from registry.models import DataDeletion, Processing, TrainingRecord
from registry.training.services import record_training, trained_on
from tests import worlds
from tests.registry.test_pages import text_of

pytestmark = pytest.mark.django_db


def test_it_is_said_on_the_page_and_by_the_api(cast, signed_in):
    version, tested = worlds.a_version(cast), worlds.a_dataset(cast)
    browser, page = signed_in(cast.developer), f"/versions/{version.pk}/training/"
    assert "Trained on not said Say what it was trained on" in text_of(browser.get(version.get_absolute_url()))
    assert "No training data registered" in text_of(browser.get(page))
    trained = worlds.a_dataset(cast, purpose="training", name="The training rows")
    shown = text_of(browser.post(page, {"datasets": [trained.pk], "note": "All of it."}, follow=True))
    assert "Trained on The training rows" in shown
    row = TrainingRecord.objects.get()
    event = Event.objects.get(event="version.training_recorded")
    assert event.content["facts"] == {
        "number": 1, "datasets": [str(trained.pk)], "before": [], "artifacts": [trained.artifact.digest],
    }  # fmt: skip
    assert Record.objects.filter(event=event, object_type="registry.trainingrecord", object_id=str(row.pk)).exists()
    again = browser.post(page, {"datasets": [trained.pk]})
    assert (again.status_code, "what is recorded already" in text_of(again)) == (409, True)
    api = f"/api/v1/versions/{version.pk}/training/"
    wrong = browser.post(api, {"datasets": [tested.pk]}, content_type="application/json")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "not_training")
    theirs = worlds.an_upload(cast, worlds.csv_bytes(), "t.csv", by=cast.outsider, team=cast.other_team)
    assert browser.post(api, {"datasets": [theirs.pk + 9999]}, content_type="application/json").status_code == 422
    assert browser.post(api, {"datasets": []}, content_type="application/json").status_code == 201
    assert [each["datasets"] for each in browser.get(api).json()["results"]] == [[], [trained.pk]]
    assert not trained_on(version).exists()
    with pytest.raises(Denied):
        record_training(by=cast.validator, version=version, datasets=[trained])
    trained.team_id = cast.other_team.pk
    with pytest.raises(Refusal) as caught:
        record_training(by=cast.developer, version=version, datasets=[trained])
    assert caught.value.code == "dataset_of_another_team"
    assert TrainingRecord.objects.count() == 2
    with pytest.raises(DatabaseError), transaction.atomic():
        TrainingRecord.objects.update(datasets=[])


def test_a_report_counts_the_rows_that_the_version_was_trained_on(cast):
    version, tested = worlds.a_version(cast), worlds.a_dataset(cast)
    half = b"".join(worlds.csv_bytes().splitlines(keepends=True)[:101])
    trained = worlds.a_dataset(cast, purpose="training", data=half)
    record_training(by=cast.developer, version=version, datasets=[trained])
    shared = shared_rows(cast, version, tested)
    assert shared["dataset"] == trained.artifact.digest.partition(":")[2]
    assert shared["columns"] == ["approved", "group", "income", "debt"]
    assert shared["looked_at"] == 200 >= shared["shared"] >= 100
    processing = Processing.objects.create(
        dataset=trained, number=1, basis="none", phi=False, open_to="team", readers=[], note="x",
        recorded_by=cast.developer,
    )  # fmt: skip
    DataDeletion.objects.create(dataset=trained, processing=processing)
    again = shared_rows(cast, version, worlds.a_dataset(cast, data=worlds.csv_bytes(180)))
    assert (again["columns"], again["shared"]) == (None, 0)


def shared_rows(cast, version, dataset):
    job = request_bias_report(by=cast.developer, version=version, dataset=dataset, source="historical")
    made = compute_bias(unwatched(job))
    report = json.loads(storage.read(made.stored))
    assert {"training_overlap", "training_deleted"} & {each["code"] for each in report["warnings"]}
    (shared,) = report["rows"]["shared"]
    return shared


def unwatched(job):
    """As much of a worker's pulse as the computing of a report looks at: no thread, within the test's transaction."""
    return SimpleNamespace(job=job, progress=lambda percent, phase: None)
