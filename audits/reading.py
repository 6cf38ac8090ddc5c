"""The log as people read it: pages of it, one entry with its disclosures checked, names as they stood."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts.models import User
from audits.search import Found
from ledger.models import Event, EventQuerySet
from ledger.reading import seals_of

NAMELESS = {"system": "the system", "anonymous": "somebody not signed in"}


@dataclass(frozen=True)
class Who:
    name: str
    is_service: bool = False


@dataclass(frozen=True)
class Entry:
    """One event for showing. `text` is its sentence, `who` the actor; `entry` is its number once it is sealed."""

    event: Event
    text: str
    who: Who
    at: datetime
    icon: str
    tone: str
    url: str = ""
    entry: int | None = None


@dataclass(frozen=True)
class Told:
    """A disclosure: `verified` against the digest in the event, `erased`, or `altered`."""

    label: str
    value: str
    state: str
    digest: str


@dataclass(frozen=True)
class Page:
    """Part of the log, newest first; `newer` and `older` are the ids to go on from, or empty."""

    entries: list[Entry]
    newer: str = ""
    older: str = ""


def sentence(event: str) -> str:
    """`model.risk_tier_set.refused` → `Refused: model risk tier set`."""
    name, refused = event.removesuffix(".refused"), event.endswith(".refused")
    words = name.replace(".", " ").replace("_", " ")
    return f"Refused: {words}" if refused else words[:1].upper() + words[1:]


def entries(events: Iterable[Event]) -> list[Entry]:
    """Each event with its actor's name and its seal. Three queries, however many events."""
    rows = list(events)
    ids = {row.actor_id for row in rows if row.actor_kind not in NAMELESS}
    now = {str(user.opaque_id): user.name for user in User.objects.filter(opaque_id__in=ids)}
    seals = seals_of(rows)
    return [entry(row, now, seals[row.pk]) for row in rows]


def entry(event: Event, names: dict[str, str], number: int | None) -> Entry:
    name = NAMELESS.get(event.actor_kind) or names.get(event.actor_id) or event.actor_id
    if event.actor_kind == "system":
        name = f"{name} ({event.actor_id})"
    refused = event.outcome == "refused"
    who = Who(name, event.actor_kind == "service_account")
    icon, tone = ("no", "no") if refused else ("dot", "")
    return Entry(event, sentence(event.event), who, event.time, icon, tone, entry=number)


def page(events: EventQuerySet | Found, *, before: str = "", after: str = "", size: int = 50) -> Page:
    """The page before (older than) or after (newer than) an event's id; the newest without either."""
    if after:
        found = list(events.filter(pk__gt=after).order_by("pk")[: size + 1])
        more, rows = len(found) > size, found[:size][::-1]
        newer, older = more, bool(rows)
    else:
        found = list((events.filter(pk__lt=before) if before else events).order_by("-pk")[: size + 1])
        more, rows = len(found) > size, found[:size]
        newer, older = bool(before and rows), more
    if not rows:
        return Page([])
    return Page(entries(rows), str(rows[0].pk) if newer else "", str(rows[-1].pk) if older else "")


def disclosures(event: Event) -> list[Told]:
    """What the event holds digests of, each checked against what is stored beside it."""
    stored = {row.label: row for row in event.disclosures.all()}
    told = []
    for label, digest in sorted(event.content["disclosures"].items()):
        row = stored.pop(label, None)
        state = "erased" if row is None else "verified" if row.digest == digest else "altered"
        told.append(Told(label, row.value if row else "", state, digest))
    return told + [Told(label, row.value, "altered", "") for label, row in sorted(stored.items())]


def facts(event: Event) -> list[tuple[str, Any]]:
    """The event's facts by name, nested ones with dotted names."""
    found: list[tuple[str, Any]] = []

    def walk(path: str, value: Any) -> None:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                walk(f"{path}.{key}" if path else key, inner)
        else:
            found.append((path, ", ".join(map(str, value)) if isinstance(value, list) else value))

    walk("", event.content["facts"] or {})
    return [pair for pair in found if pair[0]]
