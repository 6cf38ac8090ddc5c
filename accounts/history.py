"""What happened at the door of one's own account, from the log: who got in, who was kept out, what was changed."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts.models import User
from ledger.models import Disclosure, Event

SIZE = 50
SENTENCES = {
    "session.opened": "Signed in",
    "sign_in.begun": "Gave the password, then was asked for a second factor",
    "session.closed": "Signed out",
    "session.ended": "Signed out elsewhere",
    "password.changed": "Password changed",
    "factor.added": "Second factor added",
    "factor.removed": "Second factor removed",
    "factor_link.made": "An administrator made a link that removes your second factors",
    "factors.reset": "All second factors removed by a link",
    "recovery_codes.made": "New recovery codes",
    "invitation.made": "Invitation made",
    "invitation.accepted": "First password set",
    "account.deactivated": "Account deactivated",
}
METHODS = {
    "password": "password",
    "password+totp": "password and a code from an app",
    "password+passkey": "password and a passkey",
    "password+recovery_code": "password and a recovery code",
    "totp": "authenticator app",
    "passkey": "passkey",
}
WHY = {
    "wrong_credentials": "wrong password",
    "account_locked": "locked after too many wrong passwords or codes",
    "wrong_code": "wrong code",
    "code_used": "a code that was used already",
    "wrong_passkey": "the passkey did not prove itself",
    "challenge_used": "an answer of a passkey that was used already",
}


@dataclass(frozen=True)
class Line:
    """One event of the log. `how` says by which means, or why not; `where` is browser and address as disclosed."""

    text: str
    how: str
    where: str
    at: datetime
    outcome: str


def history(account: User, before: str = "") -> dict[str, Any]:
    """A page of lines, newest first, and `older`: from which event the next page goes on, or nothing."""
    names = [name for known in SENTENCES for name in (known, f"{known}.refused")]
    events = Event.objects.about(account).filter(event__in=names)
    if begun := identifier(before):
        events = events.filter(pk__lt=begun)
    rows = list(events[: SIZE + 1])
    told = Disclosure.objects.filter(event__in=[row.pk for row in rows], label__in=("browser", "address"))
    where: dict[uuid.UUID, dict[str, str]] = {}
    for each in told:
        where.setdefault(each.event_id, {})[each.label] = each.value
    lines = [line(row, where.get(row.pk, {})) for row in rows[:SIZE]]
    return {"lines": lines, "older": str(rows[SIZE - 1].pk) if len(rows) > SIZE else ""}


def identifier(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def line(event: Event, told: dict[str, str]) -> Line:
    facts = event.content["facts"]
    text = SENTENCES[event.event.removesuffix(".refused")]
    if event.outcome == "refused":
        how = WHY.get(facts["code"], facts["code"].replace("_", " "))
        return Line(f"Refused: {text[:1].lower()}{text[1:]}", how, place(told), event.time, "refused")
    how = METHODS.get(facts.get("method") or facts.get("kind") or "", "")
    return Line(text, how, place(told), event.time, event.outcome)


def place(told: dict[str, str]) -> str:
    return ", ".join(told[label] for label in ("browser", "address") if label in told)
