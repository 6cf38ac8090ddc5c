"""Who is told what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from functools import partial

from django.db.models import Q

from accounts.models import Grant, User
from approvals import dossier as records
from approvals import workflow
from approvals.models import Delegation


def makers(found: records.Dossier) -> set[User]:
    """Whoever submitted, registered or built it, and the model's owner."""
    request, version = found.request, found.request.version
    submitters = {request.submitted_by, *(each.submitted_by for each in found.revisions)}
    return {*submitters, version.registered_by, version.model.owner, *version.contributors.all()}


def signers(found: records.Dossier) -> set[User]:
    return {each.signer for each in found.decisions}


def may_sign_now(found: records.Dossier, at: datetime) -> dict[User, list[workflow.Requirement]]:
    """Whose turn it is, for which requirements: who holds the role, or stands in for somebody who does, and is
    excluded by no rule. Two queries.
    """
    standing = workflow.standing(found.case, at)
    waiting = [each.requirement for each in standing.requirements if each.state == "waiting"]
    told: dict[User, list[workflow.Requirement]] = defaultdict(list)
    for user, place in places(found.request.team_id, {each.role for each in waiting}):
        rules = partial(
            workflow.may_sign, found.policy, person=place, people=found.case.people, signed=standing.signed,
            also=standing.also, open_requirements=standing.open_requirements,
        )  # fmt: skip
        told[user] += [each for each in waiting if each not in told[user] and not rules(each)]
    return {user: wanted for user, wanted in told.items() if wanted}


def places(team: int, roles: Iterable[str]) -> list[tuple[User, workflow.Person]]:
    """People with one of the roles for a team: as themselves, and as those for whom they stand in."""
    held: dict[User, set[str]] = defaultdict(set)
    house: dict[User, set[str]] = defaultdict(set)
    grants = Grant.objects.active().filter(Q(team=None) | Q(team=team), role__slug__in=list(roles))
    active = grants.filter(user__is_active=True, user__kind=User.Kind.PERSON)
    for grant in active.select_related("user", "role"):
        held[grant.user].add(grant.role.slug)
        if grant.team_id is None:
            house[grant.user].add(grant.role.slug)

    def person(user: User, giver: User) -> workflow.Person:
        behalf = "" if user == giver else str(giver.opaque_id)
        roles, everywhere = frozenset(held[giver]), frozenset(house[giver])
        return workflow.Person(str(user.opaque_id), user.is_person, roles, everywhere, behalf)

    found = [(user, person(user, user)) for user in held]
    given = Delegation.objects.active().filter(Q(team=None) | Q(team=team), giver__in=list(held))
    return found + [
        (each.taker, person(each.taker, each.giver)) for each in given.select_related("giver", "taker").order_by("pk")
    ]
