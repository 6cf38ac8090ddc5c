"""Recording how a dataset is processed, and deleting its rows when their time is over."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.db.models.fields.json import KT

from accounts.models import User
from audits.erasing.holding import LOCK, covering
from ledger.actors import Actor, SystemActor
from ledger.door import Done, governed, mechanical
from ledger.events import database_time
from ledger.models import Event
from ledger.refusals import Refusal
from registry import storage
from registry.models import Artifact, Connection, Dataset, Evidence, Upload
from registry.processing import rules
from registry.processing.models import DataDeletion, Processing
from registry.services.inputs import account_of, words

WORKER = SystemActor("worker", frozenset({"registry.delete_data"}))
FIELDS = ("basis", "condition", "keep_until", "keep_days", "phi", "open_to", "readers")
log = logging.getLogger("registry.processing")


@governed(permission="registry.govern_dataset", event="dataset.processing_recorded", on="dataset")
def record_processing(
    *, by: Actor, dataset: Dataset, basis: str, note: str, condition: str = "", keep_until: date | None = None,
    keep_days: int | None = None, phi: bool = False, open_to: str = "team", readers: Sequence[User] = (),
    before: int | None = None,
) -> Done[Processing]:  # fmt: skip
    """The next edition of the dataset's record of processing. `before` is the number of the edition that was read.

    Raises Refusal `data_deleted`, `changed_meanwhile`, `nothing_changed`, `reader_unknown`, and those of `rules`.
    """
    account = account_of(by)
    if DataDeletion.objects.filter(dataset=dataset).exists():
        raise Refusal("data_deleted", "The rows of this dataset were deleted, so nothing is recorded about them.")
    last = dataset.processing.first()
    if before is not None and before != (last.number if last else 0):
        sentence = "Somebody recorded a change since you opened this. Look at what it says now, then send it again."
        raise Refusal("changed_meanwhile", sentence)
    for reader in readers:
        if not reader.is_active or not reader.has_perm("registry.read_rows", dataset):
            raise Refusal("reader_unknown", f"{reader} may not open rows in this team. Take them off.", "readers")
    given = {
        "basis": basis, "condition": condition, "keep_until": keep_until, "keep_days": keep_days, "phi": phi,
        "open_to": open_to, "readers": sorted({reader.opaque_id for reader in readers}),
    }  # fmt: skip
    fault = rules.fault_of(
        given, sensitive=bool(dataset.sensitive), registered=dataset.registered_at.date(), today=database_time().date()
    )
    if fault:
        raise Refusal(fault.code, fault.sentence, fault.field)
    changed = [name for name in FIELDS if last is None or getattr(last, name) != given[name]]
    if not changed:
        raise Refusal("nothing_changed", "This says the same as what is recorded. Change something, or leave it.")
    said = words(note, "note", most=1000)
    row = Processing.objects.create(
        dataset=dataset, number=last.number + 1 if last else 1, note=said, recorded_by=account, **given
    )
    facts = {"number": row.number, "changed": changed, **row.facts(), "before": last.facts() if last else None}
    return Done(row, facts=facts, discloses={"note": said}, changed=[row])


@governed(permission="registry.delete_data", event="dataset.data_deleted", on="dataset")
def delete_data(*, by: Actor, dataset: Dataset) -> Done[DataDeletion]:
    """Delete a dataset's rows, whose retention is over and which no legal hold covers. The bytes go right after.

    Raises Refusal `data_deleted`, `retention_runs` or `legal_hold`.
    """
    if DataDeletion.objects.filter(dataset=dataset).exists():
        raise Refusal("data_deleted", "The rows of this dataset were deleted already.")
    last = dataset.processing.first()
    end = last.last_day if last else None
    if last is None or end is None or end >= database_time().date():
        raise Refusal("retention_runs", "The rows of this dataset are to be kept for now.")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    if holds := holds_over(dataset):
        raise Refusal("legal_hold", f"A legal hold covers these rows ({len(holds)}). They go once it is lifted.")
    row = DataDeletion.objects.create(dataset=dataset, processing=last)
    facts = {
        "artifact": dataset.artifact.digest,
        "rows": dataset.rows,
        "processing": last.number,
        "kept_until": str(end),
    }
    return Done(row, facts=facts, changed=[row])


def holds_over(dataset: Dataset) -> list[int]:
    """Holds that cover the dataset, its reports, or a model or request that these are about."""
    about = Event.objects.filter(object_type="registry.dataset", object_id=str(dataset.pk))
    reports = [str(pk) for pk in Evidence.objects.filter(dataset=dataset).values_list("pk", flat=True)]
    used = Event.objects.filter(object_type="registry.evidence", object_id__in=reports)
    with connection.cursor() as cursor:
        return covering(cursor, [*about.values_list("pk", flat=True), *used.values_list("pk", flat=True)])


def delete_due() -> dict[str, int]:
    """Delete the rows whose time is over. Safe to run twice, and to kill anywhere: what was begun is ended next time.

    Holds are looked at first, so that a dataset that is held is not refused, and its refusal recorded, every hour.
    """
    count = {"deleted": 0, "held": 0, "removed": 0, "shared": 0}
    today = database_time().date()
    rows = Dataset.objects.filter(deletion=None).exclude(processing=None).prefetch_related("processing")
    for dataset in rows.order_by("pk"):
        last = dataset.current_processing
        end = last.last_day if last else None
        if end is None or end >= today:
            continue
        if holds_over(dataset):
            count["held"] += 1
            continue
        try:
            delete_data(by=WORKER, dataset=dataset)
            count["deleted"] += 1
        except Refusal as refusal:
            log.warning("%s: %s", dataset.pk, refusal.sentence)
    for deletion in DataDeletion.objects.filter(removed_at=None).select_related("dataset__artifact").order_by("pk"):
        count["removed" if remove_bytes(deletion) else "shared"] += 1
    return count


@mechanical("removes the bytes of rows whose deletion is an event; where that was cut off, it is tried again")
def remove_bytes(deletion: DataDeletion) -> bool:
    """Whether the bytes are gone now; False where another record refers to the same file."""
    with transaction.atomic():
        artifact = Artifact.objects.select_for_update().get(pk=deletion.dataset.artifact_id)
        if referred_to(artifact):
            return False
        storage.remove(artifact)
        for kept in rows_kept_of(deletion.dataset):
            storage.remove(kept)
        connection = deletion.dataset.connection_id
        if connection and not Dataset.objects.filter(connection=connection, deletion=None).exists():
            Connection.objects.filter(pk=connection).update(sealed=b"")
        DataDeletion.objects.filter(dataset__artifact=artifact, removed_at=None).update(removed_at=database_time())
    return True


def rows_kept_of(dataset: Dataset) -> list[Artifact]:
    """The files in which reports on a dataset keep single rows of it, where no other dataset's report has the same."""
    kept = Evidence.objects.annotate(rows_digest=KT("summary__rows__digest")).filter(rows_digest__isnull=False)
    elsewhere = kept.exclude(dataset=dataset).filter(dataset__deletion=None).values("rows_digest")
    wanted = kept.filter(dataset=dataset).exclude(rows_digest__in=elsewhere).values("rows_digest")
    return list(Artifact.objects.filter(digest__in=wanted))


def referred_to(artifact: Artifact) -> bool:
    """Whether anything but deleted datasets, and the uploads that they were made of, refers to these bytes."""
    deleted = DataDeletion.objects.filter(
        dataset__artifact=artifact, dataset__team=OuterRef("team"), deleted_at__gte=OuterRef("uploaded_at")
    )
    for relation in Artifact._meta.related_objects:
        model: Any = relation.related_model
        rows = model._base_manager.filter(**{relation.field.name: artifact})
        if model is Dataset:
            rows = rows.filter(deletion=None)
        elif model is Upload:
            rows = rows.exclude(Exists(deleted))
        if rows.exists():
            return True
    return False
