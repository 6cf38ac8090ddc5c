"""Acts about batches: asking for one, keeping its parts, publishing or stopping it, and taking its result away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import IO, Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse

from accounts.models import User
from audits.exports import keeping
from inference.batch.asking import Terms, terms_of
from inference.batch.checking import check_keys, checked_source, servable
from inference.batch.models import Batch, BatchExtract, BatchPart, BatchSchedule
from inference.models import Endpoint
from jobs.claims import Claim, Lost
from jobs.models import Job
from jobs.services import advanced, enqueue, fail
from jobs.services import publish as end_job
from ledger.actors import Actor, SystemActor
from ledger.canonical import timestamp
from ledger.door import Done, governed, mechanical
from ledger.refusals import Refusal
from registry.models import Dataset, Upload
from registry.processing.opening import check_open, check_rows_in

# Who may hand out keys to an endpoint may ask it for as many predictions as they like.
PERMISSION = "inference.issue_key"
SCORE = "inference.score_batch"
WORKER = SystemActor("worker", frozenset({PERMISSION}))
FOLDER = "batches"
CHUNK_ROWS = 10_000
MOST_CHUNK_ROWS = 100_000
AGAIN = "Run the batch again."


@governed(permission=PERMISSION, event="batch.requested", on="endpoint", lock=False)
def request_batch(
    *, by: Actor, endpoint: Endpoint, dataset: Dataset | None = None, upload: Upload | None = None,
    chunk_rows: int = CHUNK_ROWS, keys: Sequence[str] = (),
) -> Done[Batch]:  # fmt: skip
    """The batch over all rows of a dataset or an uploaded file, with its job.

    A dataset that is connected is read by the worker, as it is then; `keys` are columns of it by which its rows are
    ordered and known. The same asked twice is one batch, while it is under way or, but for a connection, its result is
    there. Raises Refusal `unbound`, `bytes_not_here`, `rows_needed`, `chunk_rows_invalid`, `not_approved`,
    `dataset_of_another_team`, `upload_of_another_team`, `data_deleted`, `rows_closed`, `connection_closed`,
    `secret_unreadable`, `too_many_rows`, `keys_invalid`, `keys_unused` or `column_missing`.
    """
    assert isinstance(by, User)
    return requested(by, by, endpoint, dataset, upload, chunk_rows, keys)


def requested(
    by: Actor, account: User, endpoint: Endpoint, dataset: Dataset | None, upload: Upload | None, chunk_rows: int,
    keys: Sequence[str], schedule: BatchSchedule | None = None,
) -> Done[Batch]:  # fmt: skip
    """The act beneath: `account` is whose rights to the rows count, and for whom it is done."""
    version = servable(endpoint)
    if not 1 <= chunk_rows <= MOST_CHUNK_ROWS:
        sentence = f"Between 1 and {MOST_CHUNK_ROWS:,} rows are scored at once."
        raise Refusal("chunk_rows_invalid", sentence, "chunk_rows")
    source = checked_source(account, endpoint, version, dataset, upload)
    check_keys(dataset, keys)
    terms = terms_of(version, endpoint, holding=True)
    same = Batch.objects.filter(endpoint=endpoint, version=version, dataset=dataset, upload=upload)
    inputs = {
        "endpoint": str(endpoint.pk), "version": str(version.pk), "model_digest": terms.artifact,
        "decision_rule": terms.rule, "revision": terms.revision, "source": source, "chunk_rows": chunk_rows,
        "due": timestamp(schedule.next_at) if schedule else None,
        # Once a result's time is over the same question is a new one.
        "removed": same.filter(removed_at__isnull=False).count(),
    }  # fmt: skip
    if "connection" in source:
        # Which rows are there now only the worker sees, so once a batch has ended the same question is a new one too.
        inputs |= {"keys": list(keys), "after": same.filter(ended_at__isnull=False).count()}
    what = dataset or upload
    job = enqueue(
        kind=SCORE, inputs=inputs, team_id=endpoint.team_id, subject=f"Batch of {version} on {what}", by=by,
        subject_url=reverse("endpoint-batches", args=[endpoint.pk]),
    )  # fmt: skip
    batch, _ = Batch.objects.get_or_create(
        job=job,
        defaults={
            "endpoint": endpoint, "version": version, "dataset": dataset, "upload": upload, "schedule": schedule,
            "revision": terms.revision, "chunk_rows": chunk_rows, "keys": list(keys), "asked_by": account,
        },
    )  # fmt: skip
    facts = about(batch, terms) | {"job": str(job.pk), "inputs": job.inputs_digest, "source": source}
    if schedule:
        facts["schedule"] = str(schedule.pk)
    return Done(batch, on=batch, facts=facts)


def about(batch: Batch, terms: Terms) -> dict[str, Any]:
    return {
        "endpoint": batch.endpoint.name, "version": str(batch.version_id), "artifact": terms.artifact,
        "revision": terms.revision, "environment": batch.endpoint.environment, "use": batch.endpoint.use,
    }  # fmt: skip


@mechanical("a chunk's rows are stored; what the whole comes to has its own event")
def record_part(claim: Claim, batch: Batch, *, first: int, rows: int, file: str, digest: str) -> BatchPart:
    """Say that a chunk is done, whose file is in the storage already. Raises Lost where the job is another's by now."""
    with transaction.atomic():
        advanced(claim)
        number = batch.parts.count() + 1
        return BatchPart.objects.create(
            batch=batch, number=number, first=first, rows=rows, file=file, digest=digest
        )  # fmt: skip


