"""How somebody wants to be told of each kind of thing. What has no row is as the catalogue says."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from notifications.kinds import WAYS


class Preference(models.Model):
    account = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="preferences")
    kind = models.CharField(max_length=30)
    way = models.CharField(max_length=10, choices=list(WAYS.items()))

    class Meta:
        constraints = [models.UniqueConstraint("account", "kind", name="one_preference_a_kind")]

    def __str__(self) -> str:
        return f"{self.kind}: {self.way}"
