"""Requests and what was said and signed about them. Whatever was decided is append-only in the database."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cached_property
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse

from approvals import workflow
from approvals.models.policies import PolicyVersion
from approvals.workflow.manifest import FORMAT
from ledger.canonical import timestamp

PERSON = settings.AUTH_USER_MODEL


class RequestQuerySet(models.QuerySet["ReviewRequest"]):
    def visible_to(self, user: Any) -> RequestQuerySet:
        return self.filter(user.scope("approvals.view_request").q(ReviewRequest.TEAM))

    def ended(self, version: Any) -> RequestQuerySet:
        """What was rejected, withdrawn or revoked for this version's model, or for its bytes under another name."""
        alike = Q(version__model=version.model_id) | Q(version__artifact=version.artifact_id)
        return self.filter(alike, Q(state__in=("rejected", "withdrawn")) | Q(revocation__isnull=False))

    def under_way(self) -> RequestQuerySet:
        return self.filter(state__in=workflow.OPEN)


class ReviewRequest(models.Model):
    """The question whether a version may serve in an environment for a use. `state` is where the work on it stands.

    Whether an approval holds is computed by `approvals.gate` from signatures and records, never read from here.
    """

    TEAM = "version__model__team"

    class State(models.TextChoices):
        IN_REVIEW = "in_review", "In review"
        CHANGES_REQUESTED = "changes_requested", "Changes requested"
        APPROVED = "approved", "Approved"
        CONDITIONALLY_APPROVED = "conditionally_approved", "Approved with conditions"
        REJECTED = "rejected", "Rejected"
        WITHDRAWN = "withdrawn", "Withdrawn"

    version = models.ForeignKey("registry.Version", models.PROTECT, related_name="requests")
    # The version's, which the database sees to: where a model stands is asked of all its versions.
    model = models.ForeignKey("registry.Model", models.PROTECT, related_name="+", editable=False)
    environment = models.CharField(max_length=20, choices=[(name, name.capitalize()) for name in workflow.ENVIRONMENTS])
    use = models.SlugField(max_length=60)
    policy_version = models.ForeignKey(PolicyVersion, models.PROTECT, related_name="requests")
    policy_pinned_at = models.DateTimeField(db_default=Now())
    state = models.CharField(max_length=30, choices=State, default=State.IN_REVIEW)
    submitted_by = models.ForeignKey(PERSON, models.PROTECT, related_name="+")
    submitted_at = models.DateTimeField(db_default=Now())
    # When it was approved, rejected or withdrawn. The newest of these speaks for a version, environment and use.
    closed_at = models.DateTimeField(null=True)

    objects = RequestQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "version", "environment", "use",
                condition=Q(state__in=("in_review", "changes_requested")), name="one_open_request",
            ),
            models.CheckConstraint(
                condition=Q(state__in=("in_review", "changes_requested"), closed_at=None)
                | Q(
                    state__in=("approved", "conditionally_approved", "rejected", "withdrawn"), closed_at__isnull=False
                ),
                name="request_closed_at",
            ),
        ]  # fmt: skip
        indexes = [
            models.Index("version", "environment", "use", name="request_subject"),
            models.Index("closed_at", name="request_closed"),  # null while it is under way
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Request {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("request", args=[self.pk])

    @property
    def team_id(self) -> int:
        team: int = self.version.model.team_id
        return team

    def as_record(self) -> dict[str, Any]:
        return {
            "version": str(self.version_id), "environment": self.environment, "use": self.use, "state": self.state,
            "policy": self.policy_version.digest, "submitted_by": str(self.submitted_by.opaque_id),
            "submitted_at": timestamp(self.submitted_at),
            "closed_at": timestamp(self.closed_at) if self.closed_at else None,
            "policy_pinned_at": timestamp(self.policy_pinned_at),
        }  # fmt: skip

    @property
    def is_open(self) -> bool:
        return self.state in workflow.OPEN

    @property
    def latest(self) -> Revision:
        """The revision that counts. A request is never without one."""
        return self.revisions.latest("number")


class OfRequestQuerySet(models.QuerySet[Any]):
    def visible_to(self, user: Any) -> Any:
        return self.filter(user.scope("approvals.view_request").q("request__version__model__team"))


class Revision(models.Model):
    """One frozen manifest. Anything that changes makes another; what was signed over this one stays with it."""

    request = models.ForeignKey(ReviewRequest, models.PROTECT, related_name="revisions")
    number = models.PositiveIntegerField()
    manifest_bytes = models.BinaryField()
    digest = models.CharField(max_length=71, unique=True)
    evidence_ids = ArrayField(models.BigIntegerField())
    # From format 2 on: steps of the findings and conditions that were open, and the risks that were accepted.
    format = models.CharField(max_length=40, default=FORMAT)
    step_ids = ArrayField(models.BigIntegerField(), default=list)
    acceptance_ids = ArrayField(models.BigIntegerField(), default=list)
    # From format 4 on how much is new: kind, sections, compared_with, rests_on and until, see `comparing.compared`.
    material_change = models.JSONField(null=True)
    note = models.TextField(blank=True)
    submitted_by = models.ForeignKey(PERSON, models.PROTECT, related_name="+")
    submitted_at = models.DateTimeField(db_default=Now())

    objects = OfRequestQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint("request", "number", name="revision_number")]
        ordering = ["request", "-number"]

    def __str__(self) -> str:
        return f"Revision {self.number}"

    @property
    def change(self) -> str:
        """The class of what is new; the highest where nobody asked."""
        return str((self.material_change or {}).get("kind", workflow.HIGHEST))

    @property
    def rests_on(self) -> list[int]:
        """The requests whose approvals let the policy ask for less."""
        return [int(pk) for pk in (self.material_change or {}).get("rests_on", ())]

    @cached_property
    def manifest(self) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads(bytes(self.manifest_bytes))
        return manifest


class Decision(models.Model):
    """What one person decided on one revision, with everything it was judged by at that moment."""

    class Outcome(models.TextChoices):
        APPROVE = "approve", "Approve"
        APPROVE_WITH_CONDITIONS = "approve_with_conditions", "Approve with conditions"
        EMERGENCY = "emergency", "Emergency approval"
        REQUEST_CHANGES = "request_changes", "Request changes"
        REJECT = "reject", "Reject"

    request = models.ForeignKey(ReviewRequest, models.PROTECT, related_name="decisions")
    revision = models.ForeignKey(Revision, models.PROTECT, related_name="decisions")
    requirement = models.SlugField(max_length=60)
    signer = models.ForeignKey(PERSON, models.PROTECT, related_name="+")
    on_behalf_of = models.ForeignKey(PERSON, models.PROTECT, null=True, related_name="+")
    outcome = models.CharField(max_length=30, choices=Outcome)
    meaning = models.TextField()
    comment = models.TextField()
    digest = models.CharField(max_length=71)
    # {"roles": [...], "grants": [ids], "people": {"submitter": [opaque ids], "contributors": [...], …}}
    judged_by = models.JSONField()
    # Opaque event id of the fresh proof of identity.
    authentication = models.UUIDField()
    # Codes of the known limitations that the signer acknowledged, and ids of the evidence that they had opened.
    acknowledged = ArrayField(models.CharField(max_length=60))
    evidence_opened = ArrayField(models.BigIntegerField())
    # Of each condition the digest of its words, its owner's opaque id and its due day.
    conditions = models.JSONField(default=list)
    at = models.DateTimeField(db_default=Now())

    objects = OfRequestQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "revision", "requirement", "signer", condition=Q(outcome__in=workflow.APPROVING),
                name="one_signature_a_requirement",
            )
        ]  # fmt: skip
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.get_outcome_display()} by {self.signer}"

    def as_record(self) -> dict[str, Any]:
        """What the gate compares with the row: a decision that differs from its record counts for nothing."""
        return {
            "request": str(self.request_id), "revision": str(self.revision_id), "requirement": self.requirement,
            "signer": str(self.signer.opaque_id),
            "on_behalf_of": str(self.on_behalf_of.opaque_id) if self.on_behalf_of else None,
            "outcome": self.outcome, "meaning": self.meaning, "digest": self.digest, "judged_by": self.judged_by,
            "authentication": str(self.authentication), "acknowledged": self.acknowledged,
            "evidence_opened": [str(pk) for pk in self.evidence_opened], "at": timestamp(self.at),
            # Decisions from before there were conditions have records without the word.
            **({"conditions": self.conditions} if self.conditions else {}),
        }  # fmt: skip

    @property
    def credentials_changed_at(self) -> datetime | None:
        """When the signer's password or mail address was last replaced, where that was within 30 days."""
        at = self.judged_by.get("credentials_changed_at")
        return datetime.fromisoformat(at) if at else None

    @property
    def team_id(self) -> int:
        return self.request.team_id


