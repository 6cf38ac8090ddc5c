"""Editions of a dataset's record of processing, of which the last is in force, and the deletion of its rows."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from ledger.canonical import sha256, timestamp
from registry.owned import OwnedQuerySet
from registry.processing.rules import BASES, CONDITIONS, OPEN_TO, last_day


class ProcessingQuerySet(OwnedQuerySet):
    path = "dataset__team"


class Processing(models.Model):
    """One edition. It never changes: who changes something writes the next one."""

    dataset = models.ForeignKey("registry.Dataset", models.PROTECT, related_name="processing")
    number = models.PositiveIntegerField()
    basis = models.CharField(max_length=10, choices=list(BASES.items()))
    condition = models.CharField(max_length=10, choices=list(CONDITIONS.items()), blank=True)
    keep_until = models.DateField(null=True, help_text="The last day on which the rows are kept")
    keep_days = models.PositiveIntegerField(null=True, help_text="Or so many days from registration")
    phi = models.BooleanField(help_text="Whether it holds protected health information (45 CFR 160.103)")
    open_to = models.CharField(max_length=10, choices=list(OPEN_TO.items()))
    readers = ArrayField(models.UUIDField(), help_text="Opaque ids of those who may open rows, where they are named")
    note = models.CharField(max_length=1000)
    recorded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField(db_default=Now())

    objects = ProcessingQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint("dataset", "number", name="processing_number"),
            models.CheckConstraint(condition=Q(keep_until=None) | Q(keep_days=None), name="processing_one_end"),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Record of processing {self.number} of {self.dataset}"

    @property
    def team_id(self) -> int:
        team: int = self.dataset.team_id
        return team

    @property
    def last_day(self) -> date | None:
        return last_day(self.keep_until, self.keep_days, self.dataset.registered_at.date())

    def facts(self) -> dict[str, Any]:
        """What it says, without the words of people."""
        return {
            "basis": self.basis, "condition": self.condition, "phi": self.phi, "open_to": self.open_to,
            "keep_until": self.keep_until.isoformat() if self.keep_until else None, "keep_days": self.keep_days,
            "readers": [str(each) for each in self.readers],
        }  # fmt: skip

    def as_record(self) -> dict[str, Any]:
        return {
            **self.facts(), "dataset": str(self.dataset_id), "number": self.number, "note": sha256(self.note.encode()),
            "recorded_by": str(self.recorded_by.opaque_id), "recorded_at": timestamp(self.recorded_at),
        }  # fmt: skip


class DataDeletion(models.Model):
    """That a dataset's rows are gone, or go as soon as nothing else refers to the file. The dataset's row stays."""

    dataset = models.OneToOneField("registry.Dataset", models.PROTECT, related_name="deletion")
    processing = models.ForeignKey(Processing, models.PROTECT, related_name="+")
    deleted_at = models.DateTimeField(db_default=Now())
    # When the bytes left the storage; null while another record refers to the same file.
    removed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"Deletion of {self.dataset}"

    @property
    def team_id(self) -> int:
        team: int = self.dataset.team_id
        return team

    def as_record(self) -> dict[str, Any]:
        return {
            "dataset": str(self.dataset_id), "processing": str(self.processing_id),
            "deleted_at": timestamp(self.deleted_at),
        }  # fmt: skip
