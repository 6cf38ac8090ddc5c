"""Pages about exports: those made so far, one of them, its file, and a new one from the log's own filters."""

from __future__ import annotations

import base64
from typing import Any

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from accounts.asking import asker
from accounts.models import Team, User
from audits import services
from audits.exports.needs import BY_SLUG, question_of
from audits.exports.selection import Selection
from audits.filters import EventFilter
from audits.forms import ExportForm
from audits.models import Export
from ledger.models import Event
from ledger.refusals import Denied, Refusal

SHOWN = 50


def seen(request: HttpRequest, pk: int) -> Export:
    return get_object_or_404(Export.objects.visible_to(request.user).with_parts(), pk=pk)


def needs_right(user: User) -> None:
    if not user.may_somewhere("audits.export_log"):
        raise Denied("audits.export_log")


def team_for(user: User, asked: Team | None) -> Team | None:
    """Whose log is taken out: whoever may take out one team's only takes that team's."""
    scope = user.scope("audits.export_log")
    if asked is None and not scope.everywhere and len(scope.teams) == 1:
        return Team.objects.filter(pk__in=scope.teams).first()
    return asked


@require_GET
def exports(request: HttpRequest) -> HttpResponse:
    needs_right(asker(request))
    rows = Export.objects.visible_to(request.user).with_parts()
    before = request.GET.get("before", "")
    found = list((rows.filter(pk__lt=before) if before.isdigit() else rows)[: SHOWN + 1])
    context = {"rows": found[:SHOWN], "older": found[SHOWN - 1].pk if len(found) > SHOWN else None}
    return render(request, "audits/exports.html", context)


@require_GET
def export(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "audits/export.html", context_of(seen(request, pk)))


@require_GET
def live(request: HttpRequest, pk: int) -> HttpResponse:
    """The part of the page that changes while the file is written."""
    return render(request, "audits/_export_live.html", context_of(seen(request, pk)))


def context_of(found: Export) -> dict[str, Any]:
    selection = found.selection
    need = BY_SLUG.get(selection.need)
    return {
        "export": found, "job": found.job, "question": question_of(selection), "words": selection.in_words(),
        "shows": need.shows if need else "", "bundle": found.kind == Export.Kind.BUNDLE, "section": "audit",
    }  # fmt: skip


@require_GET
def content(request: HttpRequest, pk: int) -> HttpResponseBase:
    return as_file(asker(request), seen(request, pk))


def as_file(user: User, found: Export) -> FileResponse:
    file = services.open_export(by=user, export=found)
    response = FileResponse(file, as_attachment=True, filename=found.filename, content_type=found.media_type)
    response["Content-Length"] = str(found.size)
    digest = base64.b64encode(bytes.fromhex(found.digest.removeprefix("sha256:"))).decode()
    response["Repr-Digest"] = f"sha-256=:{digest}:"
    # Names in it were chosen by people: nothing in it runs in this portal's name.
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """What the log's page shows, as a file."""
    user, data = asker(request), request.POST if request.method == "POST" else request.GET
    needs_right(user)
    asked = EventFilter(data, queryset=Event.objects.visible_to(user), request=request)
    form = ExportForm(request.POST or None)
    if form.is_valid() and asked.is_valid():
        team = team_for(user, asked.form.cleaned_data.get("team"))
        try:
            selection = Selection(filters=asked.used)
            kind = form.cleaned_data["kind"]
            return redirect(services.request_export(by=user, account=user, team=team, kind=kind, selection=selection))
        except Refusal as refusal:
            form.add_error("kind" if refusal.field == "kind" else None, refusal.sentence)
    status = 422 if request.method == "POST" or not asked.is_valid() else 200
    return render(request, "audits/export_new.html", {"form": form, "filter": asked}, status=status)
