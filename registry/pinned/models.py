"""What is pinned of a version whose bytes are not here, and what its upstream says now."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from registry.pinned import rules


class Pins(models.Model):
    """The pins of one version never change. Below them: what the upstream answered last, when it was asked.

    Their canonical document is the version's artifact: its digest is what the gate and the signatures are about.
    """

    version = models.OneToOneField("registry.Version", models.PROTECT, related_name="pins")
    provider = models.CharField(max_length=120)
    image = models.CharField(max_length=71, blank=True, db_index=True)
    upstream_version = models.CharField(max_length=200, blank=True)
    contract = models.CharField(max_length=71, blank=True)
    configuration = models.CharField(max_length=71)
    ask_url = models.CharField(max_length=500, blank=True)
    ask_field = models.CharField(max_length=200, blank=True)
    # What it takes and gives, and which answer is a yes, where the gateway may ask it for predictions.
    interface = models.JSONField(null=True)
    pinned_at = models.DateTimeField(db_default=Now())

    # What it reported last; a change of it is an event. The times are not.
    reported = models.CharField(max_length=200, blank=True)
    answered_at = models.DateTimeField(null=True)
    asked_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(image="", upstream_version=""), name="pins_something"),
            models.CheckConstraint(condition=Q(ask_url="") | ~Q(upstream_version=""), name="pins_what_is_asked"),
        ]
        verbose_name_plural = "pins"

    def __str__(self) -> str:
        return f"Pins of {self.version}"

    @property
    def document(self) -> dict[str, Any]:
        names = (
            "provider",
            "image",
            "upstream_version",
            "contract",
            "configuration",
            "ask_url",
            "ask_field",
            "interface",
        )
        return rules.document(**{name: getattr(self, name) for name in names})

    @property
    def says(self) -> str:
        """The model version that the upstream reports, as far as is known."""
        return self.reported or self.upstream_version

    @property
    def checked_until(self) -> datetime | None:
        """When an answer is too old to rely on; None where nobody is asked."""
        if not self.ask_url:
            return None
        return (self.answered_at or self.pinned_at) + timedelta(hours=settings.UPSTREAM_STALE_HOURS)
