from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class IdempotentRequest(models.Model):
    """An answered POST with its `Idempotency-Key`, so that sending it again gives the same answer."""

    owner_and_key = models.CharField(max_length=64, unique=True)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    content_type = models.CharField(max_length=80, blank=True)
    body = models.BinaryField(default=b"")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"answer {self.status or 'under way'}"
