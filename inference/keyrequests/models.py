"""Requests for keys. A row holds terms and who said what; the secret is made when it is taken."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.urls import reverse

from inference.keyrequests.rules import state_of

if TYPE_CHECKING:
    from accounts.models import User

PERSON = settings.AUTH_USER_MODEL
TERMS = ("name", "actions", "days", "rate_per_minute", "quota_per_day", "networks", "holder", "reason")


class KeyRequestQuerySet(models.QuerySet["KeyRequest"]):
    def visible_to(self, user: Any) -> KeyRequestQuerySet:
        """Like keys: for whoever sees the endpoint."""
        return self.filter(user.scope("inference.view_endpoint").q("endpoint__model__team"))

    def in_state(self, state: str, now: datetime) -> KeyRequestQuerySet:
        """Those of which `state(now)` says this, one of KEY_REQUEST_STATES."""
        if state == "taken":
            return self.filter(key__isnull=False)
        if state in ("declined", "withdrawn"):
            return self.filter(outcome=state)
        undone = self.filter(key=None, outcome__in=("", "approved"))
        if state == "lapsed":
            return undone.filter(open_until__lte=now)
        return undone.filter(open_until__gt=now, outcome="approved" if state == "approved" else "")

    def waiting_for(self, user: User) -> KeyRequestQuerySet:
        """Those about which somebody may decide: neither their own, nor for a key that they would hold."""
        scope = user.scope("inference.decide_key")
        waits = self.filter(scope.q("endpoint__model__team"), outcome="", open_until__gt=Now())
        return waits.exclude(asked_by=user).exclude(holder=user) if user.is_person else self.none()

    def to_take(self, user: User) -> KeyRequestQuerySet:
        """Keys that somebody asked for and may take now."""
        return self.filter(asked_by=user, outcome="approved", key=None, open_until__gt=Now())

    def with_parts(self) -> KeyRequestQuerySet:
        return self.select_related("endpoint__model__team", "holder", "asked_by", "decided_by", "key")


class KeyRequest(models.Model):
    """A key that somebody asks for. It opens nothing until another person agrees and the asker takes it."""

    class Outcome(models.TextChoices):
        APPROVED = "approved", "Approved"
        DECLINED = "declined", "Declined"
        WITHDRAWN = "withdrawn", "Withdrawn"

    endpoint = models.ForeignKey("inference.Endpoint", models.PROTECT, related_name="key_requests")
    name = models.CharField(max_length=80)
    actions = ArrayField(models.CharField(max_length=10))
    days = models.PositiveIntegerField()
    rate_per_minute = models.PositiveIntegerField()
    quota_per_day = models.PositiveIntegerField(null=True)
    networks = ArrayField(models.CharField(max_length=43), default=list)
    holder = models.ForeignKey(PERSON, models.PROTECT, related_name="+")
    reason = models.CharField(max_length=500)
    # The form that it was asked by: the same form sent again asks for nothing more.
    ticket = models.UUIDField(unique=True, null=True, editable=False)
    asked_by = models.ForeignKey(PERSON, models.PROTECT, related_name="key_requests")
    asked_at = models.DateTimeField(db_default=Now())
    open_until = models.DateTimeField(help_text="Until when it can be decided; once approved, until when it is taken")
    outcome = models.CharField(max_length=10, choices=Outcome, blank=True)
    decided_by = models.ForeignKey(PERSON, models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    answer = models.CharField(max_length=500, blank=True, help_text="Why it was approved, declined or withdrawn")
    key = models.OneToOneField("inference.InferenceKey", models.PROTECT, null=True, related_name="request")

    objects = KeyRequestQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index("open_until", condition=Q(key=None), name="key_request_open")]
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome="withdrawn")
                | Q(decided_by=None)
                | (~Q(decided_by=F("asked_by")) & ~Q(decided_by=F("holder"))),
                name="key_takes_two",
            ),
            models.CheckConstraint(
                condition=Q(outcome="", decided_by=None, decided_at=None, key=None)
                | Q(outcome="approved", decided_by__isnull=False, decided_at__isnull=False)
                | Q(
                    outcome__in=["declined", "withdrawn"], decided_by__isnull=False, decided_at__isnull=False, key=None
                ),
                name="key_request_decided_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} for {self.endpoint}"

    def get_absolute_url(self) -> str:
        return reverse("key-request", args=[self.pk])

    @property
    def team_id(self) -> int:
        return self.endpoint.team_id

    def state(self, now: datetime) -> str:
        return state_of(self.outcome, taken=self.key_id is not None, open_until=self.open_until, now=now)
