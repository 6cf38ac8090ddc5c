"""Many requests at once: the list's page, and the four parts of the inbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from accounts.models import User
from accounts.within import Within
from approvals import dossier as records
from approvals import workflow
from approvals.models import PolicyVersion, ReviewRequest
from approvals.signing import as_person
from approvals.standing_in import givers_of
from ledger.events import database_time
from registry.models import Version

# Each line is judged by the gate's rule, so a page has fewer than other lists.
PAGE = 25
AT_ONCE = 200
RECENT = timedelta(days=30)
STATES = [
    ("", "any"), ("open", "Under way"), ("in_review", "In review"), ("changes_requested", "Changes requested"),
    ("approved", "Approved"), ("conditionally_approved", "Approved with conditions"), ("revoked", "Revoked"),
    ("rejected", "Rejected"), ("withdrawn", "Withdrawn"),
]  # fmt: skip


@dataclass(frozen=True)
class Listed:
    """A request in a list: how it stands now, and why it is in this list."""

    request: ReviewRequest
    state: str
    why: str = ""
    at: datetime | None = None
    url: str = ""


@dataclass(frozen=True)
class Page:
    rows: list[Listed]
    older: int | None


def listed(rows: QuerySet[ReviewRequest]) -> QuerySet[ReviewRequest]:
    return rows.select_related("version__model__team", "submitted_by")


def visible(user: User) -> QuerySet[ReviewRequest]:
    return listed(ReviewRequest.objects.visible_to(user))


def under_way(rows: QuerySet[ReviewRequest]) -> QuerySet[ReviewRequest]:
    """The oldest first."""
    return listed(rows.filter(state__in=workflow.OPEN)).order_by("submitted_at")[:AT_ONCE]


def decided(rows: QuerySet[ReviewRequest]) -> QuerySet[ReviewRequest]:
    """The newest first."""
    return listed(rows.filter(closed_at__gte=Now() - RECENT)).order_by("-closed_at")[:10]


UNDER_WAY: Within[ReviewRequest] = Within(ReviewRequest.objects, ReviewRequest.TEAM, under_way)
DECIDED: Within[ReviewRequest] = Within(ReviewRequest.objects, ReviewRequest.TEAM, decided)


def page(user: User, wanted: Mapping[str, Any]) -> Page:
    """Newest first, from below the request `before`."""
    rows = visible(user)
    state = wanted.get("state")
    if state == "open":
        rows = rows.filter(state__in=workflow.OPEN)
    elif state == "revoked":
        rows = rows.filter(revocation__isnull=False)
    elif state:
        rows = rows.filter(state=state)
    if environment := wanted.get("environment"):
        rows = rows.filter(environment=environment)
    if model := wanted.get("model"):
        rows = rows.filter(Q(version__model__name__icontains=model) | Q(version__model__slug__icontains=model))
    if before := wanted.get("before"):
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-id")[: PAGE + 1])
    shown = standings(found[:PAGE])
    return Page(shown, found[PAGE - 1].pk if len(found) > PAGE else None)


def standings(requests: list[ReviewRequest]) -> list[Listed]:
    at, dossiers = database_time(), records.open_dossiers(requests)
    told = []
    for request in requests:
        standing = workflow.standing(dossiers[request.pk].case, at)
        why = standing.reasons[0].sentence if standing.reasons else ""
        told.append(Listed(request, standing.state, why, request.closed_at or request.submitted_at))
    return told


def open_one(version: Version, environment: str, use: str) -> ReviewRequest:
    """The open request for a subject; there is at most one."""
    return ReviewRequest.objects.under_way().get(version=version, environment=environment, use=use)


@dataclass(frozen=True)
class Inbox:
    mine: list[Listed]
    theirs: list[Listed]
    decided: list[Listed]
    expiring: list[Listed]


def inbox(user: User) -> Inbox:
    """What waits for somebody and why, what they wait for, what was decided, and what runs out within 30 days."""
    at, scope = database_time(), user.scope("approvals.view_request")
    waiting = UNDER_WAY(scope)
    dossiers = records.open_dossiers(waiting)
    persons = {
        team: [as_person(user, team), *(as_person(user, team, giver) for giver in givers_of(user, team))]
        for team in {each.version.model.team_id for each in waiting}
    }
    mine, theirs = [], []
    for request in waiting:
        found = dossiers[request.pk]
        why = turn(found, persons[request.version.model.team_id], at)
        since = found.revision.submitted_at
        if why:
            mine.append(Listed(request, request.state, why, since, request.get_absolute_url()))
        elif has_part(found, user):
            theirs.append(Listed(request, request.state, waits_for(found, at), since, request.get_absolute_url()))
    return Inbox(mine, theirs, standings(DECIDED(scope)), running_out(user, at))


def turn(found: records.Dossier, places: Sequence[workflow.Person], at: datetime) -> str:
    """Why a request waits for this person, or "". `places` are as whom they may sign, themselves first."""
    case, person = found.case, places[0]
    if case.state == ReviewRequest.State.CHANGES_REQUESTED:
        asked = [each for each in found.decisions if each.outcome == "request_changes"][-1:]
        if person.id in made_by(found):
            who = asked[0].signer.name if asked else "A reviewer"
            return f"{who} asked for changes. Answer with a new revision."
        return ""
    if case.computed != case.frozen:
        return "What was frozen has changed. Submit a new revision." if person.id in made_by(found) else ""
    if stale := workflow.needs_revision(case, at):
        return stale.sentence if person.id in made_by(found) else ""
    standing = workflow.standing(case, at)
    gaps = [*standing.weighed.gaps.values(), *standing.weighed.reasons]
    for each in standing.requirements:
        signed, also, turn = standing.signed, standing.also, standing.open_requirements
        rules = partial(workflow.may_sign, found.policy, each.requirement, people=case.people, signed=signed, also=also)
        if any(not rules(place, open_requirements=turn) for place in places):
            blocked = f" It cannot be approved yet: {gaps[0].sentence}" if gaps else ""
            return f"You may sign the {each.requirement.title.lower()}.{blocked}"
    if gaps and person.id in made_by(found):
        return gaps[0].sentence
    return ""


def made_by(found: records.Dossier) -> frozenset[str]:
    people = found.case.people
    return people.submitter | people.owner | people.contributors


def has_part(found: records.Dossier, user: User) -> bool:
    return str(user.opaque_id) in made_by(found) or any(each.signer_id == user.pk for each in found.decisions)


def waits_for(found: records.Dossier, at: datetime) -> str:
    if found.case.state == ReviewRequest.State.CHANGES_REQUESTED:
        return "Waits for a new revision by its submitter."
    waiting = [each for each in workflow.standing(found.case, at).requirements if each.state == "waiting"]
    return " ".join(f"{each.requirement.title}: {each.who}" for each in waiting)


def running_out(user: User, at: datetime) -> list[Listed]:
    """Approvals that still hold and end within 30 days, the first to end first."""
    soon = Q(pk=None)
    for policy in PolicyVersion.objects.all():
        lives = timedelta(days=policy.rules.valid_days)
        # Evidence that becomes too old ends an approval before its time.
        aging = any(rule.max_age_days for rule in policy.rules.evidence)
        ends = Q(closed_at__gt=at - lives) & (Q() if aging else Q(closed_at__lte=at - lives + workflow.EXPIRING))
        soon |= Q(policy_version=policy) & ends
    rows = list(visible(user).filter(soon, state__in=workflow.APPROVED).order_by("closed_at")[:AT_ONCE])
    dossiers = records.open_dossiers(rows)
    told = []
    for request in rows:
        standing = workflow.standing(dossiers[request.pk].case, at)
        if standing.state == "expiring":
            told.append(Listed(request, "expiring", "Ask for approval again in time.", standing.valid_until))
    return told
