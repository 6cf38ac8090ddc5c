"""Whom a comment mentions: those who may see the request, and nobody else."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Q, QuerySet

from accounts.models import Grant, User
from approvals.models import ReviewRequest
from approvals.workflow import mentions as rules
from ledger.refusals import Refusal

MOST = 20


def readers_of(team_id: int) -> QuerySet[User]:
    """People who may see the team's requests, by name: only they can be mentioned, so that nobody can be fished for."""
    grants = Grant.objects.active().filter(
        Q(team=None) | Q(team_id=team_id), role__permissions__contains=["approvals.view_request"]
    )
    found: QuerySet[User] = User.objects.filter(
        is_active=True, kind=User.Kind.PERSON, pk__in=grants.values("user")
    ).order_by("name", "pk")  # fmt: skip
    return found


def told_of(request: ReviewRequest, by: User, text: str, chosen: Collection[str]) -> list[User]:
    """Whom a comment mentions: those chosen by opaque id, and those named in it by a name that is theirs alone.

    Raises Refusal `person_unknown` for an id that is nobody's who may see the request, or `too_many_mentions`.
    """
    people = list(readers_of(request.team_id))
    by_id = {str(each.opaque_id): each for each in people}
    by_name: dict[str, list[User]] = {}
    for each in people:
        by_name.setdefault(each.name.casefold(), []).append(each)
    found = {}
    for place, wanted in enumerate(chosen):
        if wanted not in by_id:
            sentence = "This is nobody who may see this request. Choose from the list."
            raise Refusal("person_unknown", sentence, f"mentions.{place}")
        found[wanted] = by_id[wanted]
    alone = {key: same[0] for key, same in by_name.items() if len(same) == 1}
    for name in rules.named(text, [each.name for each in alone.values()]):
        one = alone[name.casefold()]
        found[str(one.opaque_id)] = one
    found.pop(str(by.opaque_id), None)
    if len(found) > MOST:
        raise Refusal("too_many_mentions", f"A comment mentions {MOST} people at most. Name fewer.", "text")
    return list(found.values())
