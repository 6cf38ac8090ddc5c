"""What the log can be asked for, the same on the page, in the API and for an export."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import django_filters
from django import forms
from django.db.models import Q

from accounts.models import Team, User
from audits.search import GOES_ON, Found, has_a_word, saying, waiting
from ledger.canonical import uuid7
from ledger.models import Event, EventQuerySet

MOMENT = forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}, format="%Y-%m-%dT%H:%M:%S")
OUTCOMES = [("done", "done"), ("refused", "refused")]
SEALS = [("sealed", "sealed"), ("pending", "pending")]
WORDS = "whole words of names, reasons and facts, in any order; of the last one the beginning is enough"
SEVERAL = 50  # accounts that are looked for by their words too
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def words_needed(text: str) -> None:
    if not has_a_word(text):
        raise forms.ValidationError("Type at least one letter or digit.", "no_word")


def actors(said: str) -> list[str]:
    """Opaque ids of the accounts that somebody may mean, and what was said, which may be an id itself."""
    found = User.objects.filter(Q(name__icontains=said) | Q(email__iexact=said)).values_list("opaque_id", flat=True)
    return [said, *map(str, found)]


def first_id(moment: datetime) -> uuid.UUID:
    """The lowest id that an event of this moment can have: a span of time is a span of ids."""
    return uuid7(max(moment, EPOCH), bytes(8))


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
        label="From (UTC)", method="since_then", widget=MOMENT, help_text="time in UTC, included"
    )
    until = django_filters.IsoDateTimeFilter(
        label="To (UTC)", method="until_then", widget=MOMENT, help_text="time in UTC, not included"
    )
    seal = django_filters.ChoiceFilter(label="Seal", choices=SEALS, method="by_seal", empty_label="any")
    text = django_filters.CharFilter(
        label="Words", method="with_text", max_length=200, help_text=WORDS, validators=[words_needed]
    )

    class Meta:
        model = Event
        fields: tuple[str, ...] = ()

    def by_actor(self, events: EventQuerySet, name: str, value: str) -> EventQuerySet:
        return events.filter(actor_id__in=self.meant)

    def of_team(self, events: EventQuerySet, name: str, value: Team) -> EventQuerySet:
        return events.filter(team_id=value.pk)

    def since_then(self, events: EventQuerySet, name: str, value: datetime) -> EventQuerySet:
        return events.filter(pk__gte=first_id(value))

    def until_then(self, events: EventQuerySet, name: str, value: datetime) -> EventQuerySet:
        return events.filter(pk__lt=first_id(value))

    def by_seal(self, events: EventQuerySet, name: str, value: str) -> EventQuerySet:
        return events.sealed() if value == "sealed" else events.filter(waiting())

    def with_text(self, events: EventQuerySet, name: str, value: str) -> EventQuerySet:
        return saying(events, value)

    @cached_property
    def meant(self) -> list[str]:
        """Whom the filter by actor may mean."""
        return actors(self.form.cleaned_data["actor"])

    @property
    def without_text(self) -> EventQuerySet:
        """What all filters but the words choose."""
        events: EventQuerySet = self.queryset.all()
        for name, filter in self.filters.items():
            if name != "text":
                events = filter.filter(events, self.form.cleaned_data[name])
        return events

    @property
    def found(self) -> EventQuerySet | Found:
        """What the filters choose, to take pages of."""
        given = self.form.cleaned_data
        if not given["text"]:
            events: EventQuerySet = self.qs
            return events
        hints = [[given[name]] for name in ("outcome", "object_type", "object_id") if given[name]]
        if given["event"]:
            hints.append([given["event"] + GOES_ON])
        if given["actor"] and len(self.meant) <= SEVERAL:
            # The last part of an opaque id tells it apart; the others would only be more to look for. What was said is
            # hardly ever an id itself, but often a word that many entries have.
            known = [one for one in self.meant if is_event_id(one) or Event.objects.filter(actor_id=one).exists()]
            hints.append([one.rsplit("-", 1)[-1] if is_event_id(one) else one for one in known or self.meant])
        return Found(self.without_text, given["text"], hints)

    @property
    def used(self) -> dict[str, str]:
        """The filters as they were given, without the empty ones."""
        return {name: str(self.data[name]) for name in self.filters if self.data and self.data.get(name)}


def is_event_id(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
