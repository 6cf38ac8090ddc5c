"""A dataset's record of processing as pages and the API show it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from accounts.models import Grant, User
from registry.models import Dataset
from registry.processing.models import Processing


@dataclass(frozen=True)
class Edition:
    """An edition with the people that it names, and what it changed in words."""

    row: Processing
    readers: list[User]
    changed: list[str]


WORDS = {
    "basis": "lawful basis", "condition": "condition", "keep_until": "retention", "keep_days": "retention",
    "phi": "health information", "open_to": "who may open rows", "readers": "people named",
}  # fmt: skip


def editions(rows: Iterable[Processing]) -> list[Edition]:
    """Newest first, in one query for the people; `rows` are of one dataset, newest first."""
    listed = list(rows)
    wanted = {opaque for row in listed for opaque in row.readers}
    people = {user.opaque_id: user for user in User.objects.filter(opaque_id__in=wanted).order_by("name")}
    found = []
    for place, row in enumerate(listed):
        older = listed[place + 1] if place + 1 < len(listed) else None
        changed = dict.fromkeys(
            word for name, word in WORDS.items() if older and getattr(row, name) != getattr(older, name)
        )
        found.append(Edition(row, [person for key, person in people.items() if key in row.readers], list(changed)))
    return found


def may_open_rows(dataset: Dataset) -> QuerySet[User]:
    """People whose roles let them open rows in the dataset's team, by name."""
    grants = Grant.objects.active().filter(
        Q(team=None) | Q(team_id=dataset.team_id), role__permissions__contains=["registry.read_rows"]
    )
    found: QuerySet[User] = User.objects.filter(is_active=True, pk__in=grants.values("user")).order_by("name", "pk")
    return found
