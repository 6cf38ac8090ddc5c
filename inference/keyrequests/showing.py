"""What the pages show of requests for keys: how each stands, and what somebody may do about it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from accounts.models import User
from accounts.takeover.holding import why_held
from inference.keyrequests.models import KeyRequest
from inference.models import Endpoint, KeyScope
from ledger.events import database_time

# On an endpoint's page; the list has them all.
SHOWN = 10


def standings(requests: Iterable[KeyRequest]) -> list[dict[str, Any]]:
    """Each with its state by the database's clock."""
    now = database_time()
    return [{"request": each, "state": each.state(now)} for each in requests]


def open_at(endpoint: Endpoint) -> list[dict[str, Any]]:
    """What waits to be decided or taken at an endpoint."""
    now = database_time()
    undone = endpoint.key_requests.filter(key=None, outcome__in=("", "approved"), open_until__gt=now)
    return standings(undone.with_parts()[:SHOWN])


def terms(request: KeyRequest, now: datetime) -> dict[str, Any]:
    """What is asked for, as it stands wherever somebody decides."""
    names = dict(KeyScope.Action.choices)
    return {
        "asked": request, "endpoint": request.endpoint, "state": request.state(now),
        "actions": [names.get(each, each) for each in request.actions],
    }  # fmt: skip


def offered(request: KeyRequest, viewer: User, now: datetime) -> dict[str, Any]:
    """Which acts to offer; each act asks again."""
    state = request.state(now)
    undone, own = state in ("waiting", "approved"), viewer.pk == request.asked_by_id
    decides = undone and not own and viewer.pk != request.holder_id and viewer.is_person
    decides = decides and viewer.has_perm("inference.decide_key", request)
    issues = undone and own and viewer.has_perm("inference.issue_key", request)
    held = why_held(viewer) if decides else ""
    return {
        "may_approve": decides and not held and state == "waiting", "may_decline": decides and not held, "held": held,
        "may_take": issues and state == "approved", "may_withdraw": issues,
    }  # fmt: skip
