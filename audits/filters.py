"""What the log can be asked for, the same on the page, in the API and for an export."""

from __future__ import annotations

import uuid
from typing import Any

import django_filters
from django import forms
from django.db.models import Exists, F, Func, OuterRef, Q, TextField, Value

from accounts.models import Team, User
from ledger.models import Disclosure, Event, EventQuerySet

MOMENT = forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}, format="%Y-%m-%dT%H:%M:%S")
OUTCOMES = [("done", "done"), ("refused", "refused")]


def teams(request: Any) -> Any:
    return Team.objects.visible_to(request.user) if request is not None else Team.objects.none()


class EventFilter(django_filters.FilterSet):  # type: ignore[misc]
    actor = django_filters.CharFilter(
        label="Who", method="by_actor", max_length=120, help_text="name, mail address or opaque id"
    )
    event = django_filters.CharFilter(
        label="Event", lookup_expr="startswith", max_length=80, help_text="such as model or model.registered"
    )
    outcome = django_filters.ChoiceFilter(label="Outcome", choices=OUTCOMES, empty_label="any")
    object_type = django_filters.CharFilter(label="Object", max_length=80, help_text="such as registry.version")
    object_id = django_filters.CharFilter(label="Object id", max_length=64)
    team = django_filters.ModelChoiceFilter(
        label="Team", queryset=teams, field_name="team_id", method="of_team", empty_label="any"
    )
    since = django_filters.IsoDateTimeFilter(
        label="From (UTC)", field_name="time", lookup_expr="gte", widget=MOMENT, help_text="time in UTC, included"
    )
    until = django_filters.IsoDateTimeFilter(
        label="To (UTC)", field_name="time", lookup_expr="lt", widget=MOMENT, help_text="time in UTC, not included"
    )
    text = django_filters.CharFilter(
        label="Text", method="with_text", max_length=200, help_text="in reasons, names and facts"
    )

    class Meta:
        model = Event
        fields: tuple[str, ...] = ()

    def by_actor(self, events: EventQuerySet, name: str, value: str) -> EventQuerySet:
        found = User.objects.filter(Q(name__icontains=value) | Q(email__iexact=value)).values_list(
            "opaque_id", flat=True
        )
        return events.filter(actor_id__in=[value, *map(str, found)])

    def of_team(self, events: EventQuerySet, name: str, value: Team) -> EventQuerySet:
        return events.filter(team_id=value.pk)

    def with_text(self, events: EventQuerySet, name: str, value: str) -> EventQuerySet:
        said = Func(F("bytes"), Value("UTF8"), function="convert_from", output_field=TextField())
        disclosed = Disclosure.objects.filter(event=OuterRef("pk"), value__icontains=value)
        return events.alias(said=said).filter(Q(said__icontains=value) | Exists(disclosed))

    @property
    def used(self) -> dict[str, str]:
        """The filters as they were given, without the empty ones."""
        return {name: str(self.data[name]) for name in self.filters if self.data and self.data.get(name)}


def is_event_id(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
