"""Rows of the prediction log, ground truth joined to them later, and what was let go. Nothing here is ever changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models.functions import Now

from ledger.canonical import timestamp


class PredictionQuerySet(models.QuerySet["Prediction"]):
    def visible_to(self, user: Any) -> PredictionQuerySet:
        return self.filter(user.scope("inference.view_endpoint").q("endpoint__model__team"))

    def without_content(self) -> PredictionQuerySet:
        """Inputs and outputs are not read, only told whether they are there, as `kept`."""
        there = models.Q(inputs__isnull=False) | models.Q(outputs__isnull=False)
        return self.defer("inputs", "outputs").annotate(kept=models.ExpressionWrapper(there, models.BooleanField()))

    def between(self, since: datetime | None, until: datetime | None) -> PredictionQuerySet:
        """From `since`, included, to `until`, not included; by the key, so that no other day's partition is read."""
        rows = self
        if since is not None:
            rows = rows.filter(pk__gte=floor(since))
        if until is not None:
            rows = rows.filter(pk__lt=floor(until))
        return rows


class Prediction(models.Model):
    """One request to an endpoint: a batch of rows predicted, or refused with a code.

    The table is partitioned by day, and its key is a UUIDv7, so the key alone says which partition a row is in.
    Inputs and outputs are JSON by name, there only where the endpoint's level was sampled or full.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    at = models.DateTimeField()
    endpoint = models.ForeignKey(
        "inference.Endpoint", models.PROTECT, related_name="predictions", db_constraint=False, db_index=False
    )
    key = models.ForeignKey(
        "inference.InferenceKey", models.PROTECT, related_name="predictions", db_constraint=False, db_index=False
    )
    request_id = models.CharField(max_length=64)
    client_id = models.TextField()
    artifact = models.CharField(max_length=71)
    revision = models.CharField(max_length=71)
    status = models.SmallIntegerField()
    code = models.CharField(max_length=40, help_text="Why it was refused; empty where it was answered")
    role = models.CharField(max_length=10, help_text="canary or shadow; empty where the version was the one served")
    rows = models.IntegerField()
    latency = models.IntegerField(help_text="Microseconds from the request's headers to its answer")
    level = models.CharField(max_length=10)
    input_digest = models.CharField(max_length=71)
    output_digest = models.CharField(max_length=71)
    inputs = models.TextField(null=True)  # noqa: DJ001 none is not the same as empty
    outputs = models.TextField(null=True)  # noqa: DJ001

    objects = PredictionQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index("endpoint", "id", name="prediction_of_endpoint"),
            models.Index("request_id", name="prediction_request"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(level__in=["sampled", "full"]) | models.Q(inputs=None, outputs=None),
                name="prediction_content_by_level",
            )
        ]

    def __str__(self) -> str:
        return f"Prediction {self.pk}"

    @property
    def has_content(self) -> bool:
        return self.inputs is not None or self.outputs is not None

    @property
    def milliseconds(self) -> str:
        return f"{self.latency / 1000:,.1f}"


class Feedback(models.Model):
    """What turned out to be true of the rows of one prediction, in their order; the key is the prediction's."""

    id = models.UUIDField(primary_key=True, editable=False)
    endpoint = models.ForeignKey("inference.Endpoint", models.PROTECT, related_name="feedback")
    key = models.ForeignKey("inference.InferenceKey", models.PROTECT, related_name="feedback")
    values = models.JSONField(help_text="A number, text, boolean or null (not known) for each row")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "feedback"

    def __str__(self) -> str:
        return f"Feedback on {self.pk}"

    @property
    def said(self) -> list[str]:
        """The values in words."""
        words = {None: "not known", True: "true", False: "false"}
        return [words[value] if value is None or isinstance(value, bool) else str(value) for value in self.values]


class PredictionDeletion(models.Model):
    """That an endpoint's rows of before a moment may go. The database lets go of no others."""

    endpoint = models.ForeignKey("inference.Endpoint", models.PROTECT, related_name="prediction_deletions")
    before = models.DateTimeField()
    days = models.PositiveIntegerField(help_text="The endpoint's retention at that time")
    rows = models.PositiveBigIntegerField(help_text="How many there were")
    deleted_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Deletion of what {self.endpoint} predicted before {self.before:%Y-%m-%d}"

    @property
    def team_id(self) -> int:
        return self.endpoint.team_id

    def as_record(self) -> dict[str, Any]:
        return {
            "endpoint": str(self.endpoint_id), "before": timestamp(self.before), "days": self.days,
            "rows": self.rows, "deleted_at": timestamp(self.deleted_at),
        }  # fmt: skip


class PredictionLoss(models.Model):
    """Rows of an endpoint that are missing in the log, because a gateway could not write them."""

    class Why(models.TextChoices):
        FULL = "full", "The gateway's buffer was full"
        UNWRITABLE = "unwritable", "The database would not take them"
        ENDED = "ended", "The gateway ended before they were written"

    endpoint = models.ForeignKey("inference.Endpoint", models.PROTECT, related_name="prediction_losses")
    process = models.UUIDField(help_text="The gateway's, new with each start")
    why = models.CharField(max_length=10, choices=Why.choices)
    rows = models.PositiveIntegerField()
    since = models.DateTimeField()
    until = models.DateTimeField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "prediction losses"

    def __str__(self) -> str:
        return f"{self.rows} rows of {self.endpoint} that are missing"

    @property
    def team_id(self) -> int:
        return self.endpoint.team_id

    def as_record(self) -> dict[str, Any]:
        return {
            "endpoint": str(self.endpoint_id), "process": str(self.process), "why": self.why, "rows": self.rows,
            "since": timestamp(self.since), "until": timestamp(self.until),
        }  # fmt: skip


def floor(at: datetime) -> UUID:
    """The smallest UUIDv7 of a moment, to the millisecond."""
    return UUID(int=int(at.timestamp() * 1000) << 80)