@mechanical("forgets parts whose files are not as they were written, so that their rows are scored again")
def forget_parts(claim: Claim, batch: Batch, number: int) -> None:
    """Those from this number on. Raises Lost: a worker that was away must not undo what the next one did."""
    with transaction.atomic():
        advanced(claim)
        batch.parts.filter(number__gte=number).delete()


@dataclass(frozen=True)
class Scored:
    """What a worker has made of a batch. `stopped` is the gate's refusal, where it said no before the last row.

    `file`, `digest` and `size` are of the Parquet file in the storage; empty where not one row was scored.
    """

    batch: Batch
    terms: Terms
    rows: int
    parts: int
    file: str = ""
    digest: str = ""
    size: int = 0
    stopped: Refusal | None = None


@governed(permission=PERMISSION, event="batch.scored", on="batch", lock=False)
def publish_batch(*, by: Actor, batch: Batch, scored: Scored, claim: Claim) -> Done[Batch]:
    """Every row is scored: say so and end the job, both or neither. Raises Lost or Cancelled, which leave nothing."""
    end_job(claim, result_url=batch.get_absolute_url())
    keep(batch, scored)
    return Done(batch, facts=facts_of(scored, claim))


@governed(permission=PERMISSION, event="batch.stopped", on="batch", lock=False)
def stop_batch(*, by: Actor, batch: Batch, scored: Scored, claim: Claim) -> Done[Batch]:
    """The gate says no: keep what was scored until then, marked as incomplete, and end the job. Raises Lost."""
    assert scored.stopped is not None
    refusal = scored.stopped
    where = f"Stopped after row {scored.rows:,}" if scored.rows else "Stopped before the first row"
    sentence = f"{where}. {refusal.sentence}"
    if not fail(claim, refusal.code, sentence, result_url=batch.get_absolute_url()):
        raise Lost
    keep(batch, scored, stopped_code=refusal.code, stopped_sentence=sentence)
    return Done(batch, facts=facts_of(scored, claim) | {"code": refusal.code})


def keep(batch: Batch, scored: Scored, **stopped: str) -> None:
    Batch.objects.filter(pk=batch.pk).update(
        ended_at=Now(), rows=scored.rows, file=scored.file, digest=scored.digest, size=scored.size or None, **stopped
    )


def facts_of(scored: Scored, claim: Claim) -> dict[str, Any]:
    read = scored.batch.extract
    return about(scored.batch, scored.terms) | ({"read": read_facts(read)} if read else {}) | {
        "source": claim.job.inputs["source"], "rows": scored.rows, "parts": scored.parts, "sha256": scored.digest,
        "size": scored.size, "job": str(claim.job.pk), "attempt": claim.attempt,
    }  # fmt: skip


