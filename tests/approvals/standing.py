"""People who sign in somebody's place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.cast import PASSWORD


def in_days(days: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def a_delegation(cast: Any, giver: Any, taker: Any, **changes: Any) -> Any:
    from approvals.services import delegate

    given = {"team": cast.team, "ends_at": in_days(7), "reason": "On leave.", "password": PASSWORD, **changes}
    return delegate(by=giver, taker=taker, **given)
