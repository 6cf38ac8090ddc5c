"""From a selection to the events of the log, for somebody and a team."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from django.db.models import Q

from accounts.models import Team, User
from audits.exports.selection import Selection
from audits.filters import EventFilter
from audits.models import Export
from ledger.models import Event, EventQuerySet
from ledger.refusals import Refusal


def chosen(export: Export) -> EventQuerySet | None:
    """The events of an export, None for all there are."""
    if export.selection.everything and export.team is None:
        return None
    return events_of(export.selection, export.asked_by, export.team)


def events_of(selection: Selection, user: User, team: Team | None) -> EventQuerySet:
    """Raises Refusal `filter_invalid` where a filter cannot be read (any more)."""
    asked = filter_of(selection, user)
    if not asked.is_valid():
        name, faults = next(iter(asked.errors.items()))
        raise Refusal("filter_invalid", f"{name}: {faults[0]}", f"filter.{name}")
    events: EventQuerySet = asked.qs
    if team is not None:
        events = events.filter(team_id=team.pk)
    if selection.events:
        named = Q(pk__in=[])
        for beginning in selection.events:
            named |= Q(event__startswith=beginning)
        events = events.filter(named)
    if selection.objects:
        about = Q(pk__in=[])
        for kind in sorted({kind for kind, _ in selection.objects}):
            about |= Q(object_type=kind, object_id__in=[pk for one, pk in selection.objects if one == kind])
        events = events.filter(about)
    return events


def filter_of(selection: Selection, user: User) -> Any:
    return EventFilter(dict(selection.filters), queryset=Event.objects.all(), request=SimpleNamespace(user=user))
