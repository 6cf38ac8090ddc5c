"""Administrators, proposals and links, as tests of accounts need them; each through the services."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ledger.actors import SystemActor
from ledger.models import Event
from ledger.refusals import Refusal
from tests.cast import PASSWORD

CONSOLE = SystemActor("console", frozenset({"accounts.grant_role", "accounts.add_account"}))


def role(slug: str) -> Any:
    from accounts.models import Role

    return Role.objects.get(slug=slug)


def second_admin(cast: Any, name: str = "Paul Zweit") -> Any:
    from accounts.services import add_account, grant_role

    email = f"{name.split()[0].lower()}@example.org"
    account = add_account(by=CONSOLE, name=name, email=email, password=PASSWORD)
    administrator = role("platform_administrator")
    grant_role(by=CONSOLE, account=account, role=administrator, team=None, reason="the second one")
    return account


def proposed(by: Any, account: Any, *, slug: str = "approver", team: Any = None, **changes: Any) -> Any:
    from accounts.granting.services import propose_grant

    terms = {"reason": "signs while Arno is away", "accept_conflict": True, "conflict_reason": "for a week", **changes}
    return propose_grant(by=by, account=account, role=role(slug), team=team, **terms)


def refused(code: str, act: Any, **arguments: Any) -> None:
    """The act is refused with this code, and nothing but the refusal is written."""
    before = Event.objects.count()
    with pytest.raises(Refusal) as refusal:
        act(**arguments)
    assert refusal.value.code == code
    assert Event.objects.count() == before + 1
    assert Event.objects.latest("id").content["facts"]["code"] == code


def post(client: Any, path: str, **body: Any) -> Any:
    return client.post(f"/api/v1/{path}", json.dumps(body), content_type="application/json")
