"""Reports as jobs: asked for once, computed from the bytes on record, published once, refused with a sentence."""

from __future__ import annotations

import csv
import io
import random
import signal
import threading
import time

import pytest

from fairness.bias import canonical_bytes
from fairness.services import request_bias_report, request_explanation_report
from jobs.models import Job
from jobs.services import cancel, claim
from ledger.canonical import sha256
from ledger.models import Event
from ledger.refusals import Denied, Refusal
from registry import storage
from registry.models import Evidence
from tests import worlds
from tests.fairness.reporting import a_slow_world, done
from tests.jobs.workers import Workers, children, signal_all, wait_for


@pytest.fixture
def asked(cast):
    """`asked(source)` asks for a bias report on the usual world."""
    version, dataset = worlds.a_version(cast), worlds.a_dataset(cast)

    def ask(source="model", by=None, version=version, dataset=dataset, **more):
        return request_bias_report(by=by or cast.developer, version=version, dataset=dataset, source=source, **more)

    ask.version, ask.dataset = version, dataset
    return ask


def test_the_same_question_is_one_job_and_every_asking_an_event(db, cast, asked):
    first = asked()
    assert asked(by=cast.validator).pk == first.pk
    others = {asked("historical").pk, asked(rule={"bound": 0.9}).pk, asked(dataset=worlds.a_dataset(cast)).pk}
    assert first.pk not in others
    assert len(others) == 3
    events = Event.objects.filter(event="report.requested")
    assert {event.content["facts"]["job"] for event in events} == {str(pk) for pk in {first.pk, *others}}
    assert len(events) == 5
    assert events.first().content["object"] == {"type": "registry.version", "id": str(asked.version.pk)}


PATIENCE = 120  # seconds: two workers and a slow explanation on a busy machine have taken 30
IMPOSSIBLE = [
    ({"source": "oracle"}, "source_unknown", "source"),
    ({"rule": {"bound": 3}}, "rule_invalid", "rule"),
    ({"rule": {"colour": 3}}, "rule_invalid", "rule"),
    ({"reference": {"income": "1"}}, "not_sensitive", "reference"),
    ({"weight_kind": "heavy"}, "weights_unknown", "weight_kind"),
    ({"source": "historical", "rule": {"metric": "accuracy"}}, "metric_needs_predictions", "rule.metric"),
    ({"further_rules": [{"bound": 0.9}, {"bound": 3}]}, "rule_invalid", "further_rules.1"),
    ({"further_rules": [{"bound": 0.9}, {}]}, "rule_twice", "further_rules"),
    (
        {"source": "historical", "further_rules": [{"metric": "accuracy"}]},
        "metric_needs_predictions", "further_rules.0.metric",
    ),
    ({"sensitive": ["income"]}, "not_sensitive", "sensitive"),
    ({"sensitive": []}, "no_sensitive_attribute", "sensitive"),
]  # fmt: skip


def test_what_cannot_be_reported_is_refused_before_it_is_queued(db, cast, asked):
    for change, code, field in IMPOSSIBLE:
        with pytest.raises(Refusal) as refused:
            asked(**{"source": "model", **change})
        assert (refused.value.code, refused.value.field) == (code, field)
    assert not Job.objects.exists()
    told = [event.content["facts"]["code"] for event in Event.objects.filter(event="report.requested.refused")]
    assert sorted(told) == sorted(code for _, code, _ in IMPOSSIBLE)


def test_the_dataset_must_fit_the_version(db, cast, asked):
    without = "\n".join("1,a,0.5" if row % 2 else "0,b,0.1" for row in range(100))
    roles = {"approved": "label", "group": "sensitive", "income": "feature"}
    narrow = worlds.a_dataset(cast, data=f"approved,group,income\n{without}\n".encode(), roles=roles)
    with pytest.raises(Refusal, match="debt") as refused:
        asked(dataset=narrow)
    assert refused.value.code == "inputs_differ"
    assert asked("historical", dataset=narrow), "recorded decisions need no features"
    roles = {"approved": "label", "group": "other", "income": "feature", "debt": "feature"}
    plain = worlds.a_dataset(cast, roles=roles)
    with pytest.raises(Refusal) as refused:
        request_explanation_report(by=cast.developer, version=asked.version, dataset=plain)
    assert refused.value.code == "no_sensitive_attribute"


def test_asking_needs_the_permission_for_the_version(db, cast, asked):
    for stranger in (cast.outsider, cast.auditor, cast.platform_admin):
        with pytest.raises(Denied):
            asked(by=stranger)
    assert asked(by=cast.ci_bot)


