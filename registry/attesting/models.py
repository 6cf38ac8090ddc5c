"""What owners attested. Nothing here is ever changed."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from ledger.canonical import sha256, timestamp
from registry.owned import OfModelQuerySet


class OwnerAttestation(models.Model):
    """For one model and year. `record` is the digest of the model's record that the owner had before their eyes."""

    model = models.ForeignKey("registry.Model", models.PROTECT, related_name="attestations")
    year = models.PositiveSmallIntegerField()
    statement = models.TextField()
    record = models.CharField(max_length=71)
    note = models.CharField(max_length=1000, blank=True)
    attested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())

    objects = OfModelQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint("model", "year", name="attested_once_a_year")]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Attestation of {self.model} for {self.year}"

    @property
    def team_id(self) -> int:
        return self.model.team_id

    def as_record(self) -> dict[str, Any]:
        return {
            "model": str(self.model_id), "year": self.year, "statement": sha256(self.statement.encode()),
            "record": self.record, "note": sha256(self.note.encode()), "attested_by": str(self.attested_by.opaque_id),
            "at": timestamp(self.at),
        }  # fmt: skip
