"""Towards the end of a year: which owners still owe their attestation."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from django.db.models import Exists, OuterRef, QuerySet
from django.urls import reverse

from accounts.granting.duties import Duty
from accounts.models import User
from registry.attesting.models import OwnerAttestation
from registry.models import Model

# How long before the end of the year an owner begins to find it among what waits for them.
SEASON = timedelta(days=60)


def end_of_year(at: datetime) -> datetime:
    """The moment at which the year of `at` is over, in UTC as the year itself."""
    return datetime(at.astimezone(UTC).year + 1, 1, 1, tzinfo=UTC)


def owed(year: int) -> QuerySet[Model]:
    """Models registered by the end of the year that nobody has attested for it."""
    given = OwnerAttestation.objects.filter(model=OuterRef("pk"), year=year)
    return Model.objects.filter(~Exists(given), created_at__year__lte=year)


def address(year: int) -> str:
    return f"{reverse('attestations')}?{urlencode({'year': year})}"


def duty(user: User, at: datetime) -> list[Duty]:
    """What waits for an owner in the last SEASON days of a year; nothing before. One query then."""
    year = at.astimezone(UTC).year
    if end_of_year(at) - at > SEASON:
        return []
    if not (count := owed(year).filter(user.scope("registry.view_model").q("team"), owner=user).count()):
        return []
    text = f"{count} {'model' if count == 1 else 'models'} of yours to attest for {year} by 31 December."
    return [Duty(text, address(year))]


def by_owner(year: int) -> dict[User, list[Model]]:
    """Of whom it is missing, for those of their models that they can see. One query, and one for each owner."""
    found: dict[int, list[Model]] = defaultdict(list)
    for model in owed(year).select_related("owner").order_by("name", "pk"):
        found[model.owner_id].append(model)
    seen = {}
    for models in found.values():
        owner, scope = models[0].owner, models[0].owner.scope("registry.view_model")
        if kept := [model for model in models if scope.covers(model.team_id)]:
            seen[owner] = kept
    return seen
