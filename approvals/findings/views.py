"""Pages of findings: the list, one finding with its history and forms, raising one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.asking import asker
from accounts.models import Team
from approvals.findings import forms, listing, services, showing
from approvals.findings.models import Finding
from approvals.findings.people import owners_of
from approvals.models import ReviewRequest
from approvals.views import said
from audits.receipts import say_seal
from ledger.events import database_time
from ledger.refusals import Denied, Refusal
from registry.models import Version
from registry.paging import page_of


def seen(request: HttpRequest, pk: int) -> Finding:
    rows = Finding.objects.visible_to(request.user)
    related = ("version__model__team", "version__model__owner", "version__artifact", "request", "raised_by")
    found: Finding = get_object_or_404(rows.select_related(*related), pk=pk)
    return found


@require_GET
def findings(request: HttpRequest) -> HttpResponse:
    user, form = asker(request), forms.FindingFilter(request.GET)
    wanted = form.cleaned_data if form.is_valid() else {}
    page = page_of(listing.chosen(user, wanted), request.GET)
    teams = Team.objects.filter(models__versions__findings__in=Finding.objects.visible_to(user)).distinct()
    context = {"form": form, "page": page, "rows": listing.rows_of(page.rows, database_time()), "teams": teams}
    return render(request, "approvals/findings/list.html", context)


@require_GET
def finding(request: HttpRequest, pk: int) -> HttpResponse:
    found = seen(request, pk)
    return render(request, "approvals/findings/finding.html", page(request, found))


def page(request: HttpRequest, found: Finding, bound: dict[str, Any] | None = None) -> dict[str, Any]:
    """The finding's page; `bound` holds the form that was sent and refused, by its name."""
    told = showing.page_of(found, asker(request), database_time())
    now = told["step"]
    stands = {"severity": now.severity, "due": now.due, "owner": now.owner}
    owners = owners_of(found.team_id)
    blank = {
        "answer_form": forms.AnswerForm(auto_id="answer-%s"),
        "reassess_form": forms.ReassessForm(
            owners=owners, severe=found.kind == Finding.Kind.FINDING, initial=stands, auto_id="reassess-%s"
        ),
        "close_form": forms.CloseForm(auto_id="close-%s"),
        "reopen_form": forms.ReopenForm(auto_id="reopen-%s"),
    }
    form = next(iter(bound.values())) if bound else None
    return {**told, **blank, **(bound or {}), "form": form}


def acted(
    request: HttpRequest, found: Finding, name: str, form: Any, act: Callable[[dict[str, Any]], Any], done: str
) -> HttpResponse:
    """Do what a form asks for, or show it again with what was typed and what is wrong."""
    status = 422
    if form.is_valid():
        try:
            act(form.cleaned_data)
            say_seal(request, done)
            return redirect(found)
        except Refusal as refusal:
            status = said(form, refusal)
    return render(request, "approvals/findings/finding.html", page(request, found, {name: form}), status=status)


@require_POST
def answer(request: HttpRequest, pk: int) -> HttpResponse:
    found, form = seen(request, pk), forms.AnswerForm(request.POST, auto_id="answer-%s")
    return acted(
        request, found, "answer_form", form,
        lambda data: services.answer(by=request.user, finding=found, **data), "Answered.",
    )  # fmt: skip


@require_POST
def reassess(request: HttpRequest, pk: int) -> HttpResponse:
    found = seen(request, pk)
    severe = found.kind == Finding.Kind.FINDING
    form = forms.ReassessForm(request.POST, owners=owners_of(found.team_id), severe=severe, auto_id="reassess-%s")
    return acted(
        request, found, "reassess_form", form,
        lambda data: services.reassess(by=request.user, finding=found, **data), "Reassessed.",
    )  # fmt: skip


@require_POST
def close(request: HttpRequest, pk: int) -> HttpResponse:
    found, form = seen(request, pk), forms.CloseForm(request.POST, auto_id="close-%s")
    return acted(
        request, found, "close_form", form,
        lambda data: services.close(by=request.user, finding=found, **data), "Closed.",
    )  # fmt: skip


@require_POST
def reopen(request: HttpRequest, pk: int) -> HttpResponse:
    found, form = seen(request, pk), forms.ReopenForm(request.POST, auto_id="reopen-%s")
    return acted(
        request, found, "reopen_form", form,
        lambda data: services.reopen(by=request.user, finding=found, **data), "Reopened.",
    )  # fmt: skip


@require_http_methods(["GET", "POST"])
def raised(request: HttpRequest, pk: int) -> HttpResponse:
    """Raise a finding about a version; `?request=` names the request on whose page it was noticed."""
    versions = Version.objects.visible_to(request.user).select_related("model__team", "model__owner")
    version, sent = get_object_or_404(versions, pk=pk), request.method == "POST"
    if not request.user.has_perm("approvals.raise_finding", version):
        raise Denied("approvals.raise_finding")
    of = request.GET.get("request", "")
    about = ReviewRequest.objects.filter(version=version, pk=int(of)).first() if of.isdecimal() else None
    owners = owners_of(version.model.team_id)
    form = forms.RaiseForm(request.POST if sent else None, owners=owners, initial={"owner": version.model.owner})
    status = 422 if sent else 200
    if sent and form.is_valid():
        try:
            made = services.raise_finding(by=request.user, version=version, request=about, **form.cleaned_data)
            say_seal(request, "Finding raised.")
            return redirect(made)
        except Refusal as refusal:
            status = said(form, refusal)
    context = {"subject": version, "about": about, "form": form, "back": about or version}
    return render(request, "approvals/findings/new.html", context, status=status)
