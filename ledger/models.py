"""The log's tables. Rows refer to the rest of the portal by text only: history outlives rows."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import Exists, Func, OuterRef
from django.db.models.functions import Now
from django.db.models.lookups import LessThanOrEqual

from ledger.canonical import disclosure_bytes, sha256
from ledger.merkle import MAX_ENTRY

SIZE = Func("bytes", function="octet_length", output_field=models.IntegerField())


class EventQuerySet(models.QuerySet["Event"]):
    def about(self, *objects: models.Model) -> EventQuerySet:
        """Events on any of these objects, newest first."""
        chosen = models.Q(pk__in=[])
        for obj in objects:
            chosen |= models.Q(object_type=obj._meta.label_lower, object_id=str(obj.pk))
        return self.filter(chosen).order_by("-id")

    def sealed(self) -> EventQuerySet:
        """Events under a published checkpoint of the log that is kept now."""
        published = Checkpoint.objects.filter(origin=settings.LOG_ORIGIN, size__gt=OuterRef("leaf__index"))
        return self.filter(Exists(published))

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
            models.Index("actor_id", "id", name="event_actor"),
            models.Index("event", "id", name="event_event"),
            models.Index("object_type", "object_id", "id", name="event_object"),
            models.Index("team_id", "id", name="event_team"),
            models.Index("id", name="event_refused", condition=models.Q(outcome="refused")),
            models.Index("team_id", "id", name="event_refused_team", condition=models.Q(outcome="refused")),
        ]
        # What is larger can be no entry (c2sp.org/tlog-tiles): it would keep everything after it from its seal.
        constraints = [models.CheckConstraint(condition=LessThanOrEqual(SIZE, MAX_ENTRY), name="event_size")]

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
    """A name, address or free text that an event holds only the salted digest of (the idea of RFC 9901).

    It may be deleted with its salt, by the eraser's role alone; the event stays provable without it.
    """

    # No constraint: it is written in one statement with its event (see docs/decisions/0008).
    event = models.ForeignKey(Event, models.PROTECT, related_name="disclosures", db_constraint=False, db_index=False)
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

    event = models.OneToOneField(Event, models.PROTECT, primary_key=True, related_name="pending", db_constraint=False)

    def __str__(self) -> str:
        return f"pending {self.event_id}"


class Leaf(models.Model):
    """An event's place in the tree (RFC 6962): its number, given by the sequencer, and its leaf hash."""

    index = models.BigIntegerField(primary_key=True)
    event = models.OneToOneField(Event, models.PROTECT, related_name="leaf")
    hash = models.BinaryField()

    def __str__(self) -> str:
        return f"entry {self.index}"


class Tile(models.Model):
    """A hash in a tile above the leaves (c2sp.org/tlog-tiles): the root of full tile `index` one level below.

    With it a proof from the database alone reads at most 512 rows a level, where the tiles on disk cannot be read.
    """

    pk = models.CompositePrimaryKey("level", "index")
    level = models.PositiveSmallIntegerField()
    index = models.BigIntegerField()
    hash = models.BinaryField()

    def __str__(self) -> str:
        return f"tile {self.level - 1}/{self.index}"


class TreeHead(models.Model):
    """The root over the first `size` leaves, committed with them and before anything is signed."""

    size = models.BigIntegerField(primary_key=True)
    root = models.BinaryField()
    at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"tree of {self.size}"


class CheckpointQuerySet(models.QuerySet["Checkpoint"]):
    def newest(self, origin: str) -> Checkpoint | None:
        return self.filter(origin=origin).order_by("-size").first()


class Checkpoint(models.Model):
    """A signed tree head as published (c2sp.org/tlog-checkpoint). Entries below `size` are sealed by it."""

    origin = models.CharField(max_length=200)
    size = models.BigIntegerField()
    note = models.BinaryField()
    at = models.DateTimeField(db_default=Now())

    objects = CheckpointQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint("origin", "size", name="one_checkpoint_of_a_size")]
        indexes = [models.Index("size", name="checkpoint_size")]

    def __str__(self) -> str:
        return f"{self.origin} {self.size}"


class PublicKey(models.Model):
    """A public key that has signed for this log, as a verifier key of c2sp.org/signed-note. None is ever taken back."""

    class Role(models.TextChoices):
        LOG = "log", "checkpoints"
        PORTAL = "portal", "receipts and gate results"
        WITNESS = "witness", "cosignatures"

    vkey = models.CharField(max_length=300, unique=True)
    role = models.CharField(max_length=10, choices=Role)
    since = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "ledger_key"

    def __str__(self) -> str:
        return self.vkey


class Record(models.Model):
    """What an object was after an act, as canonical bytes; the event holds their digest under `records`."""

    event = models.ForeignKey(Event, models.PROTECT, related_name="records")
    object_type = models.CharField(max_length=80)
    object_id = models.CharField(max_length=64)
    bytes = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint("event", "object_type", "object_id", name="one_record_of_an_object")]
        indexes = [models.Index("object_type", "object_id", "id", name="record_object")]

    def __str__(self) -> str:
        return f"{self.object_type} {self.object_id} after {self.event_id}"

    @property
    def digest(self) -> str:
        return sha256(bytes(self.bytes))

    @property
    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(bytes(self.bytes))
        return content


class Anchor(models.Model):
    """A checkpoint that has reached a place outside the database, with what that place answered."""

    class Kind(models.TextChoices):
        FOLDER = "folder", "Folder"
        S3 = "s3", "Object storage with a lock"
        WEBHOOK = "webhook", "Webhook"
        TSA = "tsa", "Time-stamp authority (RFC 3161)"
        WITNESS = "witness", "Witness"

    origin = models.CharField(max_length=200)
    size = models.BigIntegerField()
    target = models.CharField(max_length=80)
    kind = models.CharField(max_length=10, choices=Kind)
    at = models.DateTimeField(db_default=Now())
    place = models.CharField(max_length=500)
    receipt = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint("origin", "target", "size", name="one_anchor_of_a_size")]
        indexes = [models.Index("size", name="anchor_size")]

    def __str__(self) -> str:
        return f"{self.size} at {self.target}"


class Search(models.Model):
    """The words of an event and its disclosures, for finding only; the sequencer writes it after publishing."""

    event = models.OneToOneField(Event, models.PROTECT, primary_key=True, related_name="search")
    words = SearchVectorField()

    class Meta:
        indexes = [GinIndex("words", name="search_words")]

    def __str__(self) -> str:
        return f"words of {self.event_id}"