def test_a_bias_report_becomes_evidence_about_the_bytes_on_record(committing_db, cast, asked):
    for source in ("model", "historical"):
        job = done(asked(source, further_rules=[{"comparison": "at_most", "bound": 1.0}]))
        assert (job.state, job.error_sentence) == ("succeeded", "")
        evidence = Evidence.objects.first()
        assert job.result_url == f"/reports/{evidence.pk}/"
        assert (evidence.kind, evidence.provenance, evidence.produced_by) == ("bias_report", "computed", cast.developer)
        summary = evidence.summary
        assert summary["source"] == source
        assert summary["artifact"] == asked.version.artifact.digest
        assert summary["dataset_digest"] == asked.dataset.artifact.digest
        assert summary["decision_rule"] == asked.version.decision_rule
        assert summary["verdict"] in ("within", "outside", "inconclusive", "too_few")
        rules = [summary["rule"], *(each["rule"] for each in summary["further"])]
        assert sorted(rule["comparison"] for rule in rules) == ["at_most", "impact_ratio"]
        frame = summary["frame"]
        assert [rule["comparison"] for rule in frame.pop("rules")] == ["impact_ratio", "at_most"]
        assert frame == {
            "correction": "bonferroni", "attributes": ["group"], "marked": ["group"], "reference": {},
            "positive": "1", "purpose": "test", "exclusions": [], "weights": "none",
        }  # fmt: skip
        event = Event.objects.about(evidence).get().content
        assert event["event"] == "report.published"
        assert event["actor"] == {"kind": "system", "id": "worker"}
        assert event["origin"]["channel"] == "job"
        assert event["facts"]["artifact"] == sha256(storage.read(evidence.artifact))


def test_an_explanation_report_becomes_evidence_and_the_same_inputs_give_the_same_bytes(committing_db, cast, asked):
    job = done(request_explanation_report(by=cast.developer, version=asked.version, dataset=asked.dataset))
    first = Evidence.objects.get()
    assert (job.state, first.kind) == ("succeeded", "explanation_report")
    assert first.summary["method"] == "exact Shapley values of a linear model"
    Job.objects.filter(pk=job.pk).update(state="failed")
    again = done(request_explanation_report(by=cast.developer, version=asked.version, dataset=asked.dataset))
    assert again.pk != job.pk
    assert {evidence.artifact for evidence in Evidence.objects.all()} == {first.artifact}


def rows_with(row, many=False, **changes):
    """The usual CSV with some cells of one row (from 1) changed, or with a group for each row."""
    table = list(csv.DictReader(io.StringIO(worlds.csv_bytes().decode())))
    table[row - 1] |= changes
    if many:
        table = [line | {"group": f"g{number}"} for number, line in enumerate(table)]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return out.getvalue().encode()


BAD = [
    (rows_with(17, income=""), "value_missing", ("income", "17")),
    (rows_with(23, debt="a lot"), "not_numeric", ("debt", "23", "a lot")),
]


def test_bad_data_fails_the_job_with_column_and_row(committing_db, cast, asked):
    for data, code, told in BAD:
        job = done(asked(dataset=worlds.a_dataset(cast, data=data)))
        assert (job.state, job.error_code) == ("failed", code)
        assert all(word in job.error_sentence for word in told), job.error_sentence
    assert not Evidence.objects.exists()
    with pytest.raises(Refusal) as refused:
        worlds.a_dataset(cast, data=rows_with(9, many=True))
    assert refused.value.code == "too_many_categories"


def test_damaged_bytes_are_not_reported_on(committing_db, cast, asked):
    job = asked()
    place = storage.local_root() / asked.version.artifact.path
    good = place.read_bytes()
    place.chmod(0o600)
    try:
        place.write_bytes(good[:-1] + b"?")
        assert done(job).error_code == "artifact_damaged"
    finally:
        place.write_bytes(good)
    assert "no longer has the digest" in Job.objects.get(pk=job.pk).error_sentence


def test_a_report_stops_when_it_is_cancelled(committing_db, cast, django_db_blocker):
    version, dataset = a_slow_world(cast)
    job = request_explanation_report(by=cast.developer, version=version, dataset=dataset)

    def cancel_when_running():
        from django.db import connection

        with django_db_blocker.unblock():
            wait_for(lambda: Job.objects.filter(pk=job.pk, phase__startswith="Explaining").exists())
            cancel(by=cast.developer, job=Job.objects.get(pk=job.pk))
            connection.close()

    canceller = threading.Thread(target=cancel_when_running)
    canceller.start()
    ended = done(job)
    canceller.join()
    assert ended.state == "cancelled"
    assert ended.progress < 95
    assert not Evidence.objects.exists()


