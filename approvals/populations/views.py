"""The page of populations and samples. That one was looked at is in the log, so the form alone asks for nothing."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.http import require_GET

from accounts.asking import asker
from accounts.models import Team, User
from approvals.populations.files import MEDIA_TYPES, as_file
from approvals.populations.forms import PopulationForm, fresh_seed
from approvals.populations.listing import KINDS, page_of
from approvals.populations.services import METHOD, Population, Terms, list_population
from audits.exports.views import needs_right, team_for
from ledger.refusals import Refusal

SHOWN = 50


@require_GET
def population(request: HttpRequest) -> HttpResponse:
    user = asker(request)
    needs_right(user)
    form = PopulationForm(request.GET if "kind" in request.GET else None, teams=Team.objects.visible_to(user))
    if form.is_valid() and form.lacks_seed:
        given = request.GET.copy()
        given["seed"] = fresh_seed()
        return redirect(f"{request.path}?{given.urlencode()}")
    context: dict[str, Any] = {"form": form}
    status = 422 if form.is_bound else 200
    if form.is_valid():
        try:
            found = listed(user, form.terms)
            if (file := request.GET.get("format", "")) in MEDIA_TYPES:
                return download(found, file)
            context |= shown(found, request)
            status = 200
        except Refusal as refusal:
            form.refuse(refusal)
    return render(request, "approvals/populations/population.html", context, status=status)


def listed(user: User, terms: Terms) -> Population:
    team = team_for(user, terms.team)
    asked = Terms(terms.kind, terms.first, terms.last, team, terms.sample, terms.seed)
    return list_population(by=user, team=team, terms=asked)


def shown(found: Population, request: HttpRequest) -> dict[str, Any]:
    kind = KINDS[found.terms.kind]
    columns = [name for name in (found.rows[0] if found.rows else {}) if name != "id"]

    def lines(rows: Any) -> list[dict[str, Any]]:
        return [
            {"id": row["id"], "url": page_of(kind, row), "cells": [row[name] or "" for name in columns]} for row in rows
        ]

    return {
        "found": found, "kind": kind, "method": METHOD, "columns": columns, "rows": lines(found.rows[:SHOWN]),
        "sampled": lines(found.sampled), "query": request.GET.urlencode(),
    }  # fmt: skip


def download(found: Population, form: str) -> HttpResponse:
    terms = found.terms
    response = HttpResponse(as_file(found, form), content_type=MEDIA_TYPES[form])
    name = f"{terms.kind}-{terms.first:%Y%m%d}-{terms.last:%Y%m%d}.{form}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


urlpatterns = [path("audit/population/", population, name="population")]
