"""Acts about the rows that a batch reads of a connection: recording what was read, and forgetting what is damaged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from audits.exports import keeping
from inference.batch.checking import check_rows
from inference.batch.models import Batch, BatchExtract
from inference.batch.services import PERMISSION, read_facts
from jobs.claims import Claim
from jobs.services import advanced
from ledger.actors import Actor
from ledger.door import Done, governed, mechanical
from registry.connecting.services import facts_of


@dataclass(frozen=True)
class Read:
    """What a worker has read of a connection: a Parquet file in the storage, and by what its rows are known."""

    at: datetime
    rows: int
    rows_hash: str
    file: str
    digest: str
    size: int


@governed(permission=PERMISSION, event="batch.rows_fetched", on="batch", lock=False)
def record_extract(*, by: Actor, batch: Batch, read: Read, claim: Claim) -> Done[BatchExtract]:
    """Say what was read, whose file is in the storage already. From here on an attempt goes on with these rows.

    Raises Lost where the job is another's by now; and Denied, or Refusal `data_deleted` or `rows_closed`, where whoever
    asked may not open the rows any more.
    """
    dataset = batch.dataset
    assert dataset is not None
    assert dataset.connection is not None
    check_rows(batch.asked_by, dataset)
    advanced(claim)
    extract = BatchExtract.objects.create(
        batch=batch, read_at=read.at, rows=read.rows, rows_hash=read.rows_hash, file=read.file, digest=read.digest,
        size=read.size,
    )  # fmt: skip
    facts = facts_of(dataset.connection) | {
        "dataset": str(dataset.pk), "artifact": dataset.artifact.digest, "keys": batch.keys,
        "read": read_facts(extract), "job": str(claim.job.pk), "attempt": claim.attempt,
    }  # fmt: skip
    return Done(extract, facts=facts)


@mechanical("forgets rows whose file is not as it was written, and what was made of them, so that all are read again")
def forget_extract(claim: Claim, batch: Batch) -> None:
    """Raises Lost: a worker that was away must not undo what the next one did."""
    extract = batch.extract
    assert extract is not None
    with transaction.atomic():
        advanced(claim)
        batch.parts.all().delete()
        BatchExtract.objects.filter(pk=extract.pk).delete()
    if extract.file:
        keeping.remove(extract.file)
