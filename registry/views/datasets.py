"""Pages about datasets."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET

from accounts.asking import asker
from ledger.refusals import Refusal
from registry import services
from registry.downloads import attachment
from registry.filters import DatasetFilter
from registry.forms import MOST_COLUMNS, DatasetForm, DatasetUploadForm
from registry.models import Dataset, Upload, Version
from registry.paging import page_of
from registry.processing.reading import editions
from registry.roles import GROUPED, ROLES
from registry.views.answers import answered, teams_for
from registry.views.models import form_page
from registry.views.versions import refusing

TABLE_HINT = "CSV in UTF-8 with the columns' names in its first line, or Parquet."


def seen(request: HttpRequest, pk: int) -> Dataset:
    rows = Dataset.objects.visible_to(request.user).with_parts()
    dataset: Dataset = get_object_or_404(rows, pk=pk)
    return dataset


@require_GET
def datasets(request: HttpRequest) -> HttpResponse:
    found = DatasetFilter(request.GET, Dataset.objects.visible_to(request.user).select_related("team"))
    page = page_of(found.qs, request.GET)
    used = {key for key in request.GET if key not in ("before", "after") and request.GET[key]}
    may_add = asker(request).may_somewhere("registry.register_dataset")
    return render(request, "registry/datasets.html", {"page": page, "filter": found, "used": used, "may_add": may_add})


@require_GET
def dataset(request: HttpRequest, pk: int) -> HttpResponse:
    found = seen(request, pk)
    reports = found.evidence.filter(version__in=Version.objects.visible_to(request.user))
    return render(
        request,
        "registry/dataset.html",
        {
            "dataset": shared(found),
            "lead": f"{found.rows:,} rows, {len(found.columns)} columns, {found.get_format_display()}",
            "columns_note": outcome_note(found),
            "groups": [column for column in found.columns if column.get("groups") and column["role"] in GROUPED],
            "reports": reports.select_related("version__model", "produced_by"),
            "may_read": found.rows_here and asker(request).has_perm("registry.read_rows", found) and not found.deleted,
            "may_govern": asker(request).has_perm("registry.govern_dataset", found) and not found.deleted,
            "editions": editions(found.processing.select_related("dataset", "recorded_by")),
        },
    )


def outcome_note(dataset: Dataset) -> str:
    if not dataset.labels:
        return "no outcome"
    (name,) = dataset.labels
    return f"yes is {name} = {dataset.positive_class}" if dataset.positive_class else f"{name} is a number"


def shared(dataset: Dataset) -> Dataset:
    """Add what part of the rows is missing in each column, and is in each group."""
    for column in dataset.columns:
        column["share_missing"] = column["missing"] / dataset.rows
        column["part"] = ROLES[column["role"]].split(":")[0]
        # Of rows that stay elsewhere only groups are counted.
        distinct = "" if column["distinct"] is None else f", {column['distinct']:,} values"
        column["note"] = f"{column['part'].lower()}{distinct}"
        for group in column.get("groups", ()):
            group["share"] = group["rows"] / dataset.rows
    return dataset


@form_page
def new(request: HttpRequest) -> HttpResponse:
    """First the file, then what each of its columns is."""
    teams = teams_for(request, "registry.register_dataset")
    if key := request.GET.get("upload", ""):
        uploads = Upload.objects.visible_to(request.user).filter(team__in=teams, pk=key if key.isdigit() else None)
        return describe(request, get_object_or_404(uploads.select_related("artifact", "team")))
    form = DatasetUploadForm(request.POST or None, request.FILES or None, teams=teams, hint=TABLE_HINT)

    def act(given: dict[str, Any]) -> str:
        file = given["file"]
        upload = services.receive_upload(
            by=asker(request), team=given["team"], chunks=file.chunks(), filename=file.name
        )
        services.profile_upload(upload)
        return f"{request.path}?upload={upload.pk}"

    return answered(request, "registry/dataset_upload.html", form, refusing(act, "file"))


def describe(request: HttpRequest, upload: Upload) -> HttpResponse:
    try:
        described = services.profile_upload(upload)
        if len(described["columns"]) > MOST_COLUMNS:
            raise Refusal(
                "too_many_columns", f"A form holds up to {MOST_COLUMNS} columns. Register this file by the API."
            )
    except Refusal as refusal:
        messages.error(request, refusal.sentence)
        return redirect("dataset-new")
    newest = Version.objects.filter(model__team=upload.team_id).order_by("-pk").first()
    form = DatasetForm(
        request.POST or None,
        columns=described["columns"],
        likely=newest.features if newest else (),
        initial={"name": upload.filename.rsplit(".", 1)[0], "positive_class": "1"},
    )

    def act(given: dict[str, Any]) -> Dataset:
        try:
            return services.register_dataset(by=asker(request), team=upload.team, upload=upload, **form.values())
        except Refusal as refusal:
            twin = Dataset.objects.filter(team=upload.team, name=given["name"], artifact=upload.artifact)
            found: Dataset | None = twin.first()
            if refusal.code != "dataset_exists" or found is None:
                raise
            messages.info(request, "This dataset was registered already. Here it is.")
            return found

    return answered(request, "registry/dataset_new.html", form, act, {"upload": upload, "described": described})


@require_GET
def rows(request: HttpRequest, pk: int) -> HttpResponse:
    found = seen(request, pk)
    columns, shown = services.first_rows(by=asker(request), dataset=found)
    return render(
        request,
        "registry/rows.html",
        {
            "dataset": found,
            "columns": columns,
            "rows": shown,
            "lead": f"{len(shown)} of {found.rows:,} rows of {found}",
        },
    )


@require_GET
def download(request: HttpRequest, pk: int) -> HttpResponseBase:
    found = seen(request, pk)
    return attachment(services.record_dataset_download(by=asker(request), dataset=found), found.filename)
