"""The Job row is the truth about long work; Celery only carries it."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class JobQuerySet(models.QuerySet["Job"]):
    def visible_to(self, user: Any) -> JobQuerySet:
        return self.filter(user.scope("jobs.view_job").q("team_id"))

    def unfinished(self) -> JobQuerySet:
        return self.filter(state__in=Job.UNFINISHED)


class Job(models.Model):
    """One piece of long work. `attempt` is the fence: a worker publishes only `WHERE attempt = mine`."""

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    UNFINISHED = (State.QUEUED, State.RUNNING)

    kind = models.CharField(max_length=80, help_text="The name of the Celery task that does the work")
    inputs = models.JSONField()
    inputs_digest = models.CharField(max_length=71)
    team_id = models.BigIntegerField()
    subject = models.CharField(max_length=200, help_text="What the work is about, for people")
    subject_url = models.CharField(max_length=200, blank=True)
    asked_by = models.CharField(max_length=64, help_text="Opaque id of the account that asked")
    asked_by_name = models.CharField(max_length=120)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    progress = models.PositiveSmallIntegerField(default=0)
    phase = models.CharField(max_length=120, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    cancel_requested = models.BooleanField(default=False)
    error_code = models.CharField(max_length=40, blank=True)
    error_sentence = models.TextField(blank=True)
    result_url = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        constraints = [
            # The same question asked twice is one job, unless the earlier one came to nothing.
            models.UniqueConstraint(
                "kind",
                "inputs_digest",
                "team_id",
                condition=Q(state__in=("queued", "running", "succeeded")),
                name="one_job_for_the_same_inputs",
            ),
            models.CheckConstraint(condition=Q(progress__lte=100), name="progress_is_a_percentage"),
        ]
        indexes = [models.Index("state", "heartbeat_at", name="job_state"), models.Index("team_id", "id", name="job_team")]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
