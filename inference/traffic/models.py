"""Counts of requests, and the gateway's processes. Statistics, no record: the prediction log is that."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

# A process that has said nothing for so long does not serve, or cannot reach the database.
SILENT = timedelta(seconds=15)


class TallyQuerySet(models.QuerySet["Tally"]):
    def visible_to(self, user: Any) -> TallyQuerySet:
        """What belongs to no endpoint (no key, no such endpoint) is seen by whoever sees every team's."""
        scope = user.scope("inference.view_endpoint")
        return self if scope.everywhere else self.filter(scope.q("endpoint__model__team"), endpoint__isnull=False)


class Tally(models.Model):
    """Requests that ended in one way, within one minute or hour, or altogether.

    `code` is empty where a request was answered; `artifact` where nothing could serve. `micros` is the sum of their
    latencies in microseconds, `classes` counts latencies as inference.traffic.rules does.
    """

    class Span(models.IntegerChoices):
        ALL = 0, "since the first request"
        MINUTE = 60, "a minute"
        HOUR = 3600, "an hour"

    endpoint = models.ForeignKey("inference.Endpoint", models.PROTECT, null=True, related_name="tallies")
    key = models.ForeignKey("inference.InferenceKey", models.PROTECT, null=True, related_name="tallies")
    artifact = models.CharField(max_length=71)
    code = models.CharField(max_length=40)
    span = models.IntegerField(choices=Span)
    at = models.DateTimeField(help_text="When the minute or hour begins; 1970 for ALL")
    requests = models.BigIntegerField()
    rows = models.BigIntegerField()
    positives = models.BigIntegerField(help_text="Rows that were decided with yes")
    micros = models.BigIntegerField()
    classes = ArrayField(models.BigIntegerField())

    objects = TallyQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "tallies"
        constraints = [
            models.UniqueConstraint(
                "endpoint", "key", "artifact", "code", "span", "at", name="tally_once", nulls_distinct=False
            )
        ]
        indexes = [
            models.Index("endpoint", "span", "at", name="tally_of_endpoint"),
            models.Index("at", name="tally_old", condition=~Q(span=0)),
        ]

    def __str__(self) -> str:
        return f"{self.requests} requests {self.code or 'answered'} ({self.get_span_display()})"


class GatewayProcess(models.Model):
    """A process that serves, as of `seen_at`. `said` is what it told of itself: see docs/gateway.md."""

    id = models.UUIDField(primary_key=True, editable=False)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    said = models.JSONField()

    class Meta:
        verbose_name_plural = "gateway processes"
        ordering = ["host", "pid", "id"]

    def __str__(self) -> str:
        return f"Gateway {self.pid} on {self.host}"

    def silent(self, now: datetime) -> bool:
        return self.seen_at < now - SILENT
