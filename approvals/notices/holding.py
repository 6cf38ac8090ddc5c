"""Which approvals speak for something, and whether they hold."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, QuerySet

from approvals import workflow
from approvals.models import ReviewRequest

HOLDING = ("active", "expiring", "sealing", "emergency")


def speaking() -> QuerySet[ReviewRequest]:
    """The approvals that speak for their version, environment and use, and were not revoked."""
    newer = ReviewRequest.objects.filter(
        version=OuterRef("version"), environment=OuterRef("environment"), use=OuterRef("use"),
        closed_at__gt=OuterRef("closed_at"), state__in=(*workflow.APPROVED, "rejected"),
    )  # fmt: skip
    approved = ReviewRequest.objects.filter(state__in=workflow.APPROVED, revocation=None)
    return approved.exclude(Exists(newer)).order_by("pk")
