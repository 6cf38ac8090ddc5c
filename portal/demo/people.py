"""The demo's accounts, one for each role. They can sign in only in embedded mode."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from accounts.models import Grant, Role, Team, User
from accounts.services import add_account, add_team, grant_role
from ledger.actors import SystemActor

CONSOLE = SystemActor("console", frozenset({"accounts.add_team", "accounts.add_account", "accounts.grant_role"}))
TEAM = "credit"
# Dana holds a validator's role too, as happens in small teams: her own work she may not sign all the same.
PEOPLE: dict[str, tuple[str, tuple[str, ...], bool]] = {
    "owner": ("Olga Novak", ("model_owner",), True),
    "developer": ("Dana Reyes", ("developer", "validator"), True),
    "validator": ("Vera Lind", ("validator",), True),
    "reviewer": ("Remy Costa", ("reviewer",), True),
    "approver": ("Arno Weiss", ("approver",), True),
    "risk": ("Rosa Klein", ("risk_officer",), False),
    "auditor": ("Aziz Haddad", ("auditor",), False),
    "policy": ("Pia Berg", ("policy_administrator",), False),
    "admin": ("Petra Sand", ("platform_administrator",), False),
    "outsider": ("Otto Fremd", ("developer",), True),
}


def address(key: str) -> str:
    return f"{key}@demo.example"


def password_from(file: Path) -> str:
    """The demo's password: made once for this installation, readable by its owner only."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(secrets.token_urlsafe(12))
    return file.read_text().strip()


def ensure(password: str) -> Team:
    """Make what is missing of team and accounts, through the services, and return the team."""
    teams = {
        slug: Team.objects.filter(slug=slug).first() or add_team(by=CONSOLE, name=name, slug=slug)
        for slug, name in ((TEAM, "Credit"), ("claims", "Claims"))
    }
    for key, (name, roles, in_team) in PEOPLE.items():
        account = User.objects.filter(email=address(key)).first() or add_account(
            by=CONSOLE, name=name, email=address(key), password=password, is_demo=True
        )
        where = teams["claims" if key == "outsider" else TEAM] if in_team else None
        for role in Role.objects.filter(slug__in=roles).exclude(
            pk__in=Grant.objects.active().filter(user=account).values("role")
        ):
            grant_role(
                by=CONSOLE, account=account, role=role, team=where, reason="demo", accept_conflict=True,
                conflict_reason="a small team, as the demo shows",
            )  # fmt: skip
    return teams[TEAM]
