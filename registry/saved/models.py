from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse

# By what the inventory can be narrowed down; how each does that is in `portal.inventory.filters`.
KNOWN = ("q", "team", "owner", "tier", "slug", "environment", "findings")


class SavedFilterQuerySet(models.QuerySet["SavedFilter"]):
    def visible_to(self, user: Any) -> SavedFilterQuerySet:
        """One's own, and those shared with teams whose models one may see."""
        scope = user.scope("registry.view_model")
        shared = Q(team__isnull=False) if scope.everywhere else Q(team__in=scope.teams)
        return self.filter(Q(user=user.pk) | shared)


class SavedFilter(models.Model):
    """`query` are the parameters of the inventory and nothing else: an address is only ever made of them."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="saved_filters")
    name = models.CharField(max_length=80)
    query = models.JSONField()
    # Whom it is shared with; None where it is its owner's alone.
    team = models.ForeignKey("accounts.Team", models.PROTECT, null=True, blank=True, related_name="+")
    saved_at = models.DateTimeField(db_default=Now())

    objects = SavedFilterQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint("user", "name", name="saved_filter_name")]
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The inventory as it filters it."""
        return f"{reverse('models')}?{self.as_query}"

    @property
    def parameters(self) -> dict[str, str]:
        """In the order in which the page has them; the database keeps another."""
        return {name: self.query[name] for name in KNOWN if name in self.query}

    @property
    def as_query(self) -> str:
        return urlencode(self.parameters)
