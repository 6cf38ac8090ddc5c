"""What an object was at a moment: the record kept of it by the last act until then, checked against the log.

A record is written in the transaction of the act, and the act's event holds its digest. So a record that was changed,
taken out or moved to another time past the portal does not agree with its event, and an event that was changed does
not agree with its leaf in the tree.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from typing import Any

from django.db.models import BinaryField, BooleanField, F, Func, Value
from django.urls import reverse

from accounts.models import User
from ledger.canonical import timestamp
from ledger.events import database_time
from ledger.merkle import leaf_hash
from ledger.models import Checkpoint, Event, Leaf, Record
from ledger.refusals import Refusal

FORM = re.compile(r"\d{4}-\d{2}-\d{2}(?P<time>[T ]\d.*)?")


@dataclass(frozen=True)
class Kept:
    """A record, the event that sealed it, and whether the two agree.

    `state` is `verified`, or `altered` where the record is not what its event holds, or the event not what its leaf
    holds. `entry` is the event's number in the tree, None until a checkpoint covers it.
    """

    object_type: str
    object_id: str
    text: str
    digest: str
    event: Event
    state: str
    entry: int | None

    @property
    def name(self) -> str:
        return f"{self.object_type}/{self.object_id}"

    @cached_property
    def record(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.text)
        return content


@dataclass(frozen=True)
class Change:
    """When an object became another. `shown_at` is where to look at what came of it: as soon as that was sealed."""

    at: datetime
    shown_at: datetime

    @property
    def query(self) -> str:
        return timestamp(self.shown_at)


@dataclass(frozen=True)
class Looked:
    """What was found for a moment, with the changes before and after it, and the one that it rests on."""

    at: datetime
    kept: Kept
    since: datetime
    changed_at: datetime
    previous: Change | None
    next: Change | None


def moment(text: str, now: datetime | None = None) -> datetime:
    """The moment meant by `2026-11-24` (its end) or `2026-11-24T09:30:00Z`, in UTC where no zone is said.

    Today means now. Raises Refusal `as_of_invalid` for anything else and `as_of_future` for what is to come.
    """
    now = now or database_time()
    try:
        form = FORM.fullmatch(text)
        if form is None:
            raise ValueError(text)
        day, at = form["time"] is None, datetime.fromisoformat(text)
        at = datetime.combine(at, time.max) if day else at
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        sentence = "Write the moment as a date (2026-11-24, meaning its end in UTC) or as 2026-11-24T09:30:00Z."
        raise Refusal("as_of_invalid", sentence, "as_of") from None
    if day and at.date() == now.astimezone(UTC).date():
        return now
    if at > now:
        raise Refusal("as_of_future", "That moment is still to come. Choose an earlier one.", "as_of")
    return at


def asked(query: Any) -> datetime | None:
    """The moment that a page or an endpoint was asked for by `?as_of=`, or None for now."""
    text: str = query.get("as_of", "").strip()
    return moment(text) if text else None


def look(object_type: str, object_id: str | int, at: datetime) -> Looked:
    """An object as it stood. Raises Refusal `not_on_record` before its first record, `record_missing` for a gap."""
    changes = changes_of(object_type, str(object_id))
    times = [changed for changed, _ in changes]
    kept = kept_at(object_type, [object_id], at).get(str(object_id))
    if gap := taken_out(object_type, str(object_id), at, kept):
        sentence = (
            f"Entry {gap.pk} of the log says that a record was kept here, and it is not there. Somebody took it out of "
            "the database past the portal: tell whoever answers for it."
        )
        raise Refusal("record_missing", sentence)
    if kept is None:
        raise unrecorded(times[0] if times else None)
    now = max(place for place, changed in enumerate(times) if changed <= at)
    return Looked(at, kept, times[0], times[now], change(changes, now - 1), change(changes, now + 1))


def unrecorded(since: datetime | None) -> Refusal:
    if since is None:
        return Refusal("not_on_record", "No record was ever kept of this, so only its present state can be shown.")
    return Refusal("not_on_record", f"At that moment this was not there. It is on record since {in_words(since)}.")


def in_words(at: datetime) -> str:
    return f"{at.astimezone(UTC):%-d %b %Y, %H:%M:%S} UTC"


def shown(looked: Looked, viewer: User, intact: bool = True) -> dict[str, Any]:
    """For `audits/_as_of.html` at the top of a page that looks back; the entry is a link for who may read it.

    `intact` is whether the log agrees with the other records that the page is drawn from.
    """
    event = looked.kept.event
    may_read = viewer.scope("audits.view_log").covers(event.team_id)
    return {
        "then": looked,
        "then_title": f"As it stood on {in_words(looked.at)}",
        "then_tone": "info" if intact and looked.kept.state == "verified" else "no",
        # For links to other pages that look back.
        "then_query": f"?as_of={timestamp(looked.at)}",
        "then_entry": reverse("audit-entry", args=[event.pk]) if may_read else "",
    }


def kept_at(object_type: str, ids: Iterable[str | int], at: datetime) -> dict[str, Kept]:
    """The record of each object that counted at the moment, by the object's id. Three queries, however many objects."""
    rows = Record.objects.filter(object_type=object_type, object_id__in=[str(pk) for pk in ids], event__time__lte=at)
    newest = list(rows.select_related("event").order_by("object_id", "-id").distinct("object_id"))
    leaves = {leaf.event_id: leaf for leaf in Leaf.objects.filter(event__in=[row.event_id for row in newest])}
    size = Checkpoint.objects.order_by("-size").values_list("size", flat=True).first() or 0
    return {row.object_id: checked(row, leaves.get(row.event_id), size) for row in newest}


