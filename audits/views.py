"""The audit pages: the log, one entry."""

from __future__ import annotations

import uuid
from typing import Any, cast

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from accounts.models import Team, User
from audits import reading
from audits.filters import EventFilter, is_event_id
from audits.proving import command, placed
from ledger.models import Event, EventQuerySet
from ledger.reading import health
from ledger.refusals import Denied


def readable(user: User) -> EventQuerySet:
    """The part of the log that somebody may read. Raises Denied where that is none."""
    if not user.may_somewhere("audits.view_log"):
        raise Denied("audits.view_log")
    return Event.objects.visible_to(user)


@require_GET
def log(request: HttpRequest) -> HttpResponse:
    user = cast(User, request.user)
    asked = EventFilter(request.GET, queryset=readable(user), request=request)
    events = asked.found if asked.is_valid() else Event.objects.none()
    before, after = (place if is_event_id(place := request.GET.get(name, "")) else "" for name in ("before", "after"))
    context = {"page": reading.page(events, before=before, after=after), "filter": asked, "form": asked.form}
    return render(request, "audits/log.html", context, status=200 if asked.is_valid() else 422)


@require_GET
def entry(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    event = get_object_or_404(Event.objects.visible_to(request.user), pk=pk)
    (shown,) = reading.entries([event])
    told, facts, place = reading.disclosures(event), reading.facts(event), placed(event)
    context: dict[str, Any] = {"entry": shown, "event": event, "content": event.content, "told": told, "facts": facts}
    context["team"] = Team.objects.filter(pk=event.team_id).first() if event.team_id else None
    context |= {"placed": place, "command": command(place)} if place.proof else {"placed": place, "health": health()}
    return render(request, "audits/entry.html", {**context, "text": bytes(event.bytes).decode()})


@require_GET
def exact_bytes(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The event as it was written, to be hashed by whoever wants."""
    event = get_object_or_404(Event.objects.visible_to(request.user), pk=pk)
    headers = {"Content-Disposition": f'attachment; filename="event-{event.pk}.json"'}
    return HttpResponse(bytes(event.bytes), content_type="application/json", headers=headers)


@require_GET
def proof(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The entry's proof as a file (c2sp.org/tlog-proof); 404 while it waits for its seal."""
    event = get_object_or_404(Event.objects.visible_to(request.user), pk=pk)
    place = placed(event)
    if not place.proof:
        raise Http404(place.fault or "This entry waits for its seal. Look again in a moment.")
    headers = {"Content-Disposition": f'attachment; filename="event-{event.pk}.tlog-proof"'}
    return HttpResponse(place.text, content_type="text/plain; charset=utf-8", headers=headers)
