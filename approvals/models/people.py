"""Who stands in for whom, and who stepped back from what."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from approvals.models.requests import ReviewRequest
from ledger.canonical import timestamp

PERSON = settings.AUTH_USER_MODEL


class DelegationQuerySet(models.QuerySet["Delegation"]):
    def visible_to(self, user: Any) -> DelegationQuerySet:
        """One's own, on either side, and all of a team for whoever sees its people."""
        scope = user.scope("accounts.view_people")
        return self if scope.everywhere else self.filter(Q(giver=user.pk) | Q(taker=user.pk) | Q(team__in=scope.teams))

    def active(self) -> DelegationQuerySet:
        return self.filter(starts_at__lte=Now(), ends_at__gt=Now(), ended_at=None)

    def covering(self, taker: Any, team: int) -> DelegationQuerySet:
        return self.active().filter(Q(team=None) | Q(team=team), taker=taker).select_related("giver")


class Delegation(models.Model):
    """Somebody lets another sign in their place, for one team or everywhere, until a day. It is not passed on."""

    giver = models.ForeignKey(PERSON, models.PROTECT, related_name="+")
    taker = models.ForeignKey(PERSON, models.PROTECT, related_name="+")
    team = models.ForeignKey("accounts.Team", models.PROTECT, null=True, blank=True, related_name="+")
    reason = models.TextField()
    starts_at = models.DateTimeField(db_default=Now())
    ends_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    objects = DelegationQuerySet.as_manager()

    class Meta:
        constraints = [models.CheckConstraint(condition=~Q(giver=F("taker")), name="delegation_to_another")]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.taker} for {self.giver}"

    def as_record(self) -> dict[str, Any]:
        return {
            "giver": str(self.giver.opaque_id), "taker": str(self.taker.opaque_id),
            "team": str(self.team_id) if self.team_id else None, "starts_at": timestamp(self.starts_at),
            "ends_at": timestamp(self.ends_at), "ended_at": timestamp(self.ended_at) if self.ended_at else None,
        }  # fmt: skip

    def state_at(self, at: datetime) -> str:
        return "ended" if self.ended_at else "active" if at < self.ends_at else "expired"


class RecusalQuerySet(models.QuerySet["Recusal"]):
    def visible_to(self, user: Any) -> RecusalQuerySet:
        return self.filter(user.scope("approvals.view_request").q("request__version__model__team"))


class Recusal(models.Model):
    """Somebody stepped back from a request: they sign nothing on it, whatever role they hold."""

    request = models.ForeignKey(ReviewRequest, models.PROTECT, related_name="recusals")
    person = models.ForeignKey(PERSON, models.PROTECT, related_name="+")
    reason = models.TextField()
    at = models.DateTimeField(db_default=Now())

    objects = RecusalQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint("request", "person", name="recused_once")]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"Recusal of {self.person}"

    @property
    def team_id(self) -> int:
        return self.request.team_id
