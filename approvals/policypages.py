"""Pages of policies: what governs what, the editor, proposals, and the frameworks that policies are for."""

from __future__ import annotations

import json
from operator import attrgetter
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from accounts.asking import asker, needs
from accounts.models import User
from approvals import frameworks, publishing, showing, workflow
from approvals.bound import bindings
from approvals.dryrun import DryRun, dry_run
from approvals.editing import Editor, changed, of_post
from approvals.forms import BindingForm, DecideForm, GoverningForm
from approvals.models import PolicyBinding, PolicyVersion, Proposal, ReviewRequest
from approvals.policytemplates import templates
from approvals.views import said
from audits import asof
from audits.receipts import say_seal
from ledger.refusals import Refusal

FORM = ["GET", "POST"]
PUBLISHED = (
    "Requests under way stay pinned to the version under which they were submitted, unless this one binds at once.",
    "The text can never be changed or taken back; a later version can take its place.",
)
BOUND = ("New requests are pinned to what is bound then. Those under way, and approvals that hold, stay as they are.",)


@require_GET
def policies(request: HttpRequest) -> HttpResponse:
    user = asker(request)
    rows = PolicyVersion.objects.visible_to(user).select_related("policy")
    bound = PolicyBinding.objects.in_force().visible_to(user).select_related("policy", "team")
    waiting = Proposal.objects.visible_to(user).filter(state=Proposal.State.OPEN)
    waiting = waiting.select_related("proposed_by", "policy", "team")
    form = GoverningForm(request.GET if "use" in request.GET else None)
    found = None
    if form.is_valid():
        given = form.cleaned_data
        found = workflow.governing(bindings(), given["team"].pk if given["team"] else 0, given["use"], given["tier"])
    context = {
        "policies": rows, "bindings": sorted(bound, key=attrgetter("weight"), reverse=True),
        "proposals": waiting, "governing": form,
        "found": found, "may_propose": user.has_perm("approvals.propose_policy"),
    }  # fmt: skip
    return render(request, "approvals/policies.html", context)


@require_GET
def policy(request: HttpRequest, pk: int) -> HttpResponse:
    rows = PolicyVersion.objects.visible_to(request.user).select_related("policy")
    found = get_object_or_404(rows, pk=pk)
    text = json.dumps(found.content, indent=2, ensure_ascii=False)
    used = ReviewRequest.objects.visible_to(request.user).filter(policy_version=found)
    context = {
        "policy": found, "rules": found.rules, "text": text, "used": used.count(), "frameworks": named(found.rules),
        "may_propose": asker(request).has_perm("approvals.propose_policy"),
    }  # fmt: skip
    if at := asof.asked(request.GET):
        context |= showing.policy_then(found, at) | {"used": used.filter(submitted_at__lte=at).count()}
    return render(request, "approvals/policy.html", context)


def named(rules: workflow.Policy) -> list[frameworks.Framework]:
    return [each for name, each in frameworks.everything().items() if name in rules.frameworks]


@require_GET
def all_frameworks(request: HttpRequest) -> HttpResponse:
    newest = list(PolicyVersion.objects.visible_to(request.user).newest().select_related("policy"))
    shown = [
        {"framework": each, "policies": [one for one in newest if each.id in one.rules.frameworks]}
        for each in frameworks.everything().values()
    ]
    return render(request, "approvals/frameworks.html", {"shown": shown})


@require_http_methods(FORM)
def edit(request: HttpRequest) -> HttpResponse:
    """The editor. Every button sends all of it: what was typed is on the page that comes back."""
    user = needs(request, "approvals.propose_policy")
    if request.method == "GET":
        begun = started(request)
        if begun is None:
            return render(request, "approvals/policy_new.html", {"templates": templates()})
        return edited(request, user, begun, {"do": "look"})
    as_text = "text" in request.POST
    try:
        document = parsed(request.POST["text"]) if as_text else of_post(request.POST)
    except Refusal as refusal:
        return edited(request, user, {}, request.POST, text=request.POST["text"], refusal=refusal)
    act = request.POST.get("do", "look")
    if ":" in act:
        document = changed(document, act)
    if act == "propose":
        try:
            row = publishing.propose_version(
                by=user, document=document, note=request.POST.get("note", ""), binds_now="binds_now" in request.POST
            )
        except Refusal as refusal:
            return edited(request, user, document, request.POST, refusal=refusal)
        say_seal(request, "Proposed. Somebody else now has to publish it.")
        return redirect(row)
    return edited(request, user, document, request.POST)


def started(request: HttpRequest) -> dict[str, Any] | None:
    """The document to begin with: the next version of a policy, or a template. None where nothing was chosen."""
    if (pk := request.GET.get("of", "")).isdecimal():
        found = get_object_or_404(PolicyVersion.objects.visible_to(request.user).select_related("policy"), pk=pk)
        document = workflow.write_policy(found.rules)
        return {**document, "version": publishing.next_number(found.policy.slug)}
    begun = templates().get(request.GET.get("template", ""))
    return begun and {**begun, "version": publishing.next_number(begun["slug"])}


