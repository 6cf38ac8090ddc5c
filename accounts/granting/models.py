"""Grants that wait for a second person, and the record of who confirmed that a grant is still right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

if TYPE_CHECKING:
    from accounts.models import User

PERSON = settings.AUTH_USER_MODEL
PROPOSAL_STATES = ("proposed", "confirmed", "declined", "expired")


class ProposedGrantQuerySet(models.QuerySet["ProposedGrant"]):
    def visible_to(self, user: User) -> ProposedGrantQuerySet:
        """Like grants: for oneself, and for the accounts that somebody may see."""
        return self.filter(user__in=get_user_model()._default_manager.visible_to(user))

    def waiting(self) -> ProposedGrantQuerySet:
        """By the database's clock."""
        return self.filter(decided_at=None, expires_at__gt=Now())

    def with_parts(self) -> ProposedGrantQuerySet:
        return self.select_related("user", "role", "team", "proposed_by", "decided_by")


class ProposedGrant(models.Model):
    """A grant that somebody asks for. It gives nothing until another administrator confirms it, and it expires."""

    class Outcome(models.TextChoices):
        CONFIRMED = "confirmed", "Confirmed"
        DECLINED = "declined", "Declined"

    user = models.ForeignKey(PERSON, models.PROTECT, related_name="proposed_grants")
    role = models.ForeignKey("accounts.Role", models.PROTECT, related_name="+")
    team = models.ForeignKey("accounts.Team", models.PROTECT, null=True, blank=True, related_name="+")
    reason = models.CharField(max_length=500)
    conflict_reason = models.CharField(max_length=500, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True, help_text="When the grant would end")
    proposed_by = models.ForeignKey(PERSON, models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(help_text="Until when it can be confirmed")
    outcome = models.CharField(max_length=10, choices=Outcome, blank=True)
    decided_by = models.ForeignKey(PERSON, models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    grant = models.OneToOneField("accounts.Grant", models.PROTECT, null=True, related_name="proposal")

    objects = ProposedGrantQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(decided_by=None) | (~Q(decided_by=F("proposed_by")) & ~Q(decided_by=F("user"))),
                name="grant_takes_two",
            ),
            models.CheckConstraint(
                condition=Q(outcome="", decided_by=None, decided_at=None, grant=None)
                | Q(outcome="declined", decided_by__isnull=False, decided_at__isnull=False, grant=None)
                | Q(outcome="confirmed", decided_by__isnull=False, decided_at__isnull=False, grant__isnull=False),
                name="proposal_decided_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} for {self.team or 'everything'}"

    def get_absolute_url(self) -> str:
        return reverse("grant-proposal", args=[self.pk])

    @property
    def state(self) -> str:
        """For showing; `waiting` decides, by the database's clock."""
        if self.outcome:
            return self.outcome
        return "expired" if self.expires_at <= timezone.now() else "proposed"


class Recertification(models.Model):
    """That somebody looked at a grant and found it still right. Append-only."""

    grant = models.ForeignKey("accounts.Grant", models.PROTECT, related_name="recertifications")
    by = models.ForeignKey(PERSON, models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.grant}, confirmed"
