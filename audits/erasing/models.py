"""Erasures with the exact list of what they erase, and legal holds. Reasons are in the log alone, as disclosures."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from accounts.models import Team
from audits.erasing.rules import GROUNDS


class ErasureQuerySet(models.QuerySet["Erasure"]):
    def visible_to(self, user: Any) -> ErasureQuerySet:
        """All of them or none: what is erased crosses teams."""
        return self if user.scope("audits.view_erasure").everywhere else self.none()

    def with_people(self) -> ErasureQuerySet:
        return self.select_related("requested_by", "decided_by")


class Erasure(models.Model):
    """Disclosures of the log that somebody asked to erase: one person's, or those of one entry."""

    class Kind(models.TextChoices):
        PERSON = "person", "A person"
        ENTRY = "entry", "One entry"

    class State(models.TextChoices):
        REQUESTED = "requested", "Waits for approval"
        APPROVED = "approved", "Approved, not yet carried out"
        REJECTED = "rejected", "Rejected"
        CARRIED_OUT = "carried_out", "Carried out"

    kind = models.CharField(max_length=10, choices=Kind)
    subject = models.CharField(max_length=36, help_text="Opaque id of the person, or id of the entry")
    labels = ArrayField(models.CharField(max_length=40))
    ground = models.CharField(max_length=30, choices=list(GROUNDS.items()))
    count = models.PositiveIntegerField(help_text="Disclosures to erase")
    entries = models.PositiveIntegerField(help_text="Entries that they belong to")
    digest = models.CharField(max_length=71, help_text="Of the list of what is to be erased")
    state = models.CharField(max_length=20, choices=State, default=State.REQUESTED)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="erasures_requested")
    requested_at = models.DateTimeField(db_default=Now())
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="erasures_decided")
    decided_at = models.DateTimeField(null=True)
    carried_out_at = models.DateTimeField(null=True)

    objects = ErasureQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(decided_by=None) | ~Q(decided_by=models.F("requested_by")), name="erasure_takes_two"
            ),
            models.CheckConstraint(
                condition=Q(state="requested", decided_by=None) | (~Q(state="requested") & Q(decided_by__isnull=False)),
                name="erasure_decided_by_somebody",
            ),
        ]
        indexes = [models.Index(fields=["state", "id"], name="erasure_state")]

    def __str__(self) -> str:
        return f"Erasure {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("erasure", args=[self.pk])


class ErasureItem(models.Model):
    """One disclosure that an erasure erases. Append-only: what was asked for cannot grow after it was approved."""

    erasure = models.ForeignKey(Erasure, models.PROTECT, related_name="items")
    event = models.UUIDField()
    label = models.CharField(max_length=40)

    class Meta:
        constraints = [models.UniqueConstraint("erasure", "event", "label", name="erasure_item_once")]

    def __str__(self) -> str:
        return f"{self.label} of {self.event}"


class HoldQuerySet(models.QuerySet["Hold"]):
    def visible_to(self, user: Any) -> HoldQuerySet:
        return self if user.scope("audits.view_erasure").everywhere else self.none()

    def with_parts(self) -> HoldQuerySet:
        return self.select_related("placed_by", "lifted_by", "account", "of_team")

    def standing(self) -> HoldQuerySet:
        """By the database's clock."""
        return self.filter(Q(ends_at=None) | Q(ends_at__gt=Now()), lifted_at=None)


class Hold(models.Model):
    """While it stands, nothing that it covers is erased."""

    class Kind(models.TextChoices):
        PERSON = "person", "A person"
        TEAM = "team", "A team"
        MODEL = "model", "A model"
        PERIOD = "period", "A period"

    kind = models.CharField(max_length=10, choices=Kind)
    subject = models.CharField(max_length=64, blank=True, help_text="Opaque id of the person, or id of the model")
    account = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="holds")
    of_team = models.ForeignKey(Team, models.PROTECT, null=True, related_name="holds")
    since = models.DateTimeField(null=True, help_text="Of a period: from when, included")
    until = models.DateTimeField(null=True, help_text="Of a period: to when, not included; null is open")
    ends_at = models.DateTimeField(null=True, help_text="When the hold ends by itself")
    placed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="holds_placed")
    placed_at = models.DateTimeField(db_default=Now())
    lifted_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="holds_lifted")
    lifted_at = models.DateTimeField(null=True)

    objects = HoldQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="person", account__isnull=False)
                | Q(kind="team", of_team__isnull=False)
                | (Q(kind="model") & ~Q(subject=""))
                | Q(kind="period", since__isnull=False),
                name="hold_covers_something",
            )
        ]

    def __str__(self) -> str:
        return f"Hold {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("hold", args=[self.pk])

    @property
    def state(self) -> str:
        """For showing; `standing` decides, by the database's clock."""
        if self.lifted_at:
            return "lifted"
        return "ended" if self.ends_at and self.ends_at <= timezone.now() else "standing"

    @property
    def covers(self) -> str:
        """In words, without a name."""
        if self.kind == self.Kind.PERSON:
            return "what a person did, and what was done to their account"
        if self.kind == self.Kind.TEAM:
            return f"everything in the team {self.of_team}"
        if self.kind == self.Kind.MODEL:
            return f"everything about model {self.subject}"
        end = f"before {self.until:%Y-%m-%d %H:%M} UTC" if self.until else "without an end"
        return f"everything from {self.since:%Y-%m-%d %H:%M} UTC, {end}"


STATES = ["standing", "ended", "lifted"]
