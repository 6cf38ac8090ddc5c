"""The Job row is the truth about long work; Celery only carries it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse


@dataclass(frozen=True)
class Page:
    """A stretch of a list, newest first, and whether there is more on either side."""

    rows: list[Job]
    newer: bool
    older: bool


class JobQuerySet(models.QuerySet["Job"]):
    def visible_to(self, user: Any) -> JobQuerySet:
        """What a role lets somebody see; where a job is for certain people only, to those among them."""
        mine = Q(only_for__isnull=True) | Q(only_for__contains=[user.identity.id])
        return self.filter(user.scope("jobs.view_job").q("team_id")).filter(mine)

    def page(self, *, state: str, before: int | None, after: int | None, size: int) -> Page:
        """Newest first; `before` and `after` are primary keys."""
        rows = self.filter(state=state) if state else self
        if after:
            found = list(rows.filter(pk__gt=after).order_by("pk")[: size + 1])
            return Page(found[:size][::-1], newer=len(found) > size, older=True)
        found = list((rows.filter(pk__lt=before) if before else rows).order_by("-pk")[: size + 1])
        return Page(found[:size], newer=bool(before), older=len(found) > size)

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
    team_id = models.BigIntegerField(null=True, help_text="None where the work is about the whole house")
    subject = models.CharField(max_length=200, help_text="What the work is about, for people")
    subject_url = models.CharField(max_length=200, blank=True)
    asked_by = models.CharField(max_length=64, help_text="Opaque id of the account that asked")
    asked_by_name = models.CharField(max_length=120)
    only_for = ArrayField(
        models.CharField(max_length=64), null=True, help_text="Opaque ids of those it is shown to, whatever roles say"
    )
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    progress = models.PositiveSmallIntegerField(default=0)
    phase = models.CharField(max_length=120, blank=True)
    attempt = models.PositiveIntegerField(default=0)
    # Attempts since somebody asked for it, or asked again; `attempt` itself never goes back.
    tries = models.PositiveSmallIntegerField(default=0)
    cancel_requested = models.BooleanField(default=False)
    error_code = models.CharField(max_length=40, blank=True)
    error_sentence = models.TextField(blank=True)
    result_url = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True, help_text="When it was last given to the broker")
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
                nulls_distinct=False,
                name="one_job_for_the_same_inputs",
            ),
            models.CheckConstraint(condition=Q(progress__lte=100), name="progress_is_a_percentage"),
        ]
        indexes = [
            models.Index("state", "heartbeat_at", name="job_state"),
            models.Index("team_id", "id", name="job_team"),
        ]

    def __str__(self) -> str:
        return self.subject

    def get_absolute_url(self) -> str:
        return reverse("job", args=[self.pk])

    @property
    def discreet(self) -> bool:
        return self.only_for is not None

    @property
    def finished(self) -> bool:
        return self.state not in self.UNFINISHED

    @property
    def may_be_retried(self) -> bool:
        return self.state in (self.State.FAILED, self.State.CANCELLED)

    @property
    def shown_state(self) -> str:
        """The state for people: a running job that was told to stop says so."""
        return "stopping" if self.cancel_requested and self.state == self.State.RUNNING else self.state
