"""What validators have written so far. Each save is a row, so that the next one can say what changed."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class ReportDraftQuerySet(models.QuerySet["ReportDraft"]):
    def visible_to(self, user: Any) -> ReportDraftQuerySet:
        """Until a report is attached it is the second line's own."""
        return self.filter(user.scope("approvals.raise_finding").q("request__version__model__team"))


class ReportDraft(models.Model):
    """The words of a request's validation report after one save: by the slug of the section."""

    request = models.ForeignKey("approvals.ReviewRequest", models.PROTECT, related_name="report_drafts")
    number = models.PositiveIntegerField()
    texts = models.JSONField()
    saved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    saved_at = models.DateTimeField(db_default=Now())

    objects = ReportDraftQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint("request", "number", name="report_draft_number")]
        ordering = ["request", "-number"]

    def __str__(self) -> str:
        return f"Draft {self.number}"

    @property
    def team_id(self) -> int:
        team: int = self.request.team_id
        return team
