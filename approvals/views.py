"""Pages of requests: the list, one request, asking, revising, taking back."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.asking import asker
from approvals import comparing, conversation, listing, services, showing, workflow
from approvals import dossier as records
from approvals.api import manifest_file
from approvals.findings import showing as about
from approvals.forms import CommentForm, RecuseForm, RequestFilter, ReviseForm, RevokeForm, SubmitForm, WithdrawForm
from approvals.models import ReviewRequest
from audits import asof
from audits.receipts import say_seal
from ledger.events import database_time
from ledger.refusals import Refusal
from registry.models import Evidence, Version

WITHDRAWAL = (
    "The request ends and cannot be taken up again; signatures given so far count for nothing.",
    "It stays listed, with your reason, and heads every later request for this model.",
)
RECUSAL = (
    "You sign nothing on this request any more, whatever role you hold. It cannot be taken back.",
    "Your name and reason stand on the request, and on later ones for this model.",
)
REVOCATION = (
    "The gate says no at once, and every endpoint bound to this version for this use stops answering within a second.",
    "The signatures stay on record. To serve again, a new request has to be made and signed.",
    "Your name and reason are shown wherever the approval was shown.",
)


def seen(request: HttpRequest, pk: int) -> ReviewRequest:
    rows = ReviewRequest.objects.visible_to(request.user)
    return get_object_or_404(rows.select_related("version__model__team", "policy_version__policy"), pk=pk)


def said(form: Any, refusal: Refusal) -> int:
    """Put a refusal beside its field, or on top of the form; the status to answer with."""
    field = refusal.field if refusal.field in form.fields else None
    form.add_error(field, refusal.sentence)
    return 422 if refusal.field else 409


def chosen(form: Any) -> list[Evidence] | None:
    """The evidence ticked; None where there was none to choose."""
    if "evidence" not in form.cleaned_data:
        return None
    return list(Evidence.objects.filter(pk__in=form.cleaned_data["evidence"]))


@require_GET
def requests(request: HttpRequest) -> HttpResponse:
    form = RequestFilter(request.GET)
    form.fields["state"].choices = listing.STATES  # type: ignore[attr-defined]
    wanted = form.cleaned_data if form.is_valid() else {}
    return render(request, "approvals/list.html", {"form": form, "page": listing.page(asker(request), wanted)})


@require_GET
def review(request: HttpRequest, pk: int) -> HttpResponse:
    found = seen(request, pk)
    if at := asof.asked(request.GET):
        return render(request, "approvals/request.html", showing.request_then(found, asker(request), at))
    return render(request, "approvals/request.html", told(request, found, CommentForm()))


def told(request: HttpRequest, found: ReviewRequest, form: CommentForm) -> dict[str, Any]:
    """Everything on the request page."""
    viewer, case, at = asker(request), records.open_dossier(found), database_time()
    judged, lines = about.of_request(case, at), showing.lines_of(case)
    parts = showing.parts_of(case, [row.finding for row in judged["findings"]], lines)
    may = {act: viewer.has_perm(f"approvals.{act}", found) for act in ACTS}
    if may["comment"]:
        form.offer(conversation.readers_of(found.team_id).exclude(pk=viewer.pk), showing.grouped(parts))
    now = workflow.standing(case.case, at)
    title, tone = showing.headline(case, now, at)
    return {
        **judged, "lines": lines,
        "found": case.request, "dossier": case, "standing": now, "gate_title": title, "gate_tone": tone,
        "gate_lines": showing.gate_lines(case, now, viewer, at), "signing": showing.signing(case, viewer),
        "evidence": showing.evidence_rows(case, viewer), "left_out": showing.left_out(case),
        "runs": showing.every_run(case), "offers": showing.offers_of(case, now),
        "material": comparing.of_request(case, at),
        "deltas": showing.deltas(case, viewer), "moments": showing.moments(case, case.revisions),
        "talk": showing.conversation(case, showing.comments_of(found, parts)),
        "earlier": showing.earlier(found.version, viewer, found.pk),
        "stepped_back": showing.stepped_back(found, viewer),
        "people": showing.people(case), "form": form, "rule": showing.rule_in_words(found.version.decision_rule),
        "everything": found.version.evidence.count(),
        "may": may,
    }  # fmt: skip


ACTS = (
    "submit_request", "withdraw_request", "comment", "revoke_approval", "raise_finding", "accept_risk", "export_pack",
    "sign_decision",
)  # fmt: skip


@require_POST
def comment(request: HttpRequest, pk: int) -> HttpResponse:
    found, form = seen(request, pk), CommentForm(request.POST)
    status = 422
    if form.is_valid():
        try:
            made = services.comment(by=request.user, request=found, **form.said)
            return redirect(f"{found.get_absolute_url()}#comment-{made.pk}")
        except Refusal as refusal:
            status = said(form, refusal)
    return render(request, "approvals/request.html", told(request, found, form), status=status)


@require_http_methods(["GET", "POST"])
def submit(request: HttpRequest, pk: int) -> HttpResponse:
    related = ("model__team", "artifact", "registered_by", "pins")
    versions = Version.objects.visible_to(request.user).select_related(*related)
    version, sent = get_object_or_404(versions, pk=pk), request.method == "POST"
    said_so = request.POST if sent else request.GET
    initial = {name: value for name in ("environment", "use") if (value := said_so.get(name))}
    page = showing.prospect(
        version, asker(request), environment=initial.get("environment", ""), use=initial.get("use", "")
    )
    form = SubmitForm(request.POST if sent else None, choices=page["choices"], initial=initial)
    status = 200
    if sent and form.is_valid():
        asked = {name: form.cleaned_data[name] for name in ("environment", "use", "note")}
        try:
            made = services.submit(by=request.user, version=version, evidence=chosen(form), **asked)
            say_seal(request, "Asked for approval.")
            return redirect(made)
        except Refusal as refusal:
            if refusal.code == "request_open":
                messages.info(request, refusal.sentence)
                return redirect(listing.open_one(version, asked["environment"], asked["use"]))
            status = said(form, refusal)
    return render(
        request, "approvals/submit.html", {**page, "form": form}, status=422 if sent and status == 200 else status
    )


@require_http_methods(["GET", "POST"])
def revise(request: HttpRequest, pk: int) -> HttpResponse:
    found, sent = seen(request, pk), request.method == "POST"
    page, status = showing.prospect(found.version, asker(request), records.open_dossier(found)), 422 if sent else 200
    form = ReviseForm(request.POST if sent else None, choices=page["choices"])
    if sent and form.is_valid():
        try:
            services.revise(by=request.user, request=found, note=form.cleaned_data["note"], evidence=chosen(form))
            say_seal(request, "Submitted anew.")
            return redirect(found)
        except Refusal as refusal:
            status = said(form, refusal)
    return render(request, "approvals/revise.html", {**page, "found": found, "form": form}, status=status)


@require_http_methods(["GET", "POST"])
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    found, sent = seen(request, pk), request.method == "POST"
    form, status = WithdrawForm(request.POST if sent else None), 422 if sent else 200
    if sent and form.is_valid():
        try:
            services.withdraw(by=request.user, request=found, reason=form.cleaned_data["reason"])
            say_seal(request, "Withdrawn.")
            return redirect(found)
        except Refusal as refusal:
            status = said(form, refusal)
    context = {"found": found, "form": form, "consequences": WITHDRAWAL}
    return render(request, "approvals/withdraw.html", context, status=status)


@require_http_methods(["GET", "POST"])
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    found, sent = seen(request, pk), request.method == "POST"
    name = found.version.model.slug
    form, status = RevokeForm(request.POST if sent else None, expected=name), 422 if sent else 200
    if sent and form.is_valid():
        try:
            services.revoke(by=request.user, request=found, reason=form.cleaned_data["reason"])
            say_seal(request, "Revoked: the gate says no from now on.")
            return redirect(found)
        except Refusal as refusal:
            status = said(form, refusal)
    context = {"found": found, "form": form, "consequences": REVOCATION, "name": name}
    return render(request, "approvals/revoke.html", context, status=status)


@require_http_methods(["GET", "POST"])
def recuse(request: HttpRequest, pk: int) -> HttpResponse:
    found, sent = seen(request, pk), request.method == "POST"
    form, status = RecuseForm(request.POST if sent else None), 422 if sent else 200
    if sent and form.is_valid():
        try:
            services.recuse(by=request.user, request=found, reason=form.cleaned_data["reason"])
            messages.success(request, "You stepped back from this request.")
            return redirect(found)
        except Refusal as refusal:
            status = said(form, refusal)
    context = {"found": found, "form": form, "consequences": RECUSAL}
    return render(request, "approvals/recuse.html", context, status=status)


@require_GET
def evidence(request: HttpRequest, pk: int, evidence: int) -> HttpResponse:
    """Note that this person opened this evidence from this request, then show it."""
    found = seen(request, pk)
    row = get_object_or_404(Evidence, pk__in=found.latest.evidence_ids, id=evidence)
    services.open_evidence(by=asker(request), request=found, evidence=row)
    computed = row.provenance == Evidence.Provenance.COMPUTED
    return redirect(reverse("report" if computed else "evidence", args=[row.pk]))


@require_GET
def manifest(request: HttpRequest, pk: int) -> HttpResponseBase:
    return manifest_file(request, seen(request, pk), request.GET.get("revision"))
