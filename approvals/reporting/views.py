"""Pages of a request's validation report: writing it, and attaching it as evidence."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.views.decorators.http import require_GET, require_http_methods

from accounts.asking import asker
from approvals import dossier as records
from approvals.models import ReportDraft, ReviewRequest
from approvals.reporting import services
from approvals.reporting.document import Report, as_markdown, drafts_of, report_of
from approvals.reporting.forms import AttachForm, ReportForm
from approvals.reporting.template import template
from approvals.views import said, seen
from audits.receipts import say_seal
from ledger.events import database_time
from ledger.refusals import Denied, Refusal

CONSEQUENCES = (
    "The report becomes evidence about this version: a file, submitted by you, which the manifest of the next revision "
    "holds the digest of. The revision under way stays as it is.",
    "Whoever wrote in it counts as having produced evidence. Once a revision holds the report, none of them can sign "
    "the request: somebody else of the second line has to.",
    "It can be withdrawn, and stays listed then; what is written here stays too, and can be changed and attached anew.",
)


def needed(request: HttpRequest, pk: int) -> ReviewRequest:
    """Raises Http404 for a request that is not theirs to see, and Denied for a report that is not theirs to write."""
    found = seen(request, pk)
    if request.method != "POST" and not asker(request).has_perm("approvals.raise_finding", found):
        raise Denied("approvals.raise_finding")
    return found


def as_it_stands(found: ReviewRequest) -> tuple[Report, list[ReportDraft]]:
    drafts = drafts_of(found)
    return report_of(records.open_dossier(found), drafts, database_time()), drafts


@require_http_methods(["GET", "POST"])
def report(request: HttpRequest, pk: int) -> HttpResponse:
    found, sent = needed(request, pk), request.method == "POST"
    told, drafts = as_it_stands(found)
    last = drafts[-1] if drafts else None
    form = ReportForm(request.POST if sent else None, texts=last.texts if last else {}, initial={"number": told.draft})
    status = 422 if sent else 200
    context: dict[str, Any] = {"found": found, "report": told, "last": last, "form": form}
    if sent and form.is_valid():
        number = form.cleaned_data["number"]
        try:
            services.save_draft(by=request.user, request=found, number=number, texts=form.texts)
            say_seal(request, "Draft saved.")
            return redirect("request-report", found.pk)
        except Refusal as refusal:
            status = said(form, refusal)
            context["meanwhile"] = theirs(drafts, number) if refusal.code == "changed_meanwhile" else []
            # What they typed stays; saving it again is then said over what they have been shown now.
            form.data = {**request.POST.dict(), "number": str(told.draft)}
    fields = {name: form[name] for name in form.fields}
    context["sections"] = [(each, fields.get(each.section.slug)) for each in told.sections]
    return render(request, "approvals/reporting/report.html", context, status=status)


def theirs(drafts: list[ReportDraft], number: int) -> list[tuple[str, str]]:
    """Title and words of each section that others changed since the draft on which somebody built."""
    if not drafts:
        return []
    now = drafts[-1].texts
    changed = services.differing(services.texts_at(drafts, number), now)
    return [(each.title, now.get(each.slug, "")) for each in template().written if each.slug in changed]


@require_GET
def markdown(request: HttpRequest, pk: int) -> HttpResponse:
    found = needed(request, pk)
    return as_file(as_it_stands(found)[0])


def as_file(report: Report) -> HttpResponse:
    """The report as it stands, which is no evidence yet."""
    response = HttpResponse(as_markdown(report, "A draft."), content_type="text/markdown; charset=utf-8")
    name = f"validation-report-request-{report.request.pk}-draft-{report.draft}.md"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    # Names in it were chosen by people: nothing in it runs in this portal's name.
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


@require_http_methods(["GET", "POST"])
def attach(request: HttpRequest, pk: int) -> HttpResponse:
    found, sent = needed(request, pk), request.method == "POST"
    told, _ = as_it_stands(found)
    form, status = AttachForm(request.POST if sent else None, initial={"digest": told.digest}), 422 if sent else 200
    if sent and form.is_valid():
        try:
            made = services.attach_report(by=request.user, request=found, digest=form.cleaned_data["digest"])
            say_seal(request, "The report is attached.")
            return redirect(made)
        except Refusal as refusal:
            status = said(form, refusal)
            form.data = {"digest": told.digest}
    context = {"found": found, "report": told, "form": form, "consequences": CONSEQUENCES}
    return render(request, "approvals/reporting/attach.html", context, status=status)


urlpatterns = [
    path("requests/<int:pk>/validation-report/", report, name="request-report"),
    path("requests/<int:pk>/validation-report/markdown/", markdown, name="request-report-file"),
    path("requests/<int:pk>/validation-report/attach/", attach, name="request-report-attach"),
]