def read_facts(extract: BatchExtract) -> dict[str, Any]:
    """Which rows of a connection it were."""
    return {
        "rows": extract.rows, "rows_hash": extract.rows_hash, "sha256": extract.digest, "size": extract.size,
        "at": timestamp(extract.read_at),
    }  # fmt: skip


def open_batch(*, by: Actor, batch: Batch) -> IO[bytes]:
    """The result, after it was recorded who takes it. Raises Refusal `batch_not_ready`, `batch_removed` and others."""
    return keeping.opened(*record_batch_download(by=by, batch=batch), again=AGAIN)


@governed(permission="registry.read_rows", event="batch.downloaded", on="batch", lock=False)
def record_batch_download(*, by: Actor, batch: Batch) -> Done[tuple[str, str]]:
    """Name in the storage and digest of what somebody takes away: a row for each row, so the rights to these count."""
    if batch.dataset is not None:
        check_open(by, batch.dataset)
    elif batch.upload is not None:
        check_rows_in(by, batch.upload.artifact)
    if batch.removed_at:
        raise Refusal("batch_removed", f"This file was removed because its time was over. {AGAIN}")
    if not batch.file:
        raise Refusal("batch_not_ready", "There is no file. Look at the batch's state, and ask again when it is done.")
    facts = {
        "endpoint": batch.endpoint.name, "sha256": batch.digest, "size": batch.size, "complete": batch.complete
    }  # fmt: skip
    return Done((batch.file, batch.digest), facts=facts)


@mechanical("removes files whose time is over, as the batch's page says it will; the batch and its events stay")
def remove_old_batches() -> int:
    """How many files went: old results, results of rows that were deleted, parts that nothing needs, and strays."""
    gone = 0
    old = Q(ended_at__lt=Now() - timedelta(days=settings.EXPORT_DAYS)) | Q(dataset__deletion__isnull=False)
    # A file that was uploaded may have become a dataset since.
    old |= Q(upload__artifact__datasets__deletion__isnull=False)
    for batch in Batch.objects.filter(old, removed_at=None).exclude(file="").distinct():
        keeping.remove(batch.file)
        Batch.objects.filter(pk=batch.pk).update(removed_at=Now(), file="")
        gone += 1
    given_up = Q(
        batch__job__state__in=[Job.State.FAILED, Job.State.CANCELLED],
        batch__job__finished_at__lt=Now() - timedelta(days=1),
    )
    needless = Q(batch__ended_at__isnull=False) | Q(batch__dataset__deletion__isnull=False) | given_up
    gone += remove_parts(BatchPart.objects.filter(needless))
    gone += remove_extracts(BatchExtract.objects.filter(needless))
    # Tried again, such a batch reads its connection anew.
    BatchExtract.objects.filter(given_up, batch__ended_at=None).delete()
    known = {
        name for model in (Batch, BatchPart, BatchExtract)
        for name in model._default_manager.exclude(file="").values_list("file", flat=True)
    }  # fmt: skip
    keeping.remove_abandoned()
    for name in keeping.strays(known, FOLDER):
        keeping.remove(name)
        gone += 1
    return gone


@mechanical("removes the parts of what is one file now, and the rows that were read for it; the events have digests")
def clear_parts(batch: Batch) -> None:
    remove_parts(batch.parts.filter(batch__ended_at__isnull=False))
    remove_extracts(BatchExtract.objects.filter(batch=batch, batch__ended_at__isnull=False))


def remove_parts(parts: Any) -> int:
    """Rows first: a file that no row names does no harm."""
    files = list(parts.values_list("file", flat=True))
    parts.delete()
    for file in files:
        keeping.remove(file)
    return len(files)


def remove_extracts(extracts: Any) -> int:
    """Their files; what was read of a connection stays told."""
    found = list(extracts.exclude(file="").values_list("pk", "file"))
    for key, file in found:
        keeping.remove(file)
        BatchExtract.objects.filter(pk=key, file=file).update(file="")
    return len(found)
