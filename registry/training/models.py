"""What versions were trained on. Nothing here is ever changed: the last record of a version is in force."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from ledger.canonical import sha256, timestamp
from registry.owned import OwnedQuerySet


class TrainingQuerySet(OwnedQuerySet):
    path = "version__model__team"


class TrainingRecord(models.Model):
    """All datasets that a version was trained on, by their ids, as somebody said at one moment."""

    version = models.ForeignKey("registry.Version", models.PROTECT, related_name="training")
    number = models.PositiveIntegerField()
    datasets = ArrayField(models.BigIntegerField())
    note = models.CharField(max_length=1000, blank=True)
    recorded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField(db_default=Now())

    objects = TrainingQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint("version", "number", name="training_number")]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Training data {self.number} of {self.version}"

    @property
    def team_id(self) -> int:
        team: int = self.version.model.team_id
        return team

    def as_record(self) -> dict[str, Any]:
        return {
            "version": str(self.version_id), "number": self.number, "datasets": [str(each) for each in self.datasets],
            "note": sha256(self.note.encode()), "recorded_by": str(self.recorded_by.opaque_id),
            "recorded_at": timestamp(self.recorded_at),
        }  # fmt: skip
