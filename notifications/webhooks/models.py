"""Who is told by webhook, of what, and with which secret it is signed."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse


class WebhookQuerySet(models.QuerySet["Webhook"]):
    def visible_to(self, user: Any) -> WebhookQuerySet:
        return self.filter(user.scope("notifications.view_outbox").q("team_id"))

    def active(self) -> WebhookQuerySet:
        return self.filter(state=Webhook.State.ACTIVE)

    def listening(self, kind: str, team: int) -> WebhookQuerySet:
        """Those that want to know of this kind from this team: its own, and those of the whole house."""
        return self.active().filter(Q(team_id=None) | Q(team_id=team), kinds__contains=[kind]).order_by("pk")


class Webhook(models.Model):
    """An address that is told of some kinds of things, about one team's work or everybody's."""

    class State(models.TextChoices):
        ACTIVE = "active", "Active"
        PAUSED = "paused", "Paused"

    name = models.CharField(max_length=80)
    team_id = models.BigIntegerField(null=True, help_text="None where it is told of the whole house")
    url = models.CharField(max_length=500)
    kinds = ArrayField(models.CharField(max_length=30))
    state = models.CharField(max_length=10, choices=State, default=State.ACTIVE)
    gone_at = models.DateTimeField(null=True, help_text="When its receiver said that it is gone, so that it was paused")
    made_by = models.CharField(max_length=64, help_text="Opaque id of the account that added it")
    made_at = models.DateTimeField(db_default=Now())

    objects = WebhookQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint("url", "team_id", nulls_distinct=False, name="webhook_once")]
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("webhook", args=[self.pk])

    @property
    def place(self) -> str:
        """Where it is, as the log and the outbox may say it: path and query of a webhook are often its password."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    def signing(self, now: datetime) -> list[WebhookSecret]:
        """The secrets that sign now, the newest first: more than one while one follows another."""
        return [each for each in self.secrets.all() if each.ends_at is None or each.ends_at > now]

    @property
    def rotated_at(self) -> datetime | None:
        """Since when its newest secret signs."""
        return max((each.made_at for each in self.secrets.all()), default=None)

    @property
    def previous_until(self) -> datetime | None:
        """Until when secrets before the newest sign, or signed."""
        return max((each.ends_at for each in self.secrets.all() if each.ends_at is not None), default=None)


class WebhookSecret(models.Model):
    """What messages to a webhook are signed with. Sealed (ledger.boxes): the database alone signs nothing."""

    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="secrets")
    sealed = models.BinaryField()
    made_at = models.DateTimeField(db_default=Now())
    ends_at = models.DateTimeField(null=True, help_text="Until when it signs beside the one that followed it")

    class Meta:
        constraints = [models.UniqueConstraint("webhook", condition=Q(ends_at=None), name="webhook_newest_secret_once")]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Secret {self.pk} of webhook {self.webhook_id}"
