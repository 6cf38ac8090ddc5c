"""Batches that were asked for, the parts of one that are done, and what has batches run again and again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse

from jobs.models import Job

PERSON = settings.AUTH_USER_MODEL


class OfEndpointQuerySet(models.QuerySet[Any]):
    """Rows that are seen by whoever may see their endpoint."""

    def visible_to(self, user: Any) -> Any:
        return self.filter(user.scope("inference.view_endpoint").q("endpoint__model__team"))


class BatchScheduleQuerySet(OfEndpointQuerySet):
    def with_parts(self) -> Any:
        return self.select_related("endpoint__model__team", "dataset", "created_by", "ended_by")

    def due(self) -> Any:
        """Those whose time has come, by the database's clock."""
        return self.filter(ended_at=None, next_at__lte=Now())


class BatchSchedule(models.Model):
    """When an endpoint's version is to score a dataset, again and again, on behalf of whoever said so."""

    endpoint = models.ForeignKey("inference.Endpoint", models.PROTECT, related_name="batch_schedules")
    dataset = models.ForeignKey("registry.Dataset", models.PROTECT, related_name="batch_schedules")
    keys = models.JSONField(default=list, help_text="As of a batch")
    cron = models.CharField(max_length=100, help_text="Five fields, in UTC")
    created_by = models.ForeignKey(PERSON, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    next_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ended_by = models.ForeignKey(PERSON, models.PROTECT, null=True, related_name="+")

    objects = BatchScheduleQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index("next_at", name="batch_schedule_due", condition=Q(ended_at=None))]

    def __str__(self) -> str:
        return f"{self.dataset} at {self.cron}"

    @property
    def team_id(self) -> int:
        return self.endpoint.team_id

    @property
    def state(self) -> str:
        return "active" if self.ended_at is None else "stopped"


class BatchQuerySet(OfEndpointQuerySet):
    def with_parts(self) -> Any:
        return self.select_related(
            "endpoint__model__team", "version__artifact", "version__model", "job", "asked_by", "dataset__artifact",
            "dataset__deletion", "dataset__connection", "upload__artifact", "kept_extract",
        )  # fmt: skip


class Batch(models.Model):
    """One run of one version over all rows of a dataset or a file. What came of it is known when it has ended.

    `rows` are the rows that were scored; a batch that the gate stopped has `stopped_code`, and its file is incomplete.
    """

    job = models.OneToOneField(Job, models.PROTECT, related_name="batch")
    endpoint = models.ForeignKey("inference.Endpoint", models.PROTECT, related_name="batches")
    version = models.ForeignKey("registry.Version", models.PROTECT, related_name="batches")
    # Neither refers to the bytes themselves: those of a dataset go when their time is over.
    dataset = models.ForeignKey("registry.Dataset", models.PROTECT, null=True, related_name="batches")
    upload = models.ForeignKey("registry.Upload", models.PROTECT, null=True, related_name="batches")
    schedule = models.ForeignKey(BatchSchedule, models.PROTECT, null=True, related_name="batches")
    keys = models.JSONField(default=list, help_text="Columns of a connection by which its rows are ordered and known")
    revision = models.CharField(max_length=71, help_text="Digest of the signed revision that allowed it")
    chunk_rows = models.PositiveIntegerField()
    asked_by = models.ForeignKey(PERSON, models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    rows = models.BigIntegerField(null=True)
    stopped_code = models.CharField(max_length=40, blank=True)
    stopped_sentence = models.TextField(blank=True)
    digest = models.CharField(max_length=71, blank=True)
    size = models.BigIntegerField(null=True, help_text="Bytes")
    file = models.CharField(max_length=200, blank=True, help_text="Name in the storage; empty when it is not there")
    removed_at = models.DateTimeField(null=True, help_text="When the file was removed because its time was over")

    objects = BatchQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(dataset=None, upload__isnull=False) | Q(dataset__isnull=False, upload=None),
                name="batch_of_one_source",
            ),
            models.CheckConstraint(condition=Q(chunk_rows__gte=1), name="batch_chunk_rows"),
        ]

    def __str__(self) -> str:
        return f"Batch {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("batch", args=[self.pk])

    @property
    def team_id(self) -> int:
        return self.endpoint.team_id

    @property
    def source(self) -> Any:
        """The dataset or the upload: either has its artifact."""
        return self.dataset or self.upload

    @property
    def source_name(self) -> str:
        return str(self.source)

    @property
    def extract(self) -> BatchExtract | None:
        """What was read of a connection; None before that, and for a file."""
        return getattr(self, "kept_extract", None)

    @property
    def input(self) -> Any:
        """Whose bytes hold the rows: what was read of a connection, else the source's artifact."""
        return self.extract or self.source.artifact

    @property
    def complete(self) -> bool:
        return self.ended_at is not None and not self.stopped_code

    @property
    def state(self) -> str:
        """The job's state; `stopped` where the gate said no, `removed` once the file is gone."""
        if self.removed_at:
            return "removed"
        return "stopped" if self.stopped_code else self.job.shown_state

    @property
    def kept_until(self) -> datetime | None:
        """When the file's time is over."""
        return self.ended_at + timedelta(days=settings.EXPORT_DAYS) if self.ended_at else None

    @property
    def filename(self) -> str:
        return f"batch-{self.pk}-{self.endpoint.name}{'' if self.complete else '-incomplete'}.parquet"


class BatchPart(models.Model):
    """A chunk that is scored and stored: rows from `first` on, counted from 1. Gone once the whole is one file."""

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    first = models.BigIntegerField()
    rows = models.PositiveIntegerField()
    file = models.CharField(max_length=200)
    digest = models.CharField(max_length=71)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint("batch", "number", name="batch_part_once")]

    def __str__(self) -> str:
        return f"Part {self.number} of batch {self.batch_id}"


class BatchExtract(models.Model):
    """All rows of a connection as they were at one moment, in a file of the batch's own until it has ended."""

    batch = models.OneToOneField(Batch, models.CASCADE, related_name="kept_extract")
    read_at = models.DateTimeField(help_text="When reading began: the rows are as they were then")
    rows = models.BigIntegerField()
    rows_hash = models.CharField(max_length=64, help_text="As of a connection's rows, whatever their order")
    digest = models.CharField(max_length=71)
    size = models.BigIntegerField(help_text="Bytes")
    file = models.CharField(max_length=200, blank=True, help_text="Name in the storage; empty when it is not there")

    def __str__(self) -> str:
        return f"Rows of batch {self.batch_id}"

    @property
    def path(self) -> str:
        """As an artifact's, so that it is opened like one."""
        return self.file


STATES = ["queued", "running", "stopping", "succeeded", "failed", "cancelled", "stopped", "removed"]
