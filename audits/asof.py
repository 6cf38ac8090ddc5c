"""What an object was at a moment: the record kept of it by the last act until then, checked against the log.

A record is written in the transaction of the act, and the act's event holds its digest. So a record that was changed,
taken out or moved to another time past the portal does not agree with its event, and an event that was changed does
not agree with its leaf in the tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

from django.db.models import BinaryField, BooleanField, F, Func, Value

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
    record: dict[str, Any]
    digest: str
    event: Event
    state: str
    entry: int | None

    @property
    def name(self) -> str:
        return f"{self.object_type}/{self.object_id}"


@dataclass(frozen=True)
class Looked:
    """What was found for a moment, with the moments of the changes around it.

    `changes` are all moments at which the object became another, oldest first.
    """

    at: datetime
    kept: Kept
    changes: tuple[datetime, ...]

    @property
    def since(self) -> datetime:
        return self.changes[0]

    @property
    def changed_at(self) -> datetime:
        """When the object became what it was at the moment."""
        return [change for change in self.changes if change <= self.at][-1]

    @property
    def previous(self) -> datetime | None:
        return next((change for change in reversed(self.changes) if change < self.changed_at), None)

    @property
    def next(self) -> datetime | None:
        return next((change for change in self.changes if change > self.at), None)


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
    kept = kept_at(object_type, [object_id], at).get(str(object_id))
    if gap := taken_out(object_type, str(object_id), at, kept):
        sentence = (
            f"Entry {gap.pk} of the log says that a record was kept here, and it is not there. Somebody took it out of "
            "the database past the portal: tell whoever answers for it."
        )
        raise Refusal("record_missing", sentence)
    if kept is None:
        raise unrecorded(changes[0] if changes else None)
    return Looked(at, kept, changes)


def unrecorded(since: datetime | None) -> Refusal:
    if since is None:
        return Refusal("not_on_record", "No record was ever kept of this, so only its present state can be shown.")
    said = f"{since:%-d %B %Y, %H:%M:%S} UTC"
    return Refusal("not_on_record", f"At that moment this was not there. It is on record since {said}.")


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
    return Kept(row.object_type, row.object_id, row.content, row.digest, event, state, entry)


def changes_of(object_type: str, object_id: str) -> tuple[datetime, ...]:
    """When the object became another, oldest first. Acts that left it as it was are none."""
    rows = Record.objects.filter(object_type=object_type, object_id=object_id).order_by("id")
    digests = rows.values_list("event__time", Func(F("bytes"), function="sha256", output_field=BinaryField()))
    found: list[datetime] = []
    last = b""
    for at, digest in digests:
        if bytes(digest) != last:
            found.append(at)
        last = bytes(digest)
    return tuple(found)


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