def parsed(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise Refusal("not_json", f"This is no JSON: {error}. Correct it there.", "text") from error
    if not isinstance(document, dict):
        raise Refusal("not_json", "A policy is one JSON object, in braces.", "text")
    return document


def edited(
    request: HttpRequest, user: User, document: dict[str, Any], given: Any, *, text: str = "",
    refusal: Refusal | None = None,
) -> HttpResponse:  # fmt: skip
    """The editor with a document in it, as form or as text, and beside it what it says or what is wrong with it."""
    act, form, rules, tried = given.get("do", "look"), None, None, None
    typing = act.partition(":")[0] in ("add", "remove", "up")
    as_text = act == "text" or ("text" in given and act != "form")
    try:
        if refusal is None and not typing:
            rules = publishing.checked(document)
            tried = dry_run(rules, user) if act == "try" else None
    except Refusal as problem:
        refusal = problem
    try:
        form = None if as_text or text else Editor.of_document(document, act.partition(":")[2])
    except Refusal as problem:
        refusal, as_text = problem, True
    if form and refusal and not typing:
        form.refused(refusal)
    first = request.method == "GET"
    context = {
        "editor": form, "text": text or json.dumps(document, indent=2, ensure_ascii=False), "rules": rules,
        "refusal": None if first else refusal, "tried": tried, "number": document.get("version", ""),
        "title": document.get("title") or "New policy", "note": given.get("note", ""),
        "binds_now": "binds_now" in given, "checked": not typing and not first,
        "affected": affected(document.get("slug", "")),
    }  # fmt: skip
    partial = "approvals/_policy_beside.html" if request.headers.get("HX-Request") else "approvals/policy_edit.html"
    return render(request, partial, context, status=422 if refusal and act == "propose" else 200)


def affected(slug: str) -> int:
    """Requests under way that are pinned to a version of this policy."""
    return ReviewRequest.objects.under_way().filter(policy_version__policy__slug=slug).count()


@require_http_methods(FORM)
def bind(request: HttpRequest) -> HttpResponse:
    user, sent = needs(request, "approvals.propose_policy"), request.method == "POST"
    form, status = BindingForm(request.POST if sent else None), 422 if sent else 200
    if sent and form.is_valid():
        try:
            row = publishing.propose_binding(by=user, **form.cleaned_data)
            say_seal(request, "Proposed. Somebody else now has to publish it.")
            return redirect(row)
        except Refusal as refusal:
            status = said(form, refusal)
    return render(request, "approvals/binding_new.html", {"form": form}, status=status)


def proposed(request: HttpRequest, pk: int) -> Proposal:
    rows = Proposal.objects.visible_to(request.user).select_related("policy", "team", "proposed_by", "decided_by")
    found: Proposal = get_object_or_404(rows, pk=pk)
    return found


@require_http_methods(FORM)
def proposal(request: HttpRequest, pk: int) -> HttpResponse:
    """What is proposed, what it changes and whom it affects; below, for somebody else, the decision."""
    found, user, status = proposed(request, pk), asker(request), 200
    form = DecideForm(request.POST or None, initial={"digest": found.digest})
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                return decided(request, found, user, form.cleaned_data)
            except Refusal as refusal:
                status = said(form, refusal)
    context = {
        "proposal": found, "form": form, "mine": found.proposed_by_id == user.pk,
        "may_decide": user.has_perm("approvals.publish_policy"), "consequences": BOUND,
        "may_withdraw": user.has_perm("approvals.propose_policy"),
    }  # fmt: skip
    if found.kind == Proposal.Kind.VERSION:
        context |= {**about_version(found, user, "try" in request.GET), "consequences": PUBLISHED}
    return render(request, "approvals/proposal.html", context, status=status)


def decided(request: HttpRequest, found: Proposal, user: User, given: dict[str, Any]) -> HttpResponse:
    act = request.POST.get("do", "")
    if act == "publish":
        publishing.publish(by=user, proposal=found, digest=given["digest"], answer=given["answer"])
        say_seal(request, "Published: it is in force from now on.")
    elif act == "withdraw":
        publishing.withdraw_proposal(by=user, proposal=found)
        messages.success(request, "Withdrawn. Nothing has changed.")
    else:
        publishing.decline(by=user, proposal=found, answer=given["answer"])
        say_seal(request, "Declined. Nothing has changed.")
    return redirect(found)


def about_version(found: Proposal, user: User, trying: bool) -> dict[str, Any]:
    rules = workflow.read_policy(found.content)
    before = PolicyVersion.objects.filter(policy__slug=rules.slug, number__lt=rules.version).first()
    delta = workflow.differences(before.content, found.content) if before else []
    is_open = found.state == Proposal.State.OPEN
    # Reads every request of a year, so only for whoever asks for it.
    tried: DryRun | None = dry_run(rules, user) if is_open and trying else None
    return {
        "rules": rules, "before": before, "delta": delta, "tried": tried, "frameworks": named(rules),
        "affected": affected(rules.slug) if is_open else 0,
        "text": json.dumps(found.content, indent=2, ensure_ascii=False),
    }  # fmt: skip
