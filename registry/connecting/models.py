"""Where a dataset is whose rows stay elsewhere, and what was seen there last."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse

from ledger.boxes import box
from ledger.canonical import sha256, timestamp
from registry.connecting import rules
from registry.connecting.rules import Target
from registry.owned import OwnedQuerySet

USE = "connections: secrets"


def seal(user: str, password: str) -> bytes:
    return box(USE).encrypt(json.dumps([user, password]).encode())


class Connection(models.Model):
    """A table or a query in a database elsewhere. Where it leads never changes; who asks there, and how, may.

    User and password are sealed (ledger.boxes): the portal's database alone opens nothing.
    """

    team = models.ForeignKey("accounts.Team", models.PROTECT, related_name="connections")
    host = models.CharField(max_length=255)
    port = models.PositiveIntegerField()
    database = models.CharField(max_length=63)
    encryption = models.CharField(max_length=12)
    table = models.CharField(max_length=200, blank=True)
    query = models.TextField(blank=True)
    snapshot = models.CharField(max_length=200, blank=True, help_text="What its owner calls this state of the rows")
    sealed = models.BinaryField()
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    added_at = models.DateTimeField(db_default=Now())
    secret_at = models.DateTimeField(db_default=Now(), help_text="Since when this user and password are used")
    # What was seen last; the hash is empty where it could not be taken.
    checked_at = models.DateTimeField(null=True)
    rows = models.BigIntegerField(null=True)
    rows_hash = models.CharField(max_length=64, blank=True)
    problem = models.CharField(max_length=300, blank=True, help_text="Why the last check failed")

    objects = OwnedQuerySet.as_manager()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(table="") ^ Q(query=""), name="connection_one_relation")]
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.place

    def get_absolute_url(self) -> str:
        return reverse("connection", args=[self.pk])

    def as_record(self) -> dict[str, Any]:
        """Without user and password, whose change is an event, and with the digest of a query."""
        return {
            "team": str(self.team_id), "place": self.place, "encryption": self.encryption, "table": self.table,
            "query": sha256(self.query.encode()) if self.query else "", "snapshot": self.snapshot,
            "added_by": str(self.added_by.opaque_id), "added_at": timestamp(self.added_at),
            "secret_at": timestamp(self.secret_at),
        }  # fmt: skip

    @property
    def place(self) -> str:
        return rules.place_of(self.host, self.port, self.database)

    @property
    def what(self) -> str:
        """What is read there, in a word or two."""
        return self.table or "a query"

    @property
    def closed(self) -> bool:
        """Whether user and password are gone, because the rows' retention is over."""
        return not self.sealed

    @property
    def target(self) -> Target:
        """With user and password. Raises cryptography.fernet.InvalidToken where FACTOR_KEY is another one now."""
        user, password = json.loads(box(USE).decrypt(bytes(self.sealed)))
        address = rules.Address(self.host, self.port, self.database, self.encryption, user, password)
        return Target(address, self.table, self.query)
