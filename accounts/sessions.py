"""Sessions in browsers: which are open, and ending them. One that is ended stops at once: Django's own row is gone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from django.contrib.sessions.models import Session

from accounts.factors.models import BrowserSessionQuerySet
from accounts.models import BrowserSession, User
from ledger.actors import Actor
from ledger.door import Done, governed, mechanical
from ledger.models import Disclosure
from ledger.receipts import last_act
from ledger.refusals import Refusal

# The more particular first: Edge says that it is Chrome, and Chrome that it is Safari.
BROWSERS = (
    ("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrom", "Chrome"), ("CriOS", "Chrome"),
    ("FxiOS", "Firefox"), ("Safari", "Safari"),
)  # fmt: skip
SYSTEMS = (
    ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A session for showing: where and since when. What was erased from the log is empty."""

    pk: int
    opened_at: datetime
    browser: str
    address: str
    here: bool


def family(agent: str) -> str:
    """`Firefox on Linux`, from what a browser says of itself; "" where it says nothing known."""
    browser = next((name for mark, name in BROWSERS if mark in agent), "")
    system = next((name for mark, name in SYSTEMS if re.search(rf"\b{mark}\b", agent)), "")
    return " on ".join(filter(None, (browser, system)))


@mechanical("a session's place in the list; the act is `session.opened`")
def note(account: User, key: str) -> None:
    """A session was opened under this key of Django's, by the act that was committed last."""
    event = last_act()
    assert event is not None
    account.browser_sessions.exclude(pk__in=account.browser_sessions.open()).delete()
    BrowserSession.objects.create(user=account, key=key, event=event)


@mechanical("Django gave a session another key; it is the same session")
def move(old: str, new: str) -> None:
    BrowserSession.objects.filter(key=old).update(key=new)


def close(sessions: BrowserSessionQuerySet) -> int:
    """Within an act. How many there were."""
    keys = list(sessions.values_list("key", flat=True))
    Session.objects.filter(session_key__in=keys).delete()
    return len(keys)


@governed(permission="accounts.manage_own_access", event="session.ended", on="account")
def end_session(*, by: Actor, account: User, session: int) -> Done[None]:
    """Raises Refusal `already_ended`."""
    if not close(account.browser_sessions.open().filter(pk=session)):
        raise Refusal("already_ended", "This session has ended already.")
    return Done(None, facts={"account": str(account.opaque_id), "count": 1})


@governed(permission="accounts.manage_own_access", event="session.ended", on="account")
def end_other_sessions(*, by: Actor, account: User, keep: str) -> Done[int]:
    """All but the one whose key is `keep`."""
    count = close(account.browser_sessions.open().exclude(key=keep))
    return Done(count, facts={"account": str(account.opaque_id), "count": count})


def places(account: User, key: str | None) -> list[Place]:
    """The open sessions of an account, the newest first."""
    rows = list(account.browser_sessions.open())
    told = Disclosure.objects.filter(event__in=[row.event for row in rows], label__in=("browser", "address"))
    by_event = {(each.event_id, each.label): each.value for each in told}
    return [
        Place(row.pk, row.opened_at, by_event.get((row.event, "browser"), ""),
              by_event.get((row.event, "address"), ""), row.key == key)
        for row in rows
    ]  # fmt: skip
