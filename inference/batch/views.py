"""Pages of batches: mine and my teams', an endpoint's with its schedules, one of them, its file."""

from __future__ import annotations

import base64
from typing import Any

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import path, reverse
from django.views.decorators.http import require_GET, require_http_methods

from accounts.asking import asker
from accounts.models import User
from audits import timeline
from inference.batch import scheduling, services
from inference.batch.checking import hindrance
from inference.batch.forms import BatchForm, EndScheduleForm, ScheduleForm
from inference.batch.models import Batch, BatchSchedule
from inference.models import Endpoint
from registry.models import Dataset
from registry.paging import page_of
from registry.services import receive_upload
from registry.views.answers import answered, need

form_page = require_http_methods(["GET", "POST"])
PARQUET = "application/vnd.apache.parquet"
ENDING = (
    "No further runs are begun; one that is under way goes on.",
    "What earlier runs gave stays. To run it again, add a new schedule.",
)


def endpoint_seen(request: HttpRequest, pk: int) -> Endpoint:
    return get_object_or_404(Endpoint.objects.visible_to(request.user).with_parts(), pk=pk)


def seen(request: HttpRequest, pk: int) -> Batch:
    found: Batch = get_object_or_404(Batch.objects.visible_to(request.user).with_parts(), pk=pk)
    return found


def datasets_of(endpoint: Endpoint) -> Any:
    rows = Dataset.objects.filter(team=endpoint.team_id, deletion=None).order_by("name")
    return rows.select_related("artifact", "connection")


@require_GET
def batches(request: HttpRequest) -> HttpResponse:
    viewer = asker(request)
    teams = Batch.objects.visible_to(viewer)
    mine = teams.filter(asked_by=viewer)
    tab = "team" if request.GET.get("tab") == "team" else "mine"
    page = page_of((teams if tab == "team" else mine).with_parts(), request.GET)
    tabs = [
        {"key": "mine", "label": "Asked by you", "url": request.path, "count": mine.count()},
        {"key": "team", "label": "Of your teams", "url": f"{request.path}?tab=team", "count": teams.count()},
    ]
    return render(request, "inference/batch/mine.html", {"page": page, "tab": tab, "tabs": tabs})


@require_GET
def of_endpoint(request: HttpRequest, pk: int) -> HttpResponse:
    found, viewer = endpoint_seen(request, pk), asker(request)
    context = {
        "endpoint": found,
        "page": page_of(found.batches.with_parts(), request.GET),
        "schedules": found.batch_schedules.filter(ended_at=None).with_parts(),
        "may_run": viewer.has_perm(services.PERMISSION, found),
    }
    return render(request, "inference/batch/list.html", context)


@form_page
def new(request: HttpRequest, pk: int) -> HttpResponse:
    found = endpoint_seen(request, pk)
    need(request, services.PERMISSION, found)

    def act(given: dict[str, Any]) -> Batch:
        by, file, upload = asker(request), given["file"], None
        if file is not None and given["dataset"] is None:
            upload = receive_upload(by=by, team=found.model.team, chunks=file.chunks(), filename=file.name)
        return services.request_batch(
            by=by, endpoint=found, dataset=given["dataset"], upload=upload, keys=given["keys"]
        )

    form = BatchForm(request.POST or None, request.FILES or None, datasets=datasets_of(found))
    context = {"endpoint": found, "hindrance": hindrance(found)}
    return answered(request, "inference/batch/new.html", form, act, context)


@form_page
def new_schedule(request: HttpRequest, pk: int) -> HttpResponse:
    found = endpoint_seen(request, pk)
    need(request, services.PERMISSION, found)

    def act(given: dict[str, Any]) -> str:
        scheduling.add_schedule(by=asker(request), endpoint=found, **given)
        return reverse("endpoint-batches", args=[found.pk])

    form = ScheduleForm(request.POST or None, datasets=datasets_of(found))
    return answered(request, "inference/batch/schedule_new.html", form, act, {"endpoint": found})


@form_page
def end_schedule(request: HttpRequest, pk: int) -> HttpResponse:
    rows = BatchSchedule.objects.visible_to(request.user).with_parts()
    found: BatchSchedule = get_object_or_404(rows, pk=pk)
    need(request, services.PERMISSION, found)

    def act(given: dict[str, Any]) -> str:
        scheduling.end_schedule(by=asker(request), schedule=found)
        return reverse("endpoint-batches", args=[found.endpoint_id])

    # An empty form still has to be bound when it is sent.
    form = EndScheduleForm(request.POST if request.method == "POST" else None)
    context = {"schedule": found, "endpoint": found.endpoint, "consequences": ENDING}
    return answered(request, "inference/batch/schedule_end.html", form, act, context)


@require_GET
def batch(request: HttpRequest, pk: int) -> HttpResponse:
    found, viewer = seen(request, pk), asker(request)
    context = context_of(found, viewer) | {"timeline": timeline.of(found, viewer)}
    return render(request, "inference/batch/batch.html", context)


@require_GET
def live(request: HttpRequest, pk: int) -> HttpResponse:
    """The part of the page that changes while rows are scored."""
    return render(request, "inference/batch/_live.html", context_of(seen(request, pk), asker(request)))


def context_of(found: Batch, viewer: User) -> dict[str, Any]:
    return {
        "batch": found, "job": found.job, "endpoint": found.endpoint,
        "may_steer": viewer.has_perm("jobs.cancel_job", found),
        "may_take": viewer.has_perm("registry.read_rows", found),
    }  # fmt: skip


@require_GET
def content(request: HttpRequest, pk: int) -> HttpResponseBase:
    return as_file(asker(request), seen(request, pk))


def as_file(user: User, found: Batch) -> FileResponse:
    file = services.open_batch(by=user, batch=found)
    response = FileResponse(file, as_attachment=True, filename=found.filename, content_type=PARQUET)
    response["Content-Length"] = str(found.size)
    digest = base64.b64encode(bytes.fromhex(found.digest.removeprefix("sha256:"))).decode()
    response["Repr-Digest"] = f"sha-256=:{digest}:"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


urlpatterns = [
    path("batches/", batches, name="batches"),
    path("batches/<int:pk>/", batch, name="batch"),
    path("batches/<int:pk>/live/", live, name="batch-live"),
    path("batches/<int:pk>/content/", content, name="batch-content"),
    path("batch-schedules/<int:pk>/end/", end_schedule, name="batch-schedule-end"),
    path("endpoints/<int:pk>/batches/", of_endpoint, name="endpoint-batches"),
    path("endpoints/<int:pk>/batches/new/", new, name="batch-new"),
    path("endpoints/<int:pk>/batches/schedules/new/", new_schedule, name="batch-schedule-new"),
]
