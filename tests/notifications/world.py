"""What people were told, and requests that are decided quickly."""

from __future__ import annotations

from typing import Any

from tests import worlds
from tests.approvals import policies, world


def told(kind: str = "") -> dict[str, list[str]]:
    """For each address the subjects of what it was told, oldest first; of one kind, or of all but receipts and
    what only the time of the year brings.
    """
    from notifications.models import Notification

    rows = Notification.objects.order_by("pk")
    rows = rows.filter(kind=kind) if kind else rows.exclude(kind__in=("receipt", "attestation_due"))
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.address.partition("@")[0], []).append(row.subject)
    return found


def text_for(person: Any, kind: str) -> str:
    from notifications.models import Notification

    body: str = Notification.objects.filter(address=person.email, kind=kind).latest("id").body
    return body


def choose(person: Any, **ways: str) -> None:
    from accounts.preferences.services import choose as act

    act(by=person, account=person, ways=ways)


def a_quick_request(cast: Any, **changes: Any) -> Any:
    """By the developer, for the model owner's model, under a policy by which one approver signs without evidence."""
    policies.a_policy(cast, policies.a_document(evidence=[], **changes), everywhere=True)
    return world.a_request(cast, worlds.a_version(cast, worlds.a_model(cast, by=cast.model_owner)))
