"""One row for each evidence pack that was asked for, kept when its file is gone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.urls import reverse

from jobs.models import Job


class EvidencePackQuerySet(models.QuerySet["EvidencePack"]):
    def visible_to(self, user: Any) -> EvidencePackQuerySet:
        return self.filter(user.scope("approvals.export_pack").q("request__version__model__team"))

    def with_parts(self) -> EvidencePackQuerySet:
        return self.select_related("job", "asked_by", "request__version__model__team")


class EvidencePack(models.Model):
    """What stood about a request when the pack was made. What is in it is known once the job has ended well."""

    job = models.OneToOneField(Job, models.PROTECT, related_name="evidence_pack")
    request = models.ForeignKey("approvals.ReviewRequest", models.PROTECT, related_name="packs")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(db_default=Now())
    written_at = models.DateTimeField(null=True)
    digest = models.CharField(max_length=71, blank=True)
    size = models.BigIntegerField(null=True, help_text="Bytes")
    index_digest = models.CharField(max_length=71, blank=True, help_text="SHA-256 of pack.json, which the portal signs")
    files = models.PositiveIntegerField(null=True, help_text="Files that pack.json lists")
    revision = models.PositiveIntegerField(null=True, help_text="Number of the newest revision in it")
    state_then = models.CharField(max_length=20, blank=True, help_text="What the gate said when it was made")
    origin = models.CharField(max_length=200, blank=True)
    tree_size = models.BigIntegerField(null=True, help_text="Of the checkpoint that its proofs lead to")
    root = models.CharField(max_length=44, blank=True, help_text="Base64, as in the checkpoint")
    file = models.CharField(max_length=200, blank=True, help_text="Name in the storage; empty when it is not there")
    removed_at = models.DateTimeField(null=True, help_text="When the file was removed because its time was over")

    objects = EvidencePackQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Evidence pack {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("pack", args=[self.pk])

    @property
    def team_id(self) -> int:
        return self.request.team_id

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
        day = f"{self.written_at:%Y%m%dT%H%M%SZ}" if self.written_at else "unwritten"
        return f"evidence-pack-{self.pk}-request-{self.request_id}-{day}.zip"


STATES = ["queued", "running", "succeeded", "failed", "cancelled", "removed"]
