"""Pages of an import: the file, its columns, the preview that is confirmed, and what came of it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.views.decorators.http import require_GET

from accounts.asking import asker
from ledger.refusals import Refusal
from registry.importing import services
from registry.importing.forms import ColumnsForm, ImportUploadForm
from registry.importing.models import ModelImport
from registry.importing.planning import table_of
from registry.importing.reading import FIELDS
from registry.models import Upload
from registry.services import receive_upload
from registry.views.answers import answered, teams_for
from registry.views.models import form_page
from registry.views.versions import refusing

SHOWN = 100


@form_page
def new(request: HttpRequest) -> HttpResponse:
    """First the file, then, with `?upload=`, its columns, and with them the preview."""
    teams = teams_for(request, "registry.register_model")
    if key := request.GET.get("upload", ""):
        uploads = Upload.objects.visible_to(request.user).filter(team__in=teams, pk=key if key.isdigit() else None)
        return columns(request, get_object_or_404(uploads.select_related("artifact", "team")))

    def act(given: dict[str, Any]) -> str:
        file = given["file"]
        upload = receive_upload(by=asker(request), team=given["team"], chunks=file.chunks(), filename=file.name)
        table_of(upload.artifact)
        return f"{request.path}?upload={upload.pk}"

    form = ImportUploadForm(request.POST or None, request.FILES or None, teams=teams)
    return answered(request, "registry/importing/new.html", form, refusing(act, "file"))


def columns(request: HttpRequest, upload: Upload) -> HttpResponse:
    """Choose the columns and see what would come of it; `confirm` does it, where no row is wrong."""
    try:
        table = table_of(upload.artifact)
    except Refusal as refusal:
        messages.error(request, refusal.sentence)
        return redirect("model-import-new")
    form = ColumnsForm(request.POST or None, columns=table.columns)
    context: dict[str, Any] = {"form": form, "upload": upload, "table": table}
    status = 200
    if form.is_valid():
        given: dict[str, Any] = {"team": upload.team, "upload": upload, "columns": form.cleaned_data}
        try:
            if "confirm" in request.POST:
                return redirect(services.import_models(by=asker(request), **given))
            context["plan"] = services.preview(by=asker(request), **given)
        except Refusal as refusal:
            form.refuse(refusal)
            status = 422
            if refusal.code == "import_faulty":
                context["plan"] = services.preview(by=asker(request), **given)
    elif form.is_bound:
        status = 422
    if plan := context.get("plan"):
        context |= {"shown": plan.models[:SHOWN], "faults": plan.faults[:SHOWN]}
    return render(request, "registry/importing/columns.html", context, status=status)


@require_GET
def imports(request: HttpRequest) -> HttpResponse:
    rows = ModelImport.objects.visible_to(request.user).with_parts()[:SHOWN]
    may_add = asker(request).may_somewhere("registry.register_model")
    return render(request, "registry/importing/list.html", {"rows": rows, "may_add": may_add})


@require_GET
def one(request: HttpRequest, pk: int) -> HttpResponse:
    rows = ModelImport.objects.visible_to(request.user).with_parts()
    found: ModelImport = get_object_or_404(rows, pk=pk)
    brought = found.brought.select_related("owner").order_by("name")
    told = [(FIELDS[field][0], column) for field, column in found.columns.items()]
    return render(request, "registry/importing/one.html", {"found": found, "brought": brought, "columns": told})


urlpatterns = [
    path("imports/", imports, name="model-imports"),
    path("imports/new/", new, name="model-import-new"),
    path("imports/<int:pk>/", one, name="model-import"),
]
