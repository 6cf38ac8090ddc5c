"""The audit pages: the log, one entry, an export."""

from __future__ import annotations

import base64
import uuid
from typing import IO, Any, cast

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from accounts.models import Team, User
from audits import reading
from audits.export import Written
from audits.filters import EventFilter, is_event_id
from audits.forms import ExportForm
from audits.services import KINDS, export_log
from ledger.models import Event, EventQuerySet
from ledger.refusals import Denied, Refusal


def readable(user: User) -> EventQuerySet:
    """The part of the log that somebody may read. Raises Denied where that is none."""
    if not user.may_somewhere("audits.view_log"):
        raise Denied("audits.view_log")
    return Event.objects.visible_to(user)


def filtered(request: HttpRequest, data: Any) -> tuple[EventFilter, EventQuerySet]:
    asked = EventFilter(data, queryset=readable(cast(User, request.user)), request=request)
    return asked, asked.qs if asked.is_valid() else Event.objects.none()


@require_GET
def log(request: HttpRequest) -> HttpResponse:
    asked, events = filtered(request, request.GET)
    before, after = (place if is_event_id(place := request.GET.get(name, "")) else "" for name in ("before", "after"))
    context = {"page": reading.page(events, before=before, after=after), "filter": asked, "form": asked.form}
    return render(request, "audits/log.html", context, status=200 if asked.is_valid() else 422)


@require_GET
def entry(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    event = get_object_or_404(Event.objects.visible_to(request.user), pk=pk)
    (shown,) = reading.entries([event])
    told, facts = reading.disclosures(event), reading.facts(event)
    context = {"entry": shown, "event": event, "content": event.content, "told": told, "facts": facts}
    context["team"] = Team.objects.filter(pk=event.team_id).first() if event.team_id else None
    return render(request, "audits/entry.html", {**context, "text": bytes(event.bytes).decode()})


@require_GET
def exact_bytes(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """The event as it was written, to be hashed by whoever wants."""
    event = get_object_or_404(Event.objects.visible_to(request.user), pk=pk)
    headers = {"Content-Disposition": f'attachment; filename="event-{event.pk}.json"'}
    return HttpResponse(bytes(event.bytes), content_type="application/json", headers=headers)


@require_http_methods(["GET", "POST"])
def export(request: HttpRequest) -> HttpResponseBase:
    asked, events = filtered(request, request.POST if request.method == "POST" else request.GET)
    form = ExportForm(request.POST or None)
    if form.is_valid() and asked.is_valid():
        try:
            return exported(cast(User, request.user), asked, events, form.cleaned_data["type"])
        except Refusal as refusal:
            form.add_error(None, refusal.sentence)
    status = 422 if request.method == "POST" or not asked.is_valid() else 200
    return render(request, "audits/export.html", {"form": form, "filter": asked}, status=status)


def exported(user: User, asked: EventFilter, events: EventQuerySet, kind: str) -> FileResponse:
    """Export what was asked for; whoever may export one team's log only exports that team's."""
    scope = user.scope("audits.export_log")
    team = asked.form.cleaned_data.get("team")
    if team is None and not scope.everywhere and len(scope.teams) == 1:
        team = Team.objects.filter(pk__in=scope.teams).first()
    content, written = export_log(by=user, team=team, events=events, filters=asked.used, kind=kind)
    return as_file(content, written, kind)


def as_file(content: IO[bytes], written: Written, kind: str) -> FileResponse:
    name = f"audit-log-{timezone.now():%Y%m%dT%H%M%SZ}.{kind}"
    response = FileResponse(content, as_attachment=True, filename=name, content_type=KINDS[kind])
    response["Content-Length"] = str(written.size)
    digest = base64.b64encode(bytes.fromhex(written.digest.removeprefix("sha256:"))).decode()
    response["Repr-Digest"] = f"sha-256=:{digest}:"
    response["X-Event-Count"] = str(written.count)
    return response
