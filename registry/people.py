"""Who can be named on a team's models."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Q, QuerySet

from accounts.models import Grant, User
from ledger.refusals import Refusal


def of_team(team_id: int) -> QuerySet[User]:
    """Active accounts that may see the team's models, by name: only they can be named, so no one can be fished for."""
    grants = Grant.objects.active().filter(
        Q(team=None) | Q(team_id=team_id), role__permissions__contains=["registry.view_model"]
    )
    found: QuerySet[User] = User.objects.filter(is_active=True, pk__in=grants.values("user")).order_by("name", "pk")
    return found


def named(team_id: int, given: Sequence[int | str], field: str = "contributors") -> list[User]:
    """The accounts of ids or mail addresses in a field. Raises Refusal `person_unknown` for the first that is not of
    the team."""
    known = list(of_team(team_id))
    by_id = {str(person.pk): person for person in known}
    by_mail = {person.email.lower(): person for person in known}
    found = []
    for place, wanted in enumerate(given):
        key = str(wanted).strip().lower()
        person = by_id.get(key) or by_mail.get(key)
        if person is None:
            raise Refusal(
                "person_unknown",
                f"{wanted} is nobody who can see this team's models. Check the id or mail address, or ask a platform "
                "administrator for a role.",
                f"{field}.{place}",
            )
        found.append(person)
    return found
