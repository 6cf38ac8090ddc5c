"""On what ground a dataset is kept, who opens its rows, and that its rows go when their time is over."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from accounts.models import Grant, Role
from audits.erasing.services import lift_hold, place_hold
from fairness.services import request_bias_report
from ledger.events import database_time
from ledger.models import Event, Record
from ledger.refusals import Denied, Refusal
from registry import storage
from registry.models import Artifact, DataDeletion, Processing
from registry.processing import rules
from registry.processing.services import WORKER, delete_data, record_processing
from registry.services import first_rows, record_dataset_download, record_download
from registry.tasks import delete_expired_data
from tests import worlds
from tests.fairness.reporting import stored_report
from tests.registry.test_pages import text_of

SAID = {"basis": "6.1.f", "condition": "none", "keep_days": 30, "note": "The credit archive's schedule."}
PLAIN: dict[str, Any] = {
    "basis": "6.1.f", "condition": "none", "keep_until": None, "keep_days": 30, "phi": False, "open_to": "team",
    "readers": [],
}  # fmt: skip
DAY = date(2026, 5, 1)


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"basis": "6.1.z"}, "basis_unknown", "basis"),
        ({"condition": "9.2.z"}, "condition_unknown", "condition"),
        ({"condition": ""}, "condition_missing", "condition"),
        ({"basis": "none", "phi": True}, "phi_is_personal", "phi"),
        ({"open_to": "all"}, "readers_unknown", "open_to"),
        ({"open_to": "named"}, "readers_missing", "readers"),
        ({"readers": [1]}, "readers_missing", "readers"),
        ({"keep_until": DAY}, "retention_twice", "keep_days"),
        ({"keep_days": 0}, "retention_invalid", "keep_days"),
        ({"keep_days": rules.LONGEST_DAYS + 1}, "retention_invalid", "keep_days"),
        ({"keep_days": None}, "retention_missing", "keep_until"),
        ({"keep_days": 9}, "retention_past", "keep_days"),
        ({"keep_days": None, "keep_until": DAY + timedelta(9)}, "retention_past", "keep_until"),
        ({}, None, None),
        ({"keep_days": 10}, None, None),
        ({"keep_days": None, "keep_until": DAY + timedelta(10)}, None, None),
        ({"basis": "none", "condition": "", "keep_days": None}, None, None),
        ({"phi": True, "condition": "9.2.h", "open_to": "named", "readers": [1]}, None, None),
    ],
)
def test_what_a_record_has_to_say(changes, code, field):
    given = {"sensitive": True, "registered": DAY, "today": DAY + timedelta(10)}
    fault = rules.fault_of({**PLAIN, **changes}, **given)
    assert (fault and fault.code, fault and fault.field) == (code, field)
    assert rules.fault_of({**PLAIN, "condition": ""}, **{**given, "sensitive": False}) is None


@pytest.mark.django_db
def test_editions_on_the_page_and_who_changed_what(cast, signed_in):
    owner, dataset = an_owner(cast), worlds.a_dataset(cast)
    browser, page = signed_in(owner), f"/datasets/{dataset.pk}/processing/"
    assert "Nobody has recorded on what ground" in text_of(browser.get(dataset.get_absolute_url()))
    sent = {**SAID, "before": 0, "open_to": "team", "phi": ""}
    wrong = browser.post(page, {**sent, "condition": ""})
    assert (wrong.status_code, "which condition of Article 9(2)" in text_of(wrong)) == (422, True)
    assert (
        Event.objects.get(event="dataset.processing_recorded.refused").content["facts"]["code"] == "condition_missing"
    )
    assert not Processing.objects.exists()
    assert "Legitimate interests" in text_of(browser.post(page, sent, follow=True))
    assert "changed since" not in text_of(browser.get(page))
    late = browser.post(page, {**sent, "note": "Again."})
    assert (late.status_code, "Somebody recorded a change" in text_of(late)) == (409, True)
    end = database_time().date() + timedelta(days=9)
    browser.post(page, {**sent, "before": 1, "keep_days": "", "keep_until": str(end), "phi": "on", "condition": "9.2.h",
                        "open_to": "named", "readers": [cast.validator.pk]})  # fmt: skip
    shown = text_of(browser.get(dataset.get_absolute_url()))
    assert f"Kept until {end}" in shown
    assert f"only the people named: {cast.validator}" in shown
    assert "changed condition, retention, health information, who may open rows, people named" in shown
    row, first = Processing.objects.order_by("-number")
    event = Event.objects.filter(event="dataset.processing_recorded").latest("id")
    assert event.content["facts"]["before"] == first.facts()
    assert event.content["facts"]["readers"] == [str(cast.validator.opaque_id)]
    assert SAID["note"] not in str(event.content)
    assert Record.objects.filter(event=event, object_type="registry.processing").exists()
    with pytest.raises(Refusal) as caught:
        record_processing(by=owner, dataset=dataset, **{**row.facts(), "keep_until": end, "readers": [cast.validator]},
                          note="The same.")  # fmt: skip
    assert caught.value.code == "nothing_changed"
    with pytest.raises(Refusal) as caught:
        record_processing(by=owner, dataset=dataset, **SAID, open_to="named", readers=[cast.auditor])
    assert (caught.value.code, caught.value.field) == ("reader_unknown", "readers")
    with pytest.raises(Denied):
        record_processing(by=cast.developer, dataset=dataset, **SAID)
    assert Processing.objects.count() == 2
    for change in (lambda: Processing.objects.update(phi=False), lambda: Processing.objects.all().delete()):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()
    answer = browser.get(f"/api/v1/datasets/{dataset.pk}/processing/").json()["results"]
    assert [each["number"] for each in answer] == [2, 1]
    assert answer[0]["last_day"] == str(end)
    posted = browser.post(
        f"/api/v1/datasets/{dataset.pk}/processing/", {**SAID, "open_to": "named", "readers": [cast.auditor.pk]},
        content_type="application/json",
    )  # fmt: skip
    assert posted.status_code == 422
    assert "reader_unknown" in posted.content.decode()
    assert browser.get(f"/api/v1/datasets/{dataset.pk}/").json()["processing"]["phi"] is True


def an_owner(cast):
    grant = {"role": Role.objects.get(slug="model_owner"), "team": cast.team, "granted_by": cast.platform_admin}
    Grant.objects.create(user=cast.second_developer, reason="owns it", **grant)
    return type(cast.second_developer).objects.get(pk=cast.second_developer.pk)


@pytest.mark.django_db
def test_only_the_people_named_open_rows_whatever_the_door(cast):
    owner, dataset = an_owner(cast), worlds.a_dataset(cast)
    upload = dataset.artifact.uploads.get()
    assert len(first_rows(by=cast.developer, dataset=dataset)[1]) == 20
    with pytest.raises(Denied):
        record_download(by=cast.auditor, of=upload)
    record_processing(by=owner, dataset=dataset, **SAID, open_to="named", readers=[cast.validator])
    for door in (
        lambda by: first_rows(by=by, dataset=dataset),
        lambda by: record_dataset_download(by=by, dataset=dataset),
        lambda by: record_download(by=by, of=upload),
    ):
        door(cast.validator)
        with pytest.raises(Refusal) as caught:
            door(cast.developer)
        assert caught.value.code == "rows_closed"
    assert Event.objects.filter(event="dataset.rows_opened", outcome="done").count() == 2
    assert Event.objects.filter(event="dataset.rows_opened.refused").count() == 1


def over(dataset):
    """Its record of processing as it will look when its time is over."""
    type(dataset).objects.filter(pk=dataset.pk).update(registered_at=database_time() - timedelta(days=40))


@pytest.mark.django_db
def test_rows_go_when_their_time_is_over_and_reports_say_so(cast, signed_in):
    owner, version, dataset = an_owner(cast), worlds.a_version(cast), worlds.a_dataset(cast)
    report = stored_report(cast, version, dataset, "historical")
    twin = worlds.a_dataset(cast, name="The same rows again")
    record_processing(by=owner, dataset=dataset, **SAID)
    nothing = {"deleted": 0, "held": 0, "removed": 0, "shared": 0}
    assert delete_expired_data() == nothing
    with pytest.raises(Refusal) as caught:
        delete_data(by=WORKER, dataset=dataset)
    assert caught.value.code == "retention_runs"
    with pytest.raises(Denied):
        delete_data(by=owner, dataset=dataset)
    over(dataset)
    of_team = place_hold(by=cast.risk_officer, kind="team", team=cast.team, reason="a lawsuit")
    assert delete_expired_data() == {**nothing, "held": 1}
    with pytest.raises(Refusal) as caught:
        delete_data(by=WORKER, dataset=dataset)
    assert caught.value.code == "legal_hold"
    assert not DataDeletion.objects.exists()
    lift_hold(by=cast.risk_officer, hold=of_team, reason="it is over")
    of_model = place_hold(by=cast.risk_officer, kind="model", model=str(version.model.pk), reason="a lawsuit")
    place_hold(by=cast.risk_officer, kind="model", model=str(worlds.a_model(cast).pk), reason="another")
    log_report(cast, report)
    assert delete_expired_data() == {**nothing, "held": 1}
    lift_hold(by=cast.risk_officer, hold=of_model, reason="it is over")
    assert delete_expired_data() == {**nothing, "deleted": 1, "shared": 1}, "another dataset has the same bytes"
    assert storage.read(dataset.artifact)
    record_processing(by=owner, dataset=twin, **SAID)
    over(twin)
    assert delete_expired_data() == {**nothing, "deleted": 1, "removed": 2}
    assert delete_expired_data() == {**nothing}
    assert DataDeletion.objects.filter(removed_at=None).count() == 0
    with pytest.raises(Refusal) as caught:
        storage.read(dataset.artifact)
    assert caught.value.code == "artifact_missing"
    event = Event.objects.filter(event="dataset.data_deleted").earliest("id")
    assert event.content["facts"]["artifact"] == dataset.artifact.digest
    browser = signed_in(cast.validator)
    assert "The rows are deleted" in text_of(browser.get(f"/reports/{report.pk}/"))
    assert "The rows are deleted" in text_of(browser.get(f"/evidence/{report.pk}/"))
    page = text_of(browser.get(dataset.get_absolute_url()))
    assert "The rows are deleted" in page
    assert "Open first rows" not in page
    assert browser.get(f"/api/v1/datasets/{dataset.pk}/").json()["rows_deleted_at"]
    assert browser.get(f"/api/v1/evidence/{report.pk}/").json()["dataset"]["rows_deleted_at"]
    for act in (
        lambda: first_rows(by=cast.validator, dataset=dataset),
        lambda: request_bias_report(by=cast.developer, version=version, dataset=dataset, source="historical"),
        lambda: record_processing(by=owner, dataset=dataset, **SAID),
        lambda: delete_data(by=WORKER, dataset=dataset),
    ):
        with pytest.raises(Refusal) as caught:
            act()
        assert caught.value.code == "data_deleted"
    worlds.an_upload(cast, worlds.csv_bytes(), "again.csv")
    assert storage.read(Artifact.objects.get(pk=dataset.artifact_id)), "sent again, it is there again"
    assert delete_expired_data() == nothing


def log_report(cast, report):
    """The report's own entry in the log, which a worker writes when it publishes one."""
    from ledger.actors import SystemActor
    from ledger.events import append

    worker = SystemActor("worker", frozenset())
    append("report.published", by=worker, on=report, team=cast.team.pk, facts={"version": str(report.version_id)})


@pytest.mark.django_db
def test_bytes_stay_while_anything_else_refers_to_them(cast):
    owner, dataset = an_owner(cast), worlds.a_dataset(cast)
    record_processing(by=owner, dataset=dataset, **SAID)
    over(dataset)
    worlds.an_upload(cast, worlds.csv_bytes(), "theirs.csv", by=cast.outsider, team=cast.other_team)
    assert delete_expired_data()["shared"] == 1
    assert storage.read(dataset.artifact)
    with pytest.raises(DatabaseError), transaction.atomic():
        DataDeletion.objects.update(deleted_at=database_time())
