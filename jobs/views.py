"""Pages about jobs: the list, one job with its live part, cancelling and trying again."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from jobs import services
from jobs.forms import CancelForm, JobFilter
from jobs.models import Job
from ledger.refusals import Refusal

PAGE = 50
CONSEQUENCES = (
    "The work stops at its next step and nothing of it is stored.",
    "The page stays, and anybody who may cancel it can have it tried again.",
)


def seen(request: HttpRequest, pk: int) -> Job:
    return get_object_or_404(Job.objects.visible_to(request.user), pk=pk)


@require_GET
def jobs(request: HttpRequest) -> HttpResponse:
    form = JobFilter(request.GET)
    wanted: dict[str, Any] = form.cleaned_data if form.is_valid() else {}
    shown = Job.objects.visible_to(request.user).page(
        state=wanted.get("state", ""), before=wanted.get("before"), after=wanted.get("after"), size=PAGE
    )
    return render(request, "jobs/list.html", {"page": shown, "form": form, "state": wanted.get("state", "")})


@require_GET
def job(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "jobs/job.html", facts(request, seen(request, pk)))


@require_GET
def live(request: HttpRequest, pk: int) -> HttpResponse:
    """The part of the page that changes while the job runs."""
    return render(request, "jobs/_live.html", facts(request, seen(request, pk)))


def facts(request: HttpRequest, job: Job) -> dict[str, Any]:
    return {"job": job, "may_steer": request.user.has_perm("jobs.cancel_job", job)}


@require_http_methods(["GET", "POST"])
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    job = seen(request, pk)
    form = CancelForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            services.cancel(by=request.user, job=job, reason=form.cleaned_data["reason"])
        except Refusal as refusal:
            messages.warning(request, refusal.sentence)
        return redirect(job)
    return render(request, "jobs/cancel.html", {"job": job, "form": form, "consequences": CONSEQUENCES})


@require_POST
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    job = seen(request, pk)
    try:
        services.retry(by=request.user, job=job)
    except Refusal as refusal:
        messages.warning(request, refusal.sentence)
    return redirect(job)
