"""What belongs to a team by the model or dataset that it is about."""

from __future__ import annotations

from typing import Any

from django.db import models


class OwnedQuerySet(models.QuerySet[Any]):
    """Rows with a team, seen by whoever may see that team's models."""

    path = "team"

    def visible_to(self, user: Any) -> Any:
        return self.filter(user.scope("registry.view_model").q(self.path))


class OfModelQuerySet(OwnedQuerySet):
    path = "model__team"
