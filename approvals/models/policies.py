"""Policies, what binds them to models, and the proposals by which both change: two people, one after the other."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.urls import reverse

from approvals import workflow
from ledger.canonical import timestamp
from registry.models import Model

PERSON = settings.AUTH_USER_MODEL


class Policy(models.Model):
    """A policy by name; its versions say what it asks for."""

    slug = models.SlugField(max_length=60, unique=True)
    title = models.CharField(max_length=120)

    class Meta:
        ordering = ["title"]
        verbose_name_plural = "policies"

    def __str__(self) -> str:
        return self.title


class PublishedQuerySet(models.QuerySet[Any]):
    def visible_to(self, user: Any) -> Any:
        """Policies hold for every team: whoever may see requests anywhere sees them all."""
        return self if user.may_somewhere("approvals.view_request") else self.none()


class PolicyVersionQuerySet(PublishedQuerySet):
    def newest(self) -> Any:
        """The newest version of each policy."""
        return self.order_by("policy_id", "-number").distinct("policy_id")


class PolicyVersion(models.Model):
    """One published text of a policy, as canonical bytes. It never changes; requests are pinned to it.

    One that `binds_now` ends the pinning of requests under way to earlier versions.
    """

    policy = models.ForeignKey(Policy, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    document = models.BinaryField()
    digest = models.CharField(max_length=71, unique=True)
    binds_now = models.BooleanField(default=False)
    published_at = models.DateTimeField(db_default=Now())

    objects = PolicyVersionQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint("policy", "number", name="policy_number")]
        ordering = ["policy", "-number"]

    def __str__(self) -> str:
        return f"{self.policy}, version {self.number}"

    def get_absolute_url(self) -> str:
        return reverse("policy", args=[self.pk])

    @property
    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(bytes(self.document))
        return content

    @property
    def rules(self) -> workflow.Policy:
        return rules_of(bytes(self.document))

    def applying(self, tier: str, environment: str, use: str, change: str = workflow.HIGHEST) -> workflow.Policy:
        """What of its rules applies to a request, see `workflow.Policy.applying`; worked out once."""
        return applying_of(bytes(self.document), tier, environment, use, change)


@lru_cache(maxsize=256)
def rules_of(document: bytes) -> workflow.Policy:
    return workflow.read_policy(json.loads(document))


@lru_cache(maxsize=1024)
def applying_of(document: bytes, *asked: str) -> workflow.Policy:
    return rules_of(document).applying(*asked)


class BindingQuerySet(PublishedQuerySet):
    def in_force(self) -> Any:
        """The newest row for each team, use and tier, without those that only end one."""
        newest = self.order_by("team_id", "use", "tier", "-id").distinct("team_id", "use", "tier")
        return self.filter(pk__in=newest.values("pk"), policy__isnull=False)


class PolicyBinding(models.Model):
    """Which policy new requests of a team, use and risk tier are pinned to; empty means any.

    The newest row for the same three counts; without a policy it ends what was bound before.
    """

    team = models.ForeignKey("accounts.Team", models.PROTECT, null=True, related_name="+")
    use = models.CharField(max_length=60, blank=True)
    tier = models.CharField(max_length=10, blank=True, choices=Model.Tier)
    policy = models.ForeignKey(Policy, models.PROTECT, null=True, related_name="bindings")
    proposal = models.OneToOneField("approvals.Proposal", models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField(db_default=Now())

    objects = BindingQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.policy or 'No policy of its own'} for {scope_in_words(self)}"

    @property
    def scope(self) -> str:
        return scope_in_words(self)

    @property
    def weight(self) -> tuple[bool, bool, bool]:
        """By which the rules choose: of what fits a request, the greatest governs."""
        return workflow.Binding(self.policy_id, self.team_id, self.use or None, self.tier or None).weight


def scope_in_words(row: Any) -> str:
    """For whom a binding, or the proposal of one, holds."""
    tier = f"{row.tier}-risk models" if row.tier else "models of any risk tier"
    team = f" of team {row.team}" if row.team else ""
    return f"{tier}{team}, {f'used for {row.use}' if row.use else 'for any use'}"


class Proposal(models.Model):
    """A new version of a policy, or a binding, that somebody proposed and somebody else publishes or declines."""

    class Kind(models.TextChoices):
        VERSION = "version", "Policy version"
        BINDING = "binding", "Binding"

    class State(models.TextChoices):
        OPEN = "open", "Open"
        PUBLISHED = "published", "Published"
        DECLINED = "declined", "Declined"
        WITHDRAWN = "withdrawn", "Withdrawn"

    kind = models.CharField(max_length=10, choices=Kind)
    # A version: its canonical bytes and their digest.
    document = models.BinaryField(null=True)
    digest = models.CharField(max_length=71, blank=True)
    binds_now = models.BooleanField(default=False)
    # A binding: as in PolicyBinding.
    team = models.ForeignKey("accounts.Team", models.PROTECT, null=True, related_name="+")
    use = models.CharField(max_length=60, blank=True)
    tier = models.CharField(max_length=10, blank=True, choices=Model.Tier)
    policy = models.ForeignKey(Policy, models.PROTECT, null=True, related_name="+")

    note = models.TextField()
    proposed_by = models.ForeignKey(PERSON, models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField(db_default=Now())
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    decided_by = models.ForeignKey(PERSON, models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    answer = models.TextField(blank=True)

    objects = PublishedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state="open", decided_at=None, decided_by=None)
                | (~Q(state="open") & Q(decided_at__isnull=False, decided_by__isnull=False)),
                name="proposal_decided",
            ),
            # Whoever proposes does not publish: the database says so too.
            models.CheckConstraint(
                condition=~Q(state="published") | ~Q(decided_by=F("proposed_by")), name="proposal_two_people"
            ),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Proposal {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("policy-proposal", args=[self.pk])

    @property
    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(bytes(self.document)) if self.document else {}
        return content

    @property
    def title(self) -> str:
        if self.kind == self.Kind.VERSION:
            return f"{self.content['title']}, version {self.content['version']}"
        return f"{self.policy or 'No policy of its own'} for {scope_in_words(self)}"

    def as_record(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "digest": self.digest, "binds_now": self.binds_now,
            "team": str(self.team_id) if self.team_id else None, "use": self.use, "tier": self.tier,
            "policy": self.policy.slug if self.policy else None, "state": self.state,
            "proposed_by": str(self.proposed_by.opaque_id), "proposed_at": timestamp(self.proposed_at),
            "decided_by": str(self.decided_by.opaque_id) if self.decided_by else None,
            "decided_at": timestamp(self.decided_at) if self.decided_at else None,
        }  # fmt: skip
