"""Batches: every row scored once whatever happens to the worker, for as long as the gate says yes, and told of."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta

import numpy as np
import pytest
from django.db.models.functions import Now

from accounts.models import Role
from approvals.services import revoke
from inference.batch import services, tasks
from inference.batch.asking import Terms
from inference.batch.parts import first_bad, keep_part, keep_whole, table_of
from inference.batch.problems import BatchProblem
from inference.batch.scheduling import OnBehalf, add_schedule, end_schedule, run_due, run_schedule
from inference.batch.scoring import score
from inference.models import Batch, BatchPart, BatchSchedule
from jobs.claims import Claim, Lost
from jobs.models import Job
from jobs.services import claim, retry
from ledger.canonical import sha256
from ledger.models import Event
from ledger.refusals import Denied, Refusal
from registry import storage
from registry.onnx.decision import Output
from tests import worlds
from tests.inference.batches import a_stored_batch, an_approved_endpoint, attempt, expected, result_of
from tests.inference.world import an_endpoint
from tests.registry.test_pages import text_of

pytestmark = pytest.mark.django_db


def ask(cast, endpoint, dataset=None, **how):
    rows = {} if "upload" in how else {"dataset": dataset or worlds.a_dataset(cast)}
    return services.request_batch(by=cast.model_owner, endpoint=endpoint, chunk_rows=50, **rows, **how)


def loans():
    """Income and debt of the usual dataset, row by row."""
    return [
        [float(row["income"]), float(row["debt"])] for row in csv.DictReader(io.StringIO(worlds.csv_bytes().decode()))
    ]


def facts_of(event):
    return Event.objects.get(event=event).content["facts"]


class Killed(BaseException):
    """What ends a worker between two steps."""


def killed_after(rows):
    def at(percent, phase):
        if phase == f"Scored {rows} rows":
            raise Killed

    return at


def given_back(batch):
    """What the reconciler does with a job whose worker is gone."""
    Job.objects.filter(pk=batch.job_id).update(state="queued")


def test_every_row_is_scored_by_model_and_rule_and_the_file_is_taken_on_record(cast, api, signed_in):
    endpoint = an_approved_endpoint(cast)
    dataset, client = worlds.a_dataset(cast), api(cast.model_owner)
    path = f"/api/v1/endpoints/{endpoint.pk}/batches/"
    sent = {"dataset": dataset.pk, "chunk_rows": 60}
    made = client.post(path, sent, content_type="application/json")
    assert (made.status_code, made.json()["state"]) == (202, "queued")
    assert client.post(path, sent, content_type="application/json").json()["id"] == made.json()["id"], "asked twice"
    batch, told = Batch.objects.get(), []
    browser, home = signed_in(cast.model_owner), f"/batches/{batch.pk}/"
    assert "It waits for a free worker" in text_of(browser.get(home))
    assert client.get(f"{made['Location']}content/").json()["code"] == "batch_not_ready"
    batch = attempt(batch, lambda percent, phase: told.append(phase))
    assert [phase for phase in told if "Scored" in phase] == [f"Scored {n} rows" for n in (60, 120, 180, 200)]
    seen = client.get(made["Location"]).json()
    assert (seen["state"], seen["rows"], seen["complete"], seen["error"]) == ("succeeded", 200, True, None)
    data = b"".join(client.get(seen["content_url"]).streaming_content)
    assert sha256(data) == seen["digest"] == facts_of("batch.scored")["sha256"]
    found, (labels, scores, decisions) = result_of(data), expected(loans())
    assert list(found) == ["row", "label", "probabilities.0", "probabilities.1", "decision"]
    assert found["row"] == list(range(1, 201))
    assert (found["label"], found["decision"]) == (labels, decisions)
    assert found["probabilities.1"] == pytest.approx(scores, abs=1e-7)
    scored = facts_of("batch.scored")
    assert (scored["rows"], scored["parts"], scored["artifact"]) == (200, 4, endpoint.version.artifact.digest)
    assert scored["revision"] == endpoint.request.latest.digest
    assert facts_of("batch.downloaded")["sha256"] == seen["digest"]
    page = text_of(browser.get(home))
    assert "All 200 rows are scored" in page
    assert "hx-get" not in browser.get(f"{home}live/").content.decode()
    assert home in browser.get("/batches/").content.decode()
    assert home in signed_in(cast.developer).get("/batches/?tab=team").content.decode()
    assert home in browser.get(f"/endpoints/{endpoint.pk}/batches/").content.decode()
    assert not BatchPart.objects.exists()
    assert signed_in(cast.auditor).get(f"{home}content/").status_code == 403
    assert signed_in(cast.outsider).get(home).status_code == 404


def test_workers_that_die_and_files_that_are_damaged_change_no_bit_of_the_result(cast):
    endpoint = an_approved_endpoint(cast)
    one, other = ask(cast, endpoint), ask(cast, endpoint)
    undisturbed = attempt(one)
    with pytest.raises(Killed):
        attempt(other, killed_after(150))
    second = other.parts.get(number=2)
    (storage.local_root() / second.file).chmod(0o600)
    (storage.local_root() / second.file).write_bytes(b"something else")
    assert list(other.parts.values_list("first", flat=True)) == [1, 51, 101]
    given_back(other)
    with pytest.raises(Killed):
        attempt(other, killed_after(200))
    given_back(other)
    misread = Batch.objects.with_parts().get(pk=other.pk)
    misread.dataset.rows = 201
    with pytest.raises(BatchProblem, match="200 rows were read, where 201 were registered"):
        score(misread, claim(other.job_id), lambda percent, phase: None)
    given_back(other)
    done = attempt(other)
    assert done.job.attempt == 4
    assert (done.rows, done.digest) == (200, undisturbed.digest)


def test_a_revocation_stops_it_at_the_next_chunk_and_says_where(cast, api, signed_in):
    endpoint = an_approved_endpoint(cast)
    batch, later = ask(cast, endpoint), ask(cast, endpoint)

    def at(percent, phase):
        if phase == "Scored 100 rows":
            revoke(by=cast.approver, request=endpoint.request, reason="Drift in the field.")

    batch = attempt(batch, at)
    assert (batch.state, batch.rows, batch.complete, batch.job.state) == ("stopped", 100, False, "failed")
    assert batch.filename.endswith("-incomplete.parquet")
    facts = facts_of("batch.stopped")
    assert (facts["rows"], facts["code"], facts["sha256"]) == (100, "not_approved", batch.digest)
    client = api(cast.model_owner)
    told = client.get(f"/api/v1/batches/{batch.pk}/").json()
    assert (told["state"], told["error"]["code"]) == ("stopped", "not_approved")
    kept = result_of(b"".join(client.get(told["content_url"]).streaming_content))
    assert kept["row"] == list(range(1, 101))
    assert facts_of("batch.downloaded")["complete"] is False
    page = text_of(signed_in(cast.model_owner).get(f"/batches/{batch.pk}/"))
    assert "Stopped after row 100. The gate does not allow version 1 in production" in page
    assert "marked as incomplete" in text_of(signed_in(cast.model_owner).get(f"/jobs/{batch.job_id}/"))
    later = attempt(later)
    assert (later.state, later.rows, later.file) == ("stopped", 0, "")
    assert "before the first row" in later.stopped_sentence
    retry(by=cast.model_owner, job=batch.job)
    with pytest.raises(Refusal, match="ended for good"):
        attempt(batch)
    count = Job.objects.count()
    with pytest.raises(Refusal) as refused:
        ask(cast, endpoint)
    assert (refused.value.code, Job.objects.count()) == ("not_approved", count)
    assert facts_of("batch.requested.refused")["code"] == "not_approved"


def test_what_cannot_be_scored_is_refused_before_it_is_queued(cast, api):
    endpoint, dataset = an_approved_endpoint(cast), worlds.a_dataset(cast)
    upload = worlds.an_upload(cast, b"{}\n", "rows.jsonl")
    narrow = {"approved": "label", "group": "sensitive", "income": "feature"}
    without = worlds.a_dataset(cast, data=b"approved,group,income\n1,a,0.5\n0,b,0.5\n", roles=narrow)
    foreign = worlds.a_dataset(cast)
    foreign.team = cast.other_team
    elsewhere, vendor = an_endpoint(cast, model=endpoint.model), an_endpoint(cast, model=endpoint.model)
    vendor.version = worlds.a_pinned_version(cast)
    unapproved = an_endpoint(cast, endpoint.version, environment="staging")
    impossible = [
        ({"endpoint": elsewhere}, "unbound", None),
        ({"endpoint": vendor}, "bytes_not_here", None),
        ({"endpoint": unapproved}, "not_approved", None),
        ({"dataset": foreign}, "dataset_of_another_team", "dataset"),
        ({"dataset": None}, "rows_needed", "dataset"),
        ({"upload": upload}, "rows_needed", "dataset"),
        ({"chunk_rows": 0}, "chunk_rows_invalid", "chunk_rows"),
        ({"dataset": without}, "column_missing", "dataset"),
    ]
    for change, code, field in impossible:
        with pytest.raises(Refusal) as refused:
            services.request_batch(by=cast.model_owner, **{"endpoint": endpoint, "dataset": dataset, **change})
        assert (refused.value.code, refused.value.field) == (code, field)
    for stranger in (cast.outsider, cast.auditor, cast.developer):
        with pytest.raises(Denied):
            services.request_batch(by=stranger, endpoint=endpoint, dataset=dataset)
    assert not Batch.objects.exists()
    assert not Job.objects.exists()
    assert Event.objects.filter(event="batch.requested.refused").count() == len(impossible) + 3
    answer = api(cast.model_owner).post(
        f"/api/v1/endpoints/{endpoint.pk}/batches/", {"upload": 10**9}, content_type="application/json"
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_upload")


def test_a_file_from_the_browser_is_scored_or_refused_with_column_and_row(cast, signed_in, settings):
    endpoint, browser = an_approved_endpoint(cast), signed_in(cast.model_owner)
    path = f"/endpoints/{endpoint.pk}/batches/new/"
    assert "would be refused" not in text_of(browser.get(path))
    unbound = an_endpoint(cast, model=endpoint.model)
    page = text_of(browser.get(f"/endpoints/{unbound.pk}/batches/new/"))
    assert "It would be refused now The endpoint is bound to no version." in page
    assert "One of the two" in text_of(browser.post(path, {"dataset": ""}))
    lines = [{"income": 0.5, "debt": -0.25, "name": "x"}, {"income": 1, "debt": 2.5, "name": "y"}]

    def send(lines):
        data = lines if isinstance(lines, bytes) else "\n".join(map(json.dumps, lines)).encode()
        file = io.BytesIO(data)
        file.name = "rows.jsonl"
        page = browser.post(path, {"file": file}, follow=True)
        return Batch.objects.latest("pk"), text_of(page)

    batch, page = send(lines)
    assert "Version 1" in page
    assert attempt(batch).rows == 2
    taken = b"".join(browser.get(f"/batches/{batch.pk}/content/").streaming_content)
    assert sha256(taken) == facts_of("batch.downloaded")["sha256"]
    bad = [
        ([*lines, {"income": None, "debt": 1}], "value_missing", "“income” is empty in row 3"),
        ([*lines, {"income": 1, "debt": "much"}], "wrong_type", "“debt” holds “much” in row 3"),
        (
            [lines[0], {"income": 3e38, "debt": 3e38}],
            "output_not_finite",
            "“probabilities” is not a finite number in row 2",
        ),
    ]
    for rows, code, told in [*bad, (b"income,debt\n", "no_rows", "no rows")]:
        batch, _ = send(rows)
        with pytest.raises(BatchProblem, match=told) as refused:
            attempt(batch)
        assert refused.value.code == code
    settings.MAX_DATASET_ROWS = 1
    batch, _ = send([*lines, lines[0]])
    with pytest.raises(BatchProblem, match="after row 1,"):
        attempt(batch)
    batch, _ = send([{"income": 1}])
    tasks.score_batch(batch.job_id)
    page = text_of(browser.get(f"/batches/{batch.pk}/"))
    assert "debt" in page
    assert "There is no result. Code: column_missing" in page
    assert not Batch.objects.exclude(file="").exclude(rows=2).exists()


def test_a_schedule_asks_for_each_run_on_behalf_of_who_made_it(cast, signed_in):
    endpoint, dataset = an_approved_endpoint(cast), worlds.a_dataset(cast)
    browser, path = signed_in(cast.model_owner), f"/endpoints/{endpoint.pk}/batches/schedules/new/"
    for wrong in ("every day", "*/5 * * * *"):
        answer = browser.post(path, {"dataset": dataset.pk, "cron": wrong})
        assert answer.status_code == 422
    page = text_of(browser.post(path, {"dataset": dataset.pk, "cron": "0  4 * * *"}, follow=True))
    assert f"{dataset} 0 4 * * *" in page
    schedule = BatchSchedule.objects.get()
    assert run_due() == {"requested": 0, "refused": 0}

    def come():
        BatchSchedule.objects.update(next_at=Now() - timedelta(minutes=1))
        return tasks.run_due_batches()

    assert come() == {"requested": 1, "refused": 0}
    assert run_due() == {"requested": 0, "refused": 0}
    with pytest.raises(Refusal, match="asked for already"):
        run_schedule(by=OnBehalf(cast.model_owner), schedule=schedule)
    batch = Batch.objects.get()
    assert (batch.schedule, batch.asked_by) == (schedule, cast.model_owner)
    asked = Event.objects.get(event="batch.requested").content
    assert (asked["actor"]["id"], asked["on_behalf_of"]["id"]) == ("scheduler", str(cast.model_owner.opaque_id))
    assert come() == {"requested": 1, "refused": 0}
    revoke(by=cast.approver, request=endpoint.request, reason="Drift in the field.")
    assert come() == {"requested": 0, "refused": 1}
    assert run_due() == {"requested": 0, "refused": 0}
    told = Event.objects.filter(event="batch.requested.refused").order_by("id")
    assert [event.content["facts"]["code"] for event in told] == ["not_due", "not_approved"]
    assert Batch.objects.count() == 2
    browser.post(f"/batch-schedules/{schedule.pk}/end/")
    schedule.refresh_from_db()
    assert (schedule.state, schedule.ended_by) == ("stopped", cast.model_owner)
    with pytest.raises(Refusal, match="ended already"):
        end_schedule(by=cast.model_owner, schedule=schedule)
    assert come() == {"requested": 0, "refused": 0}
    with pytest.raises(Denied):
        add_schedule(by=cast.developer, endpoint=endpoint, dataset=dataset, cron="0 4 * * *")
    Role.objects.filter(slug="model_owner").update(permissions=[])
    with pytest.raises(Denied):
        attempt(batch)


def test_files_go_when_their_time_is_over_and_the_same_question_is_then_a_new_one(cast, api):
    endpoint, dataset = an_approved_endpoint(cast), worlds.a_dataset(cast)
    batch, _ = a_stored_batch(cast, endpoint, dataset)
    assert tasks.remove_old_batches() == 0
    assert services.request_batch(by=cast.model_owner, endpoint=endpoint, dataset=dataset) == batch
    Batch.objects.update(ended_at=Now() - timedelta(days=400))
    assert services.remove_old_batches() == 1
    batch.refresh_from_db()
    assert (batch.state, batch.file, batch.rows) == ("removed", "", 2)
    answer = api(cast.model_owner).get(f"/api/v1/batches/{batch.pk}/content/")
    assert (answer.status_code, answer.json()["code"]) == (409, "batch_removed")
    again = services.request_batch(by=cast.model_owner, endpoint=endpoint, dataset=dataset)
    assert again != batch
    # A worker that was away changes nothing, and one that goes on is not given up.
    late = claim(again.job_id)
    given_back(again)
    claim(again.job_id)
    part = {"first": 1, "rows": 50, "file": "batches/x", "digest": "sha256:x"}
    with pytest.raises(Lost):
        services.record_part(late, again, **part)
    Job.objects.filter(pk=again.job_id).update(tries=3)
    services.record_part(Claim(again.job, 2), again, **part)
    with pytest.raises(Lost):
        services.forget_parts(late, again, 1)
    no = services.Scored(again, Terms("", {}, ""), 0, 0, stopped=Refusal("not_approved", "No."))
    with pytest.raises(Lost):
        services.stop_batch(by=services.WORKER, batch=again, scored=no, claim=late)
    assert (again.parts.count(), Job.objects.get(pk=again.job_id).tries) == (1, 1)
    assert services.remove_old_batches() == 0
    Job.objects.filter(pk=again.job_id).update(state="failed", finished_at=Now() - timedelta(days=2))
    assert services.remove_old_batches() == 1
    assert not again.parts.exists()
    signed_anew = {**again.job.inputs, "revision": "sha256:another"}
    Job.objects.filter(pk=again.job_id).update(state="queued", inputs=signed_anew)
    stopped = attempt(again)
    assert (stopped.state, stopped.rows) == ("stopped", 0)
    assert "another signature" in stopped.stopped_sentence


def test_a_result_is_a_table_of_finite_numbers_in_one_form():
    yes = np.array([True, False])
    outputs = [
        Output("p", np.array([[0.5, 0.25], [1.0, 0.0]], dtype="float32"), ("no", "yes")),
        Output("name", np.array(["a", 7], dtype=object)),
        Output("version", np.array(3)),
    ]
    first = table_of(outputs, yes, 1)
    assert first.column_names == ["row", "p.no", "p.yes", "name", "decision"]
    with pytest.raises(BatchProblem, match=r"“p\.yes” is not a finite number in row 4"):
        table_of([Output("p", np.array([[1, 2], [3, np.inf]]), ("no", "yes"))], yes, 3)
    tables = [first, table_of(outputs[:1], yes, 3)]
    parts = []
    for table in tables:
        file, digest = keep_part(table, f"test-{len(parts)}")
        parts.append(BatchPart(number=len(parts) + 1, first=1 + 2 * len(parts), rows=2, file=file, digest=digest))
    assert first_bad(parts) is None
    assert first_bad(parts[1:]) == parts[1]
    with pytest.raises(BatchProblem, match="changes its form in row 3"):
        keep_whole(parts, "test-whole")
