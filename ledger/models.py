"""The log's tables. Rows refer to the rest of the portal by text only: history outlives rows."""

from __future__ import annotations

import json
from typing import Any

from django.db import models

from ledger.canonical import disclosure_bytes, sha256


class EventQuerySet(models.QuerySet["Event"]):
    def about(self, *objects: models.Model) -> EventQuerySet:
        """Events on any of these objects, newest first."""
        chosen = models.Q(pk__in=[])
        for obj in objects:
            chosen |= models.Q(object_type=obj._meta.label_lower, object_id=str(obj.pk))
        return self.filter(chosen).order_by("-id")

    def visible_to(self, user: Any) -> EventQuerySet:
        """What somebody may read: everything, or what happened in the teams they read the log of."""
        return self.filter(user.scope("audits.view_log").q("team_id"))


class Event(models.Model):
    """One act, as verbatim canonical bytes. The columns are drawn from the bytes, for finding only."""

    id = models.UUIDField(primary_key=True)
    bytes = models.BinaryField()
    time = models.DateTimeField()
    actor_kind = models.CharField(max_length=20)
    actor_id = models.CharField(max_length=64)
    event = models.CharField(max_length=80)
    object_type = models.CharField(max_length=80, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    team_id = models.BigIntegerField(null=True)
    outcome = models.CharField(max_length=10)

    objects = EventQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index("time", name="event_time"),
            models.Index("actor_id", "id", name="event_actor"),
            models.Index("event", "id", name="event_event"),
            models.Index("object_type", "object_id", "id", name="event_object"),
            models.Index("team_id", "id", name="event_team"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.id}"

    @property
    def digest(self) -> str:
        return sha256(bytes(self.bytes))

    @property
    def content(self) -> dict[str, Any]:
        """The bytes, parsed for showing. Never canonicalise this again to verify: hash the bytes."""
        content: dict[str, Any] = json.loads(bytes(self.bytes))
        return content


class Disclosure(models.Model):
    """A name, address or free text that an event holds only the salted digest of (the idea of RFC 9901)."""

    event = models.ForeignKey(Event, models.PROTECT, related_name="disclosures")
    label = models.CharField(max_length=40)
    salt = models.BinaryField()
    value = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint("event", "label", name="disclosure_label")]

    def __str__(self) -> str:
        return f"{self.label} of {self.event_id}"

    @property
    def digest(self) -> str:
        """What the event must hold under this label if nobody changed either."""
        return sha256(disclosure_bytes(bytes(self.salt), self.label, self.value))


class Pending(models.Model):
    """An event that the sequencer has not yet given its place in the tree."""

    event = models.OneToOneField(Event, models.PROTECT, primary_key=True, related_name="pending")

    def __str__(self) -> str:
        return f"pending {self.event_id}"
