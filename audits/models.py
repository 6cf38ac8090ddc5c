"""What was taken out of the log: one row for each export, kept when its file is gone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.urls import reverse

from accounts.models import Team
from audits.erasing.models import Erasure as Erasure
from audits.erasing.models import ErasureItem as ErasureItem
from audits.erasing.models import Hold as Hold
from audits.exports.selection import Selection
from jobs.models import Job


class ExportQuerySet(models.QuerySet["Export"]):
    def visible_to(self, user: Any) -> ExportQuerySet:
        """The whole house's exports, or those of the teams whose log somebody may take out."""
        return self.filter(user.scope("audits.export_log").q("team"))

    def with_parts(self) -> ExportQuerySet:
        return self.select_related("job", "team", "asked_by")


class Export(models.Model):
    """A part of the log as a file, or all of it as a bundle. What was written is known once the job has ended well."""

    class Kind(models.TextChoices):
        JSONL = "jsonl", "JSON Lines"
        CSV = "csv", "CSV"
        PARQUET = "parquet", "Parquet"
        PDF = "pdf", "PDF"
        BUNDLE = "bundle", "Log bundle"

    job = models.OneToOneField(Job, models.PROTECT, related_name="export")
    kind = models.CharField(max_length=10, choices=Kind)
    team = models.ForeignKey(Team, models.PROTECT, null=True, related_name="exports")
    filter = models.JSONField(help_text="audits.exports.selection.Selection")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="exports")
    asked_at = models.DateTimeField(db_default=Now())
    written_at = models.DateTimeField(null=True)
    digest = models.CharField(max_length=71, blank=True)
    size = models.BigIntegerField(null=True, help_text="Bytes")
    count = models.BigIntegerField(null=True, help_text="Entries in the file")
    unsealed = models.BigIntegerField(null=True, help_text="How many of them no checkpoint covered yet")
    first = models.CharField(max_length=36, blank=True, help_text="Id of the first event in it")
    last = models.CharField(max_length=36, blank=True)
    origin = models.CharField(max_length=200, blank=True)
    tree_size = models.BigIntegerField(null=True, help_text="Of the checkpoint it was made under")
    root = models.CharField(max_length=44, blank=True, help_text="Base64, as in the checkpoint")
    file = models.CharField(max_length=200, blank=True, help_text="Name in the storage; empty when it is not there")
    removed_at = models.DateTimeField(null=True, help_text="When the file was removed because its time was over")

    objects = ExportQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["team", "-id"], name="export_team")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("export", args=[self.pk])

    @property
    def selection(self) -> Selection:
        return Selection.from_json(self.filter)

    @property
    def state(self) -> str:
        """The job's state, or `removed` once the file is gone."""
        return "removed" if self.removed_at else self.job.state

    @property
    def kept_until(self) -> datetime | None:
        """When the file's time is over."""
        return self.written_at + timedelta(days=settings.EXPORT_DAYS) if self.written_at else None

    @property
    def filename(self) -> str:
        stem = "audit-log-bundle" if self.kind == self.Kind.BUNDLE else "audit-log"
        day = f"{self.written_at:%Y%m%dT%H%M%SZ}" if self.written_at else "unwritten"
        return f"{stem}-{self.pk}-{day}.{EXTENSIONS[self.Kind(self.kind)]}"

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[self.Kind(self.kind)]


STATES = ["queued", "running", "succeeded", "failed", "cancelled", "removed"]
EXTENSIONS = {kind: "zip" if kind == Export.Kind.BUNDLE else kind.value for kind in Export.Kind}
MEDIA_TYPES = {
    Export.Kind.JSONL: "application/jsonl",
    Export.Kind.CSV: "text/csv; charset=utf-8",
    Export.Kind.PARQUET: "application/vnd.apache.parquet",
    Export.Kind.PDF: "application/pdf",
    Export.Kind.BUNDLE: "application/zip",
}
