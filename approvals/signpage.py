"""The sign page: what is signed, by whom, under which meaning; and the one button."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.asking import asker
from accounts.models import User
from approvals import challenges, services, showing, workflow
from approvals import dossier as records
from approvals.findings.conditions import Condition
from approvals.findings.forms import Conditions
from approvals.findings.people import owners_of
from approvals.forms import SignForm
from approvals.models import Decision, ReviewRequest, Revision
from approvals.proving import why_no_factor
from approvals.signing import meaning_of, reasons_against
from approvals.standing_in import giver_of, givers_of
from approvals.views import said, seen
from audits.receipts import say_seal
from ledger.events import database_time
from ledger.refusals import Denied, Refusal

VERBS = {
    "approve": ("Sign the {} of {}", "Sign {}"),
    "approve_with_conditions": ("Sign the {} of {} with conditions", "Sign {} with conditions"),
    "emergency": ("Emergency approval of {}", "Sign emergency approval"),
    "request_changes": ("Ask for changes to {}", "Ask for changes"),
    "reject": ("Reject {}", "Sign rejection"),
}


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def sign(request: HttpRequest, pk: int) -> HttpResponse:
    found = seen(request, pk)
    if not request.user.has_perm("approvals.sign_decision", found):
        raise Denied("approvals.sign_decision")
    if request.method == "GET":
        page = shown(request, found, request.GET)
        return render(request, "approvals/sign.html", page)
    page = shown(request, found, request.POST)
    form: SignForm = page["form"]
    rows, status = page["conditions"], 422
    if form.is_valid() and (rows is None or rows.is_valid()):
        try:
            return decided(request, found, form.cleaned_data, written(rows))
        except Refusal as refusal:
            if already(request, found, refusal):
                return redirect(found)
            status = beside(form, refusal)
            page = after(page, request, found, refusal)
    return render(request, "approvals/sign.html", page, status=status)


def written(rows: Any) -> list[Condition]:
    """The conditions typed into the page; rows without words are none."""
    filled = [row.cleaned_data for row in rows or () if row.cleaned_data.get("text")]
    return [Condition(each["text"], each["owner"], each["due"]) for each in filled]


def decided(
    request: HttpRequest, found: ReviewRequest, data: dict[str, Any], conditions: list[Condition]
) -> HttpResponse:
    """Prove who it is, sign, and go back to the request."""
    bound = {"digest": data["digest"], "session_key": f"session:{request.session.session_key}"}
    nonce = services.reauthenticate(by=asker(request), request=found, **challenges.given(request, data), **bound)
    made = services.sign(
        by=request.user, request=found, requirement=data["requirement"], outcome=data["outcome"],
        comment=data["comment"], acknowledged=data.get("acknowledged", ()), nonce=nonce, conditions=conditions,
        on_behalf_of=giver_of(asker(request), found, data.get("on_behalf_of", "")), **bound,
    )  # fmt: skip
    say_seal(request, f"Signed: {made.get_outcome_display().lower()}, over {made.digest[:15]}….")
    return redirect(f"{found.get_absolute_url()}#decision-{made.pk}")


def already(request: HttpRequest, found: ReviewRequest, refusal: Refusal) -> bool:
    """A form sent twice: the first one counted, so this one is no mistake to show."""
    sent_twice = refusal.code in ("already_signed", "request_closed") and Decision.objects.filter(
        request=found, signer=asker(request), digest=request.POST.get("digest", ""),
        requirement=request.POST.get("requirement", ""), outcome=request.POST.get("outcome", ""),
    ).exists()  # fmt: skip
    if sent_twice:
        messages.info(request, "You have signed this already. Your first signature counts.")
    return sent_twice


def beside(form: SignForm, refusal: Refusal) -> int:
    return 403 if challenges.unproved(form, refusal) else said(form, refusal)


def after(page: dict[str, Any], request: HttpRequest, found: ReviewRequest, refusal: Refusal) -> dict[str, Any]:
    """What the page shows after a refusal: where the revision changed, what changed, and the new digest to sign."""
    if refusal.code != "changed_while_reading":
        return page
    read = Revision.objects.filter(request=found, digest=request.POST.get("digest", "")).first()
    latest: Revision = page["dossier"].revision
    form: SignForm = page["form"]
    typed = request.POST.copy()
    typed["digest"] = latest.digest
    form.data = typed
    delta = showing.Delta("What changed while you were reading", read, showing.changes(read, latest)) if read else None
    return {**page, "changed": delta, "deltas": []}


def shown(request: HttpRequest, found: ReviewRequest, asked: Any) -> dict[str, Any]:
    """Everything on the sign page. The requirement asked for, or the first that waits for this person."""
    case = records.open_dossier(found)
    outcome = asked.get("outcome") if asked.get("outcome") in VERBS else "approve"
    wanted = showing.signing(case, asker(request))
    requirement = case.policy.requirement(asked.get("requirement") or "") or (
        wanted[0].requirement if wanted else next(case.policy.requirements)
    )
    if outcome == Decision.Outcome.EMERGENCY:
        requirement = workflow.emergency_requirement(case.policy, asker(request).roles_in(found.team_id))
    givers = givers_of(asker(request), found.team_id)
    behalf = next((each for each in givers if str(each.opaque_id) == asked.get("on_behalf_of")), None)
    limitations = list(workflow.limitations(case.policy, case.case.evidence))
    initial = {"requirement": requirement.slug, "outcome": outcome, "digest": case.revision.digest}
    form = SignForm(
        request.POST if request.method == "POST" else None, limitations=limitations, outcome=outcome, givers=givers,
        initial={**initial, "on_behalf_of": str(behalf.opaque_id) if behalf else ""},
        **challenges.asked(request, found),
    )  # fmt: skip
    approving, conditional = outcome in workflow.APPROVING, outcome == Decision.Outcome.APPROVE_WITH_CONDITIONS
    rows = Conditions(
        request.POST if request.method == "POST" else None, prefix="condition",
        form_kwargs={"owners": owners_of(found.team_id)},
    )  # fmt: skip
    title, verb = VERBS[outcome]
    name, version = requirement.title.lower(), f"{found.version.model.name} {found.version.number}"
    return {
        "found": case.request, "dossier": case, "form": form, "requirement": requirement, "outcome": outcome,
        "title": title.format(*((name, version) if approving else (version,))), "verb": verb.format(name),
        "meaning": meaning_of(requirement, outcome), "conditions": rows if conditional else None,
        "owed": workflow.weighing(case.case, database_time()).obligations,
        "reasons": why_not(case, requirement, request, outcome, behalf), "givers": givers, "behalf": behalf,
        "deltas": showing.deltas(case, asker(request)), "stepped_back": showing.stepped_back(found, asker(request)),
        "lines": showing.manifest_lines(
            case.revision.manifest,
            digest=case.revision.digest,
            opened=showing.opened_by(asker(request), found),
            of=found,
        ),
        "every_line": workflow.lines(case.revision.manifest),
        "earlier": showing.earlier(found.version, asker(request), found.pk), "runs": showing.every_run(case), 
    }  # fmt: skip


def why_not(
    case: records.Dossier, requirement: workflow.Requirement, request: HttpRequest, outcome: str, behalf: User | None
) -> list[workflow.Reason]:
    """What stands in the way before anything is typed."""
    at = database_time()
    if case.request.state != ReviewRequest.State.IN_REVIEW:
        word = case.request.get_state_display().lower()
        return [workflow.Reason("request_closed", f"This request is {word}: nothing can be signed on it now.")]
    if case.case.computed != case.case.frozen:
        sentence = "What was frozen has changed since, so signing it would not count. Ask for a new revision."
        return [workflow.Reason("revision_outdated", sentence)]
    if stale := workflow.needs_revision(case.case, at):
        return [stale]
    if refusal := why_no_factor(asker(request), case.request):
        return [workflow.Reason(refusal.code, refusal.sentence)]
    against = reasons_against(case, requirement, asker(request), outcome, behalf)
    if outcome == Decision.Outcome.APPROVE_WITH_CONDITIONS and not case.policy.conditions:
        return [workflow.Reason("conditions_not_allowed", "The policy takes no approval with conditions.")]
    if outcome in (*workflow.APPROVING, workflow.EMERGENCY) and not against:
        weighed = workflow.weighing(case.case, at)
        against = [*weighed.reasons, *weighed.gaps.values()]
    return against
