"""Pages about connections: making one, looking at it, and registering what is there as a dataset."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

from accounts.asking import asker
from ledger.refusals import Refusal
from registry.connecting import services
from registry.connecting.forms import ConnectForm, SecretForm
from registry.connecting.models import Connection
from registry.forms import MOST_COLUMNS, DatasetForm
from registry.models import Dataset, Version
from registry.views.answers import answered, need, teams_for
from registry.views.models import form_page

SHOWN = 50


def seen(request: HttpRequest, pk: int) -> Connection:
    rows = Connection.objects.visible_to(asker(request)).select_related("team", "added_by")
    connection: Connection = get_object_or_404(rows, pk=pk)
    return connection


@form_page
def new(request: HttpRequest) -> HttpResponse:
    form = ConnectForm(request.POST or None, teams=teams_for(request, "registry.register_dataset"))
    there = Connection.objects.visible_to(asker(request)).select_related("team")[:SHOWN]

    def act(given: dict[str, Any]) -> Connection:
        return services.connect(by=asker(request), **given)

    return answered(request, "registry/connecting/new.html", form, act, {"there": there})


@require_GET
def connection(request: HttpRequest, pk: int) -> HttpResponse:
    found = seen(request, pk)
    context = {
        "connection": found, "datasets": found.datasets.order_by("-pk")[:SHOWN],
        "may_register": asker(request).has_perm("registry.register_dataset", found) and not found.closed,
    }  # fmt: skip
    return render(request, "registry/connecting/one.html", context)


@require_POST
def check(request: HttpRequest, pk: int) -> HttpResponse:
    found = seen(request, pk)
    try:
        checked = services.check(by=asker(request), connection=found)
    except Refusal as refusal:
        messages.error(request, refusal.sentence)
        return redirect(found)
    if checked.problem:
        messages.error(request, f"The check failed. {checked.problem}")
    else:
        messages.success(request, f"It answers: {checked.rows:,} rows.")
    return redirect(found)


@form_page
def secret(request: HttpRequest, pk: int) -> HttpResponse:
    found = seen(request, pk)
    need(request, "registry.register_dataset", found)

    def act(given: dict[str, Any]) -> Connection:
        services.replace_secret(by=asker(request), connection=found, **given)
        messages.success(request, "The new password works and is used from now on.")
        return found

    form = SecretForm(request.POST or None)
    return answered(request, "registry/connecting/secret.html", form, act, {"connection": found})


@form_page
def register(request: HttpRequest, pk: int) -> HttpResponse:
    found = seen(request, pk)
    need(request, "registry.register_dataset", found)
    try:
        described = services.described(found)
        if len(described["columns"]) > MOST_COLUMNS:
            raise Refusal("too_many_columns", f"A form holds up to {MOST_COLUMNS} columns. Use the API.")
    except Refusal as refusal:
        messages.error(request, refusal.sentence)
        return redirect(found)
    newest = Version.objects.filter(model__team=found.team_id).order_by("-pk").first()
    form = DatasetForm(
        request.POST or None, columns=described["columns"], likely=newest.features if newest else (),
        initial={"name": found.table, "positive_class": "1"},
    )  # fmt: skip

    def act(given: dict[str, Any]) -> Dataset:
        return services.register_connected(by=asker(request), connection=found, **form.values())

    context = {"connection": found, "described": described}
    return answered(request, "registry/connecting/dataset.html", form, act, context)


urlpatterns = [
    path("datasets/new/connection/", new, name="dataset-connect"),
    path("connections/<int:pk>/", connection, name="connection"),
    path("connections/<int:pk>/check/", check, name="connection-check"),
    path("connections/<int:pk>/secret/", secret, name="connection-secret"),
    path("connections/<int:pk>/dataset/", register, name="connection-dataset"),
]