def test_a_late_worker_leaves_neither_evidence_nor_event(committing_db, cast, asked):
    from fairness import tasks
    from fairness.computing import compute_bias
    from jobs.claims import Lost
    from jobs.running import Pulse

    job = asked()
    held = claim(job.pk)
    with Pulse(held) as pulse:
        computed = compute_bias(pulse)
    Job.objects.filter(pk=job.pk).update(state="queued")
    claim(job.pk)
    before = Event.objects.count()
    with pytest.raises(Lost):
        tasks.publish(held, computed)
    assert not Evidence.objects.exists()
    assert Event.objects.count() == before


@pytest.fixture
def workers(valkey, process_environment):
    workers = Workers(process_environment, valkey, stale=3)
    yield workers
    workers.close()


def mid_report(cast, workers):
    """A worker in the middle of a report, and the job."""
    worker = workers.start()
    version, dataset = a_slow_world(cast)
    job = request_explanation_report(by=cast.developer, version=version, dataset=dataset)
    under_way = Job.objects.filter(pk=job.pk, state="running", phase__startswith="Explaining")
    wait_for(under_way.exists, each=workers.tick, seconds=PATIENCE)
    return worker, job


def stands_once(job):
    assert (job.attempt, job.error_sentence) == (2, "")
    (evidence,) = Evidence.objects.all()
    assert job.result_url == f"/reports/{evidence.pk}/"
    (event,) = Event.objects.filter(event__startswith="report.published")
    assert (event.outcome, event.content["facts"]["attempt"]) == ("done", 2)


def succeeded(job):
    return lambda: Job.objects.filter(pk=job.pk, state="succeeded").first()


def test_a_worker_killed_in_mid_report_still_yields_one_report(committing_db, cast, workers):
    worker, job = mid_report(cast, workers)
    signal_all(worker, signal.SIGKILL)
    worker.wait()
    killed = time.monotonic()
    workers.start()
    wait_for(lambda: Job.objects.filter(pk=job.pk, attempt=2).exists(), each=workers.tick, seconds=PATIENCE)
    assert time.monotonic() - killed < 30
    stands_once(wait_for(succeeded(job), each=workers.tick, seconds=PATIENCE))


@pytest.mark.long
@pytest.mark.parametrize("moment", range(5))
def test_a_worker_killed_at_a_random_moment_leaves_one_report_and_a_page_that_told_the_truth(
    committing_db, cast, workers, moment, signed_in
):
    chance = random.Random(moment)  # noqa: S311
    worker = workers.start()
    version, dataset = a_slow_world(cast)
    job = request_explanation_report(by=cast.developer, version=version, dataset=dataset)
    client, page, told = signed_in(cast.developer), f"/jobs/{job.pk}/", []

    def look():
        workers.tick()
        text = client.get(page).content.decode()
        now = Job.objects.get(pk=job.pk)
        told.append(now.state)
        assert ("Read the result" in text) <= (now.state == "succeeded" and Evidence.objects.count() == 1)

    begun = time.monotonic()
    first = chance.uniform(0.0, 6.0)
    wait_for(lambda: time.monotonic() - begun > first, each=look)
    orphans = children(worker)
    signal_all(worker, signal.SIGKILL)
    worker.wait()
    wait_for(lambda: not any(one.is_running() for one in orphans))
    workers.start()
    ended = wait_for(succeeded(job), each=look, seconds=PATIENCE)
    (evidence,) = Evidence.objects.all()
    assert ended.result_url == f"/reports/{evidence.pk}/"
    assert Event.objects.filter(event="report.published").count() == 1
    assert set(told) <= {"queued", "running", "succeeded"}
    look()


def test_a_worker_paused_in_mid_report_cannot_publish_when_it_wakes(committing_db, cast, workers):
    worker, job = mid_report(cast, workers)
    signal_all(worker, signal.SIGSTOP)
    workers.start()
    ended = wait_for(succeeded(job), each=workers.tick, seconds=PATIENCE)
    signal_all(worker, signal.SIGCONT)
    wait_for(lambda: len(children(worker)) == 1)  # it has let go of the process in which it ran the model
    stands_once(Job.objects.get(pk=ended.pk))


def test_reports_are_written_canonically():
    assert canonical_bytes({"b": 1, "a": 0.5}) == b'{"a":0.5,"b":1}'
