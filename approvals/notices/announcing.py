"""What webhooks are told of a request: what it is about and how it stands, no words of people."""

from __future__ import annotations

from typing import Any

from approvals.models import ReviewRequest
from notifications.kinds import KINDS
from notifications.webhooks import telling


def announce(kind: str, about: str, request: ReviewRequest, state: str, **more: Any) -> None:
    """Within the act, or by whoever looks at the clock. `state` is the request's, or that of the approval."""
    version = request.version
    where = f"{version.model.name} {version.number} for {request.use} in {request.environment}"
    data = {
        "request": request.pk, "model": version.model.slug, "version": version.number,
        "environment": request.environment, "use": request.use, "state": state, **more,
    }  # fmt: skip
    telling.announce(
        kind, about, team=request.team_id, subject=f"request {request.pk}", path=request.get_absolute_url(),
        title=f"{KINDS[kind].title}: request {request.pk}: {where}", data=data,
    )  # fmt: skip
