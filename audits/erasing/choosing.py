"""What would go and what would stay, exactly, before anybody asks for it."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from django.db import connection
from django.db.models import Q

from accounts.models import User
from audits.erasing import rules
from audits.erasing.holding import covering
from audits.erasing.models import Erasure, Hold, HoldQuerySet
from audits.filters import is_event_id
from audits.models import Export
from audits.search import saying
from ledger.models import Disclosure, Event
from ledger.refusals import Refusal

SHOWN = 50


@dataclass(frozen=True)
class Choice:
    """`subject` is a person's opaque id or mail address, or an entry's id. Without `labels`: those offered first."""

    kind: str
    subject: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """A disclosure without its value. `kept` says why it stays, "" where it goes."""

    event: uuid.UUID
    name: str
    time: datetime
    label: str
    kept: str


@dataclass(frozen=True)
class Preview:
    """`labels` are the chosen ones, `offered` all that could be chosen. `person` is None where one entry was chosen."""

    kind: str
    subject: str
    person: User | None
    labels: tuple[str, ...]
    offered: tuple[str, ...]
    lines: Sequence[Line] = field(repr=False)

    @cached_property
    def going(self) -> list[Line]:
        return [line for line in self.lines if line.label in self.labels and not line.kept]

    @cached_property
    def items(self) -> list[tuple[str, str]]:
        return [(str(line.event), line.label) for line in self.going]

    @property
    def count(self) -> int:
        return len(self.going)

    @cached_property
    def events(self) -> list[uuid.UUID]:
        return sorted({line.event for line in self.going})

    @property
    def digest(self) -> str:
        return rules.digest_of_items(self.items)

    @property
    def by_label(self) -> list[tuple[str, int]]:
        return sorted(Counter(line.label for line in self.going).items())

    @property
    def staying(self) -> list[tuple[str, str, int]]:
        """Label, why it stays, and of how many entries."""
        kept = Counter((line.label, line.kept) for line in self.lines if line.kept)
        unchosen = Counter(line.label for line in self.lines if not line.kept and line.label not in self.labels)
        return [(label, why, count) for (label, why), count in sorted(kept.items())] + [
            (label, "Not chosen.", count) for label, count in sorted(unchosen.items())
        ]

    @cached_property
    def entries(self) -> list[tuple[uuid.UUID, str, datetime, str]]:
        """Id, event, time and labels of the newest entries that lose something, at most SHOWN."""
        found: dict[uuid.UUID, list[Line]] = {}
        for line in self.going:
            found.setdefault(line.event, []).append(line)
        newest = sorted(found.items(), reverse=True)[:SHOWN]
        return [
            (pk, own[0].name, own[0].time, ", ".join(sorted(line.label for line in own)).replace("_", " "))
            for pk, own in newest
        ]

    @cached_property
    def holds(self) -> HoldQuerySet:
        return holds_over(self.events, self.subject if self.kind == Erasure.Kind.PERSON else "")


def holds_over(events: Collection[Any], person: str) -> HoldQuerySet:
    with connection.cursor() as cursor:
        found = covering(cursor, events, person)
    return Hold.objects.with_parts().filter(pk__in=found)


def preview(choice: Choice, by: Any) -> Preview:
    """Raises Refusal `unknown_kind`, `unknown_person` or `unknown_entry`."""
    if choice.kind == Erasure.Kind.ENTRY:
        return of_entry(choice, by)
    if choice.kind == Erasure.Kind.PERSON:
        return of_person(choice)
    raise Refusal("unknown_kind", "Choose a person or one entry.", "kind")


def of_entry(choice: Choice, by: Any) -> Preview:
    known = is_event_id(choice.subject)
    event = Event.objects.visible_to(by).filter(pk=choice.subject).first() if known else None
    if event is None:
        sentence = "There is no entry with this id that you may read. Copy the id from the entry's page."
        raise Refusal("unknown_entry", sentence, "subject")
    rows = Disclosure.objects.filter(event=event).order_by("label").values_list("label", flat=True)
    lines = [Line(event.pk, event.event, event.time, label, rules.why_kept(event.event, label)) for label in rows]
    offered = tuple(sorted({line.label for line in lines if not line.kept}))
    return Preview(choice.kind, str(event.pk), None, chosen(choice.labels, offered), offered, lines)


def of_person(choice: Choice) -> Preview:
    """Events by them, and about them: on their account, or with it among the facts."""
    person = person_of(choice.subject, "subject")
    own = str(person.opaque_id)
    fields = ("event_id", "event__event", "event__time", "label", "event__actor_kind")
    by_them = Disclosure.objects.filter(event__actor_id=own, event__actor_kind=person.kind)
    lines = [
        Line(event, name, time, label, rules.why_kept(name, label))
        for event, name, time, label, _ in by_them.order_by("event", "label").values_list(*fields)
    ]
    about = Disclosure.objects.filter(event__in=events_about(person)).order_by("event", "label")
    lines += [
        Line(event, name, time, label, rules.why_kept(name, label))
        for event, name, time, label, kind in about.values_list(*fields)
        if rules.is_theirs(label, acted=False, anonymous=kind == "anonymous")
    ]
    there = {line.label for line in lines if not line.kept}
    offered = tuple(sorted({*there, *rules.IDENTITY}))
    labels = choice.labels or rules.IDENTITY
    return Preview(Erasure.Kind.PERSON, own, person, chosen(labels, offered), offered, lines)


def person_of(text: str, field: str) -> User:
    """By mail address or opaque id. Raises Refusal `unknown_person`."""
    wanted = Q(email__iexact=text)
    if is_uuid(text):
        wanted |= Q(opaque_id=text)
    person: User | None = User.objects.filter(wanted).first()
    if person is None:
        sentence = "Nobody here has this mail address or opaque id. It stands on the person's page as “in the log as”."
        raise Refusal("unknown_person", sentence, field)
    return person


def events_about(person: User) -> list[uuid.UUID]:
    """Events on somebody's account, or with its opaque id as the fact `account`; not by them."""
    own = str(person.opaque_id)
    by_them = {"actor_id": own, "actor_kind": person.kind}
    on_account = Event.objects.filter(object_type="accounts.user", object_id=str(person.pk)).exclude(**by_them)
    naming = saying(Event.objects.exclude(**by_them), own)
    found = {event.pk for event in naming if (event.content["facts"] or {}).get("account") == own}
    return sorted(found | set(on_account.values_list("pk", flat=True)))


def chosen(labels: Sequence[str], offered: Sequence[str]) -> tuple[str, ...]:
    """Raises Refusal `unknown_label` for one that nothing chosen has."""
    if unknown := sorted(set(labels) - set(offered)):
        known = ", ".join(offered) or "none"
        raise Refusal("unknown_label", f"There is no “{unknown[0]}” to erase. There is: {known}.", "labels")
    return tuple(sorted(set(labels))) or tuple(offered)


def copies(events: Collection[uuid.UUID], before: datetime | None) -> list[Export]:
    """Exports written before `before` (None is now) and after the oldest of these entries: they may hold the same."""
    if not events:
        return []
    first = Event.objects.filter(pk=min(events)).values_list("time", flat=True).get()
    rows = Export.objects.with_parts().filter(written_at__gte=first)
    return list(rows.filter(written_at__lte=before) if before else rows)


def is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
