"""Findings with their history, and accepted risks. Nothing here is ever changed: what happens is another row."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse

from ledger.canonical import sha256, timestamp

PERSON = settings.AUTH_USER_MODEL


class Severity(models.TextChoices):
    CRITICAL = "critical", "Critical"
    HIGH = "high", "High"
    MEDIUM = "medium", "Medium"
    LOW = "low", "Low"


class OfVersionQuerySet(models.QuerySet[Any]):
    def visible_to(self, user: Any) -> Any:
        return self.filter(user.scope("approvals.view_request").q("version__model__team"))


class Finding(models.Model):
    """Something wrong with a version, or a condition on which it was approved. What becomes of it is in its steps.

    A finding is about the version, wherever that is to serve; a condition about the request whose approval it is part
    of. `request` of a finding is the one on whose page it was raised.
    """

    class Kind(models.TextChoices):
        FINDING = "finding", "Finding"
        CONDITION = "condition", "Condition"

    version = models.ForeignKey("registry.Version", models.PROTECT, related_name="findings")
    request = models.ForeignKey("approvals.ReviewRequest", models.PROTECT, null=True, related_name="findings")
    decision = models.ForeignKey("approvals.Decision", models.PROTECT, null=True, related_name="findings")
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.FINDING)
    title = models.CharField(max_length=200)
    text = models.TextField()
    # The line or section that it is about.
    reference = models.CharField(max_length=200, blank=True)
    raised_by = models.ForeignKey(PERSON, models.PROTECT, related_name="+")
    raised_at = models.DateTimeField(db_default=Now())

    objects = OfVersionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="finding", decision=None)
                | Q(kind="condition", decision__isnull=False, request__isnull=False),
                name="condition_of_a_decision",
            )
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("finding", args=[self.pk])

    @property
    def team_id(self) -> int:
        team: int = self.version.model.team_id
        return team

    @property
    def digest(self) -> str:
        """Of the words, which no record holds."""
        return sha256("\n".join((self.title, self.reference, self.text)).encode())

    def as_record(self) -> dict[str, Any]:
        return {
            "version": str(self.version_id), "request": str(self.request_id) if self.request_id else None,
            "decision": str(self.decision_id) if self.decision_id else None, "kind": self.kind, "words": self.digest,
            "raised_by": str(self.raised_by.opaque_id), "raised_at": timestamp(self.raised_at),
        }  # fmt: skip


class StepQuerySet(models.QuerySet["FindingStep"]):
    def latest_each(self, until: datetime | None = None) -> StepQuerySet:
        """The newest step of each finding (until a moment), which says how the finding stands."""
        rows = self if until is None else self.filter(at__lte=until)
        return rows.order_by("finding_id", "-number").distinct("finding_id")

    def with_parts(self) -> StepQuerySet:
        return self.select_related(*FindingStep.PARTS)


class FindingStep(models.Model):
    """What one act made of a finding: state, severity, owner and due day as they are from then on."""

    TEAM = "finding__version__model__team"
    PARTS = (TEAM, "finding__version__artifact", "finding__raised_by", "owner", "by")

    class Kind(models.TextChoices):
        RAISED = "raised", "Raised"
        ANSWERED = "answered", "Answered"
        REASSESSED = "reassessed", "Reassessed"
        CLOSED = "closed", "Closed"
        REOPENED = "reopened", "Reopened"

    class State(models.TextChoices):
        OPEN = "open", "Open"
        ANSWERED = "answered", "Answered"
        CLOSED = "closed", "Closed"

    finding = models.ForeignKey(Finding, models.PROTECT, related_name="steps")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=10, choices=Kind)
    state = models.CharField(max_length=10, choices=State)
    # Empty for a condition.
    severity = models.CharField(max_length=10, choices=Severity, blank=True)
    owner = models.ForeignKey(PERSON, models.PROTECT, related_name="+")
    due = models.DateField()
    text = models.TextField(blank=True)
    by = models.ForeignKey(PERSON, models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())

    objects = StepQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint("finding", "number", name="finding_step_number")]
        ordering = ["finding", "number"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, step {self.number}"

    @property
    def team_id(self) -> int:
        return self.finding.team_id

    def as_record(self) -> dict[str, Any]:
        """What the gate compares with the row: a finding that differs from its record is not to be trusted."""
        return {
            "finding": str(self.finding_id), "number": self.number, "kind": self.kind, "state": self.state,
            "severity": self.severity, "owner": str(self.owner.opaque_id), "due": self.due.isoformat(),
            "words": sha256(self.text.encode()), "by": str(self.by.opaque_id), "at": timestamp(self.at),
        }  # fmt: skip


class RiskAcceptance(models.Model):
    """Somebody answers with their name for what is missing or wrong, for one version, environment and use, for a while.

    What was signed is `document`, canonical bytes with their digest. Exactly one of `finding` and `rule` (an evidence
    rule of the policy) is what it is for.
    """

    version = models.ForeignKey("registry.Version", models.PROTECT, related_name="risk_acceptances")
    environment = models.CharField(max_length=20)
    use = models.SlugField(max_length=60)
    request = models.ForeignKey("approvals.ReviewRequest", models.PROTECT, related_name="risk_acceptances")
    finding = models.ForeignKey(Finding, models.PROTECT, null=True, related_name="risk_acceptances")
    rule = models.SlugField(max_length=60, blank=True)
    severity = models.CharField(max_length=10, choices=Severity, blank=True)
    reason = models.TextField()
    until = models.DateField()
    # How often the same risk had been accepted before for this version, environment and use, and by which one last.
    renewal = models.PositiveSmallIntegerField(default=0)
    renews = models.ForeignKey("self", models.PROTECT, null=True, related_name="renewals")
    signer = models.ForeignKey(PERSON, models.PROTECT, related_name="+")
    meaning = models.TextField()
    document = models.BinaryField()
    digest = models.CharField(max_length=71)
    # As of a decision: role, grants, and who had a hand in it.
    judged_by = models.JSONField()
    authentication = models.UUIDField()
    at = models.DateTimeField(db_default=Now())

    objects = OfVersionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(finding__isnull=False, rule="") | (Q(finding=None) & ~Q(rule="")), name="one_risk_accepted"
            ),
            # A condition has no severity, a rule neither.
            models.CheckConstraint(condition=Q(rule="") | Q(severity=""), name="severity_of_a_finding"),
        ]
        indexes = [models.Index("version", "environment", "use", name="risk_acceptance_subject")]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Risk acceptance {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("risk-acceptance", args=[self.pk])

    @property
    def team_id(self) -> int:
        team: int = self.version.model.team_id
        return team

    @property
    def target(self) -> str:
        return f"finding:{self.finding_id}" if self.finding_id else f"evidence:{self.rule}"

    def as_record(self) -> dict[str, Any]:
        return {
            "version": str(self.version_id), "environment": self.environment, "use": self.use,
            "request": str(self.request_id), "target": self.target, "severity": self.severity,
            "until": self.until.isoformat(), "renewal": self.renewal, "signer": str(self.signer.opaque_id),
            "meaning": self.meaning, "reason": sha256(self.reason.encode()),
            "document": sha256(bytes(self.document)), "digest": self.digest, "judged_by": self.judged_by,
            "authentication": str(self.authentication), "at": timestamp(self.at),
        }  # fmt: skip

    def state_on(self, day: date) -> str:
        """For pages: `withdrawn`, `expired` or `accepted`. Whether it lifts something the gate works out."""
        if hasattr(self, "withdrawal"):
            return "withdrawn"
        return "expired" if day > self.until else "accepted"


class AcceptanceWithdrawal(models.Model):
    """The end of an accepted risk before its day."""

    acceptance = models.OneToOneField(RiskAcceptance, models.PROTECT, related_name="withdrawal")
    withdrawn_by = models.ForeignKey(PERSON, models.PROTECT, related_name="+")
    reason = models.TextField()
    at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"Withdrawal of risk acceptance {self.acceptance_id}"

    @property
    def team_id(self) -> int:
        return self.acceptance.team_id