class Revocation(models.Model):
    """The end of an approval before its time."""

    request = models.OneToOneField(ReviewRequest, models.PROTECT, related_name="revocation")
    revoked_by = models.ForeignKey(PERSON, models.PROTECT, related_name="+")
    reason = models.TextField()
    at = models.DateTimeField(db_default=Now())

    objects = OfRequestQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Revocation of request {self.request_id}"

    @property
    def team_id(self) -> int:
        return self.request.team_id


class Comment(models.Model):
    """One contribution to a request's conversation."""

    request = models.ForeignKey(ReviewRequest, models.PROTECT, related_name="comments")
    author = models.ForeignKey(PERSON, models.PROTECT, related_name="+")
    text = models.TextField()
    mentioned: models.ManyToManyField[Any, Any] = models.ManyToManyField(PERSON, related_name="+")
    # The part of the request's page that it is about, by the end of its address; "" for all of it.
    about = models.CharField(max_length=80, blank=True)
    at = models.DateTimeField(db_default=Now())

    objects = OfRequestQuerySet.as_manager()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"Comment {self.pk}"

    @property
    def team_id(self) -> int:
        return self.request.team_id


class Reauthentication(models.Model):
    """A fresh proof of identity for signing one digest, once, within two minutes. Only the nonce's SHA-256 is kept."""

    request = models.ForeignKey(ReviewRequest, models.PROTECT, related_name="+")
    person = models.ForeignKey(PERSON, models.PROTECT, related_name="+")
    # SHA-256 of the session or token that it was given to.
    session = models.CharField(max_length=71)
    digest = models.CharField(max_length=71)
    nonce = models.CharField(max_length=71, unique=True)
    # password, password+totp or passkey; and of a passkey its assertion over the digest, public parts only.
    method = models.CharField(max_length=20, default="password")
    assertion = models.JSONField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"Reauthentication {self.pk}"

    @property
    def team_id(self) -> int:
        return self.request.team_id


class EvidenceView(models.Model):
    """That somebody opened a piece of evidence from a request's pages, the first time."""

    request = models.ForeignKey(ReviewRequest, models.PROTECT, related_name="evidence_views")
    evidence = models.ForeignKey("registry.Evidence", models.PROTECT, related_name="+")
    person = models.ForeignKey(PERSON, models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint("request", "evidence", "person", name="evidence_opened_once")]

    def __str__(self) -> str:
        return f"Evidence {self.evidence_id} opened"
