"""Which policy is bound to which requests, as it is now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import F, QuerySet

from approvals import workflow
from approvals.models import PolicyBinding, PolicyVersion
from ledger.prepared import Prepared
from registry.models import Version


def bindings() -> list[workflow.Binding[PolicyVersion]]:
    """What is bound now, each with the newest version of its policy. One query."""
    return [workflow.Binding(row, row.for_team, row.for_use or None, row.for_tier or None) for row in BOUND()]


def bound_now() -> QuerySet[Any]:
    bound = {name: F(f"policy__bindings__{name}") for name in ("team", "use", "tier")}
    found: QuerySet[Any] = (
        PolicyVersion.objects.filter(policy__bindings__in=PolicyBinding.objects.in_force())
        .annotate(**{f"for_{name}": path for name, path in bound.items()})
        .order_by("policy__bindings", "-number")
        .distinct("policy__bindings")
        .select_related("policy")
    )
    return found


BOUND: Prepared[Any] = Prepared(bound_now)


def policy_for(version: Version, use: str) -> PolicyVersion:
    """The policy version to which a new request for this use would be pinned."""
    return governing(bindings(), version, use)


def governing(bound: Sequence[workflow.Binding[PolicyVersion]], version: Version, use: str) -> PolicyVersion:
    found = workflow.governing(bound, version.model.team_id, use, version.model.tier)
    # A migration binds everything; `propose_binding` refuses to end that.
    assert found is not None
    return found.policy
