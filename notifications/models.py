"""The outbox. A row is the truth about one message: written with the act, claimed and fenced by whoever sends it."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from notifications.webhooks.models import Webhook as Webhook
from notifications.webhooks.models import WebhookSecret as WebhookSecret

# A sender that has not come back after this long has died: sending itself gives up after seconds.
STALE = timedelta(minutes=5)


class NotificationQuerySet(models.QuerySet["Notification"]):
    def visible_to(self, user: Any) -> NotificationQuerySet:
        """All for those who look after the house; addresses of all teams stand in it. Of one team its webhooks'."""
        scope = user.scope("notifications.view_outbox")
        return self if scope.everywhere else self.filter(team_id__in=scope.teams)

    def due(self) -> NotificationQuerySet:
        """What can be sent now, by the database's clock: what waits, and what a sender that died had taken."""
        waits = Q(state=Notification.State.WAITING, due_at__lte=Now())
        left = Q(state=Notification.State.SENDING, claimed_at__lt=Now() - STALE)
        return self.filter(waits | left).order_by("due_at", "pk")

    def undelivered(self) -> NotificationQuerySet:
        return self.filter(state__in=(Notification.State.WAITING, Notification.State.SENDING))


class Notification(models.Model):
    """One message to one address. `attempt` is the fence: only the attempt that the row names may end it."""

    class Channel(models.TextChoices):
        MAIL = "mail", "Mail"
        WEBHOOK = "webhook", "Webhook"

    class State(models.TextChoices):
        # Until what it speaks of is sealed in the log.
        HELD = "held", "Waits for its seal"
        COLLECTED = "collected", "For the digest"
        WAITING = "waiting", "Waiting"
        SENDING = "sending", "Being sent"
        SENT = "sent", "Sent"
        FAILED = "failed", "Failed"

    # The same on every try, so that a mailbox can drop a message that reaches it twice.
    number = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    channel = models.CharField(max_length=10, choices=Channel, default=Channel.MAIL)
    # No constraint: an act that tells a webhook must not fail because somebody removes it at this moment.
    webhook = models.ForeignKey(Webhook, models.CASCADE, null=True, db_constraint=False, related_name="deliveries")
    team_id = models.BigIntegerField(null=True, help_text="Of a webhook's message: the team of the webhook")
    kind = models.CharField(max_length=30)
    about = models.CharField(max_length=200, help_text="What it speaks of; told to an address once for each kind")
    address = models.CharField(max_length=500)
    recipient = models.CharField(max_length=64, blank=True, help_text="Opaque id of the account that is told")
    subject = models.CharField(max_length=250)
    body = models.TextField(blank=True, help_text="Of a mail removed once it is sent")
    path = models.CharField(max_length=200, blank=True, help_text="The page that it leads to")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    attempt = models.PositiveIntegerField(default=0)
    # Attempts since it was written, or since somebody had it tried again; `attempt` itself never goes back.
    tries = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=200, blank=True)
    answer = models.PositiveSmallIntegerField(null=True, help_text="Status that a webhook's receiver answered last")
    created_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(db_default=Now())
    claimed_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True, help_text="When it was sent, or given up")

    objects = NotificationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "channel", "kind", "about", "address", condition=Q(webhook=None), name="told_once"
            ),
            models.UniqueConstraint(
                "webhook", "kind", "about", condition=~Q(webhook=None), name="webhook_told_once"
            ),
        ]  # fmt: skip
        indexes = [
            models.Index("due_at", condition=Q(state__in=("waiting", "sending")), name="notification_due"),
            models.Index("recipient", condition=Q(state__in=("held", "collected")), name="notification_kept"),
            models.Index(fields=["state", "-id"], name="notification_state"),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Notification {self.pk}"

    @property
    def may_be_retried(self) -> bool:
        """What was given up; and what a webhook was told, whose text is kept, can be told to it again."""
        told = self.webhook_id is not None and self.state == self.State.SENT
        return told or self.state == self.State.FAILED
