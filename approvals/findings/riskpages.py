"""Pages of accepted risks: what is accepted and for how long, signing one, ending one."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods

from accounts.asking import asker
from approvals import challenges, workflow
from approvals import dossier as records
from approvals.findings import acceptances, showing
from approvals.findings.forms import AcceptForm
from approvals.findings.models import RiskAcceptance
from approvals.forms import WithdrawForm
from approvals.models import ReviewRequest
from approvals.proving import reauthenticate
from approvals.views import said
from approvals.views import seen as request_seen
from audits.receipts import say_seal
from ledger.events import database_time
from ledger.refusals import Denied, Refusal

WITHDRAWAL = (
    "What it lifted stands in the way again at once: an approval that hangs on it is suspended.",
    "It stays listed, with your reason, wherever it was shown.",
)


def seen(request: HttpRequest, pk: int) -> RiskAcceptance:
    rows = RiskAcceptance.objects.visible_to(request.user)
    found: RiskAcceptance = get_object_or_404(rows.select_related("version__model__team", "request", "signer"), pk=pk)
    return found


@require_GET
def acceptance(request: HttpRequest, pk: int) -> HttpResponse:
    found = seen(request, pk)
    context = {**showing.acceptance_page(found, asker(request), database_time()), "subject": found}
    return render(request, "approvals/findings/acceptance.html", context)


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def accept(request: HttpRequest, pk: int) -> HttpResponse:
    """Choose and give reasons; look at exactly what would be signed; sign it with the password."""
    found = request_seen(request, pk)
    if not request.user.has_perm("approvals.accept_risk", found):
        raise Denied("approvals.accept_risk")
    sent, case = request.method == "POST", records.open_dossier(found)
    offered = showing.targets(case, workflow.weighing(case.case, database_time()))
    signing = sent and bool(request.POST.get("digest"))
    initial = {"target": request.GET.get("target", "")}
    proof = challenges.asked(request, found)
    form = AcceptForm(request.POST if sent else None, targets=offered, signing=signing, initial=initial, **proof)
    context: dict[str, Any] = {"found": found, "form": form, "offered": offered}
    status = 422 if sent else 200
    if sent and form.is_valid():
        try:
            if signing:
                return signed(request, found, form.cleaned_data)
            context |= looked_at(request, found, form.cleaned_data, offered)
            status = 200
        except Refusal as refusal:
            status = refused(form, refusal)
            if refusal.code == "changed_while_reading":
                context |= looked_at(request, found, form.cleaned_data, offered)
                context["changed"] = refusal.sentence
    if signing and "text" not in context:
        context |= again(request, found, form)
    return render(request, "approvals/findings/accept.html", context, status=status)


def looked_at(
    request: HttpRequest, found: ReviewRequest, data: dict[str, Any], offered: list[tuple[str, str]]
) -> dict[str, Any]:
    """The page's second step: the text, its digest, and the form that signs it."""
    draft = acceptances.draft(asker(request), found, data["target"], data["reason"], data["until"])
    typed = request.POST.copy()
    typed["digest"] = draft.digest
    form = AcceptForm(typed, targets=offered, signing=True, **challenges.asked(request, found))
    form.errors.clear()
    return {"form": form, "text": draft, "lines": workflow.lines(draft.content)}


def again(request: HttpRequest, found: ReviewRequest, form: Any) -> dict[str, Any]:
    """What was being signed, beside a form that was refused; nothing where it can no longer be signed at all."""
    data = form.cleaned_data if hasattr(form, "cleaned_data") else {}
    if not {"target", "reason", "until"} <= set(data):
        return {}
    try:
        draft = acceptances.draft(asker(request), found, data["target"], data["reason"], data["until"])
    except Refusal:
        return {}
    return {"text": draft, "lines": workflow.lines(draft.content)}


def signed(request: HttpRequest, found: ReviewRequest, data: dict[str, Any]) -> HttpResponse:
    by, session = asker(request), f"session:{request.session.session_key}"
    nonce = reauthenticate(
        by=by, request=found, digest=data["digest"], session_key=session, purpose="risk_acceptance",
        **challenges.given(request, data),
    )  # fmt: skip
    made = acceptances.accept_risk(
        by=request.user, request=found, target=data["target"], reason=data["reason"], until=data["until"],
        digest=data["digest"], nonce=nonce, session_key=session,
    )  # fmt: skip
    say_seal(request, f"Signed: risk accepted until {made.until:%-d %b %Y}.")
    return redirect(made)


def refused(form: Any, refusal: Refusal) -> int:
    return 403 if challenges.unproved(form, refusal) else said(form, refusal)


@require_http_methods(["GET", "POST"])
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    found, sent = seen(request, pk), request.method == "POST"
    form, status = WithdrawForm(request.POST if sent else None), 422 if sent else 200
    if sent and form.is_valid():
        try:
            acceptances.withdraw_acceptance(by=request.user, acceptance=found, reason=form.cleaned_data["reason"])
            say_seal(request, "Ended.")
            return redirect(found)
        except Refusal as refusal:
            status = said(form, refusal)
    context = {"subject": found, "form": form, "consequences": WITHDRAWAL}
    return render(request, "approvals/findings/acceptance_withdraw.html", context, status=status)