def checked(row: Record, leaf: Leaf | None, size: int) -> Kept:
    event = row.event
    said = event.content
    agrees = (
        said.get("records", {}).get(f"{row.object_type}/{row.object_id}") == row.digest
        and said["id"] == str(event.pk)
        and said["time"] == timestamp(event.time)
        and (leaf is None or bytes(leaf.hash) == leaf_hash(bytes(event.bytes)))
    )
    entry = leaf.index if leaf is not None and leaf.index < size else None
    state = "verified" if agrees else "altered"
    return Kept(row.object_type, row.object_id, bytes(row.bytes).decode(), row.digest, event, state, entry)


def changes_of(object_type: str, object_id: str) -> list[tuple[datetime, uuid.UUID]]:
    """When and by which event the object became another, oldest first. Acts that left it as it was are none."""
    rows = Record.objects.filter(object_type=object_type, object_id=object_id).order_by("id")
    digest = Func(F("bytes"), function="sha256", output_field=BinaryField())
    found: list[tuple[datetime, uuid.UUID]] = []
    last = b""
    for at, event, state in rows.values_list("event__time", "event_id", digest):
        if bytes(state) != last:
            found.append((at, event))
        last = bytes(state)
    return found


def change(changes: Sequence[tuple[datetime, uuid.UUID]], place: int) -> Change | None:
    """The change at a place in the list, or None beyond its ends."""
    if not 0 <= place < len(changes):
        return None
    at, event = changes[place]
    until = changes[place + 1][0] - timedelta(microseconds=1) if place + 1 < len(changes) else database_time()
    leaf = Leaf.objects.filter(event=event).values("index")
    sealed = Checkpoint.objects.filter(size__gt=leaf).order_by("size").values_list("at", flat=True).first()
    return Change(at, max(at, min(sealed, until)) if sealed else at)


def taken_out(object_type: str, object_id: str, at: datetime, kept: Kept | None) -> Event | None:
    """An event on the object that holds a record's digest, is newer than the record found, and has no record."""
    events = Event.objects.filter(object_type=object_type, object_id=object_id, outcome="done", time__lte=at)
    if kept is not None:
        events = events.filter(id__gt=kept.event.pk)
    name = f'"{object_type}/{object_id}":"sha256:'.encode()
    place = Func(Value(name), F("bytes"), template="position(%(expressions)s) > 0", arg_joiner=" IN ",
                 output_field=BooleanField())  # fmt: skip
    held = events.annotate(holds=place).filter(holds=True).exclude(
        records__object_type=object_type, records__object_id=object_id
    )  # fmt: skip
    return held.order_by("-id").first()
