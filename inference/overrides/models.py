"""What a model said and what was decided instead. Nothing here is ever changed."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from ledger.canonical import timestamp
from registry.owned import OfModelQuerySet

PERSON = settings.AUTH_USER_MODEL
# Short enough to hold an output, and too short for a story about somebody.
SHORT = 60
WORDS = 300


class Override(models.Model):
    """One decision that was taken otherwise. `reference` is the sender's own word for it; it names no person."""

    class Reason(models.TextChoices):
        INFORMATION = "information", "Something the model does not know"
        INPUT = "input", "An input was wrong or missing"
        OUT_OF_SCOPE = "out_of_scope", "A case that the model is not made for"
        POLICY = "policy", "A rule of the house says otherwise"
        JUDGEMENT = "judgement", "Expert judgement"
        OTHER = "other", "Something else"

    model = models.ForeignKey("registry.Model", models.PROTECT, related_name="overrides")
    version = models.ForeignKey("registry.Version", models.PROTECT, null=True, related_name="overrides")
    environment = models.CharField(max_length=20)
    decided_at = models.DateTimeField()
    output = models.CharField(max_length=SHORT)
    decision = models.CharField(max_length=SHORT)
    reason = models.CharField(max_length=20, choices=Reason)
    words = models.CharField(max_length=WORDS)
    reference = models.CharField(max_length=80)
    # Those that were sent together; the event of the act names it, with the digest of its rows.
    batch = models.UUIDField(db_index=True)
    recorded_by = models.ForeignKey(PERSON, models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField(db_default=Now())

    objects = OfModelQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint("model", "reference", name="override_reference")]
        indexes = [models.Index("model", "environment", "decided_at", name="override_when")]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Override {self.reference} of {self.model}"

    @property
    def team_id(self) -> int:
        return self.model.team_id

    def said(self) -> dict[str, Any]:
        """What whoever sent it said, as plain JSON."""
        return {
            "version": str(self.version_id) if self.version_id else None, "environment": self.environment,
            "decided_at": timestamp(self.decided_at), "output": self.output, "decision": self.decision,
            "reason": self.reason, "words": self.words, "reference": self.reference,
        }  # fmt: skip


class DecisionTotal(models.Model):
    """How many decisions a model took part in during a month, overridden ones included. The newest row counts."""

    model = models.ForeignKey("registry.Model", models.PROTECT, related_name="decision_totals")
    environment = models.CharField(max_length=20)
    month = models.DateField()
    decisions = models.PositiveBigIntegerField()
    recorded_by = models.ForeignKey(PERSON, models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField(db_default=Now())

    objects = OfModelQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(month__day=1), name="total_of_a_month"),
            models.CheckConstraint(condition=Q(decisions__gte=1), name="total_of_some"),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.decisions} decisions of {self.model} in {self.month:%B %Y}"

    @property
    def team_id(self) -> int:
        return self.model.team_id
