"""What an endpoint served, and versions that are tried beside it."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from ledger.canonical import timestamp

PERSON = settings.AUTH_USER_MODEL


class Binding(models.Model):
    """That an endpoint was bound to a version, or to nothing, from then on. Nothing here is ever changed."""

    class How(models.TextChoices):
        BOUND = "bound", "Bound"
        PROMOTED = "promoted", "Promoted"
        ROLLED_BACK = "rolled_back", "Rolled back"

    endpoint = models.ForeignKey("inference.Endpoint", models.PROTECT, related_name="bindings")
    version = models.ForeignKey("registry.Version", models.PROTECT, null=True, related_name="bindings")
    how = models.CharField(max_length=20, choices=How)
    by = models.ForeignKey(PERSON, models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.endpoint}: {self.get_how_display().lower()} {self.version or 'nothing'}"


class RolloutQuerySet(models.QuerySet["Rollout"]):
    def visible_to(self, user: Any) -> RolloutQuerySet:
        return self.filter(user.scope("inference.view_endpoint").q("endpoint__model__team"))

    def standing(self) -> RolloutQuerySet:
        return self.filter(ended_at=None)

    def with_parts(self) -> RolloutQuerySet:
        return self.select_related(
            "endpoint__model__team", "endpoint__version__artifact", "version__artifact", "version__model", "champion",
            "started_by", "ended_by",
        )  # fmt: skip


class Rollout(models.Model):
    """A version, the challenger, beside the one that an endpoint serves, the champion.

    A canary answers `share` per cent of the requests; a shadow answers none, what it would have said is compared.
    """

    class Kind(models.TextChoices):
        CANARY = "canary", "Canary"
        SHADOW = "shadow", "Shadow"

    class Outcome(models.TextChoices):
        PROMOTED = "promoted", "Promoted"
        WITHDRAWN = "withdrawn", "Withdrawn"
        REPLACED = "replaced", "Ended, as the endpoint was bound to something else"

    endpoint = models.ForeignKey("inference.Endpoint", models.PROTECT, related_name="rollouts")
    champion = models.ForeignKey("registry.Version", models.PROTECT, related_name="+")
    version = models.ForeignKey("registry.Version", models.PROTECT, related_name="rollouts")
    kind = models.CharField(max_length=10, choices=Kind)
    share = models.PositiveSmallIntegerField(default=0)
    started_at = models.DateTimeField(db_default=Now())
    started_by = models.ForeignKey(PERSON, models.PROTECT, null=True, related_name="+")
    ended_at = models.DateTimeField(null=True)
    ended_by = models.ForeignKey(PERSON, models.PROTECT, null=True, related_name="+")
    outcome = models.CharField(max_length=10, choices=Outcome, blank=True)

    objects = RolloutQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint("endpoint", condition=Q(ended_at=None), name="rollout_one_at_a_time"),
            models.CheckConstraint(
                condition=Q(kind="canary", share__gte=1, share__lte=99) | Q(kind="shadow", share=0),
                name="rollout_share",
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None, outcome="") | (Q(ended_at__isnull=False) & ~Q(outcome="")),
                name="rollout_outcome",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.version} at {self.endpoint}"

    @property
    def team_id(self) -> int:
        return self.endpoint.team_id

    def as_record(self) -> dict[str, Any]:
        return {
            "endpoint": str(self.endpoint_id), "champion": str(self.champion_id), "version": str(self.version_id),
            "kind": self.kind, "share": self.share, "started_at": timestamp(self.started_at),
            "started_by": str(self.started_by.opaque_id) if self.started_by else None,
            "ended_at": timestamp(self.ended_at) if self.ended_at else None,
            "ended_by": str(self.ended_by.opaque_id) if self.ended_by else None, "outcome": self.outcome,
        }  # fmt: skip


class Comparison(models.Model):
    """What a shadow would have said beside what was said, in rows by their decisions; requests that it failed or
    that were not given to it, because too many waited.
    """

    rollout = models.OneToOneField(Rollout, models.PROTECT, primary_key=True, related_name="comparison")
    requests = models.BigIntegerField(default=0)
    both = models.BigIntegerField(default=0, help_text="Rows that both decided with yes")
    neither = models.BigIntegerField(default=0)
    champion_only = models.BigIntegerField(default=0)
    challenger_only = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    skipped = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"Comparison of {self.rollout}"

    @property
    def rows(self) -> int:
        return self.both + self.neither + self.champion_only + self.challenger_only

    @property
    def differ(self) -> int:
        return self.champion_only + self.challenger_only
