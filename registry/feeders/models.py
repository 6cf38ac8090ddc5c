"""That a model uses the output of another. Nothing here is ever changed: what ends has a removal beside it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from ledger.canonical import sha256, timestamp
from registry.owned import OfModelQuerySet

PERSON = settings.AUTH_USER_MODEL


class FeederQuerySet(OfModelQuerySet):
    def standing(self) -> Any:
        """What has not been removed."""
        return self.filter(removal=None)

    def with_parts(self) -> Any:
        return self.select_related(
            "model__team", "model__owner", "source__team", "recorded_by", "removal__removed_by"
        ).order_by("-id")


class Feeder(models.Model):
    """`model` takes something from another model, the `source`, or from what the name `external` says."""

    model = models.ForeignKey("registry.Model", models.PROTECT, related_name="feeders")
    source = models.ForeignKey("registry.Model", models.PROTECT, null=True, related_name="fed")
    external = models.CharField(max_length=200, blank=True)
    takes = models.CharField(max_length=500)
    reason = models.CharField(max_length=500)
    recorded_by = models.ForeignKey(PERSON, models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField(db_default=Now())

    objects = FeederQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(source__isnull=False, external="") | (Q(source=None) & ~Q(external="")), name="one_source"
            ),
            models.CheckConstraint(condition=~Q(source=models.F("model")), name="feeds_another"),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.external or self.source} feeds {self.model}"

    @property
    def team_id(self) -> int:
        return self.model.team_id

    @property
    def ended(self) -> FeederRemoval | None:
        return getattr(self, "removal", None)

    def as_record(self) -> dict[str, Any]:
        """Without the name of an external source and the words of people: their digests."""
        return {
            "model": str(self.model_id), "source": str(self.source_id) if self.source_id else None,
            "external": sha256(self.external.encode()), "takes": sha256(self.takes.encode()),
            "reason": sha256(self.reason.encode()), "recorded_by": str(self.recorded_by.opaque_id),
            "recorded_at": timestamp(self.recorded_at),
        }  # fmt: skip


class FeederRemoval(models.Model):
    """Since when a model does not use that output any more, and why."""

    feeder = models.OneToOneField(Feeder, models.PROTECT, related_name="removal")
    reason = models.CharField(max_length=500)
    removed_by = models.ForeignKey(PERSON, models.PROTECT, related_name="+")
    removed_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"Removal of feeder {self.feeder_id}"

    @property
    def team_id(self) -> int:
        return self.feeder.team_id

    def as_record(self) -> dict[str, Any]:
        return {
            "feeder": str(self.feeder_id), "reason": sha256(self.reason.encode()),
            "removed_by": str(self.removed_by.opaque_id), "removed_at": timestamp(self.removed_at),
        }  # fmt: skip
