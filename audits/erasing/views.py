"""Pages about erasures and legal holds."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from django.views.decorators.http import require_GET, require_http_methods

from accounts.asking import asker, needs
from audits import timeline
from audits.erasing import services, showing
from audits.erasing.choosing import Choice, person_of, preview
from audits.erasing.forms import ApproveForm, AskForm, ChoiceForm, HoldForm, ReasonForm
from audits.erasing.models import Erasure, Hold
from ledger.refusals import Refusal

SHOWN = 50
FORM = ["GET", "POST"]


def a_page(request: HttpRequest, rows: Any, template: str) -> HttpResponse:
    user, before = asker(request), request.GET.get("before", "")
    found = list((rows.filter(pk__lt=before) if before.isdecimal() and len(before) < 18 else rows)[: SHOWN + 1])
    tabs = [
        {"key": "erasures", "label": "Erasures", "url": reverse("erasures")},
        {"key": "holds", "label": "Legal holds", "url": reverse("holds")},
    ]
    context = {
        "rows": found[:SHOWN], "older": found[SHOWN - 1].pk if len(found) > SHOWN else None, "tabs": tabs,
        "may_ask": user.has_perm("audits.request_erasure"), "may_hold": user.has_perm("audits.manage_legal_hold"),
    }  # fmt: skip
    return render(request, template, context)


@require_GET
def erasures(request: HttpRequest) -> HttpResponse:
    user = needs(request, "audits.view_erasure")
    return a_page(request, Erasure.objects.visible_to(user).with_people(), "audits/erasures.html")


@require_GET
def holds(request: HttpRequest) -> HttpResponse:
    user = needs(request, "audits.view_erasure")
    return a_page(request, Hold.objects.visible_to(user).with_parts(), "audits/holds.html")


@require_http_methods(FORM)
def new(request: HttpRequest) -> HttpResponse:
    """Choose, see what would go and what stays, then ask: each is this page with more of it filled in."""
    user = needs(request, "audits.request_erasure")
    given = request.POST if request.method == "POST" else request.GET
    chosen, found = ChoiceForm(), None
    if given.get("subject", "").strip() or request.method == "POST":
        choice = Choice(given.get("kind", ""), given.get("subject", "").strip(), tuple(given.getlist("labels")))
        chosen = ChoiceForm({"kind": choice.kind, "subject": choice.subject, "labels": list(choice.labels)})
        try:
            found = preview(choice, user)
            chosen.offer(found)
        except Refusal as refusal:
            chosen.refuse(refusal)
    form = AskForm(request.POST or None, initial={"seen": found.digest} if found else None)
    if found and form.is_valid():
        try:
            asked = services.request_erasure(by=user, choice=choice, **form.cleaned_data)
            messages.success(request, "The erasure is asked for. Somebody else now has to approve it.")
            return redirect(asked)
        except Refusal as refusal:
            form.refuse(refusal)
            form.shown_again(found.digest)
    context = {"choice": chosen, "form": form, "found": found}
    return render(request, "audits/erasure_new.html", context, status=form.status if found else chosen.status)


def seen(request: HttpRequest, pk: int) -> Erasure:
    return get_object_or_404(Erasure.objects.visible_to(request.user).with_people(), pk=pk)


@require_GET
def erasure(request: HttpRequest, pk: int) -> HttpResponse:
    user, found = asker(request), seen(request, pk)
    open_for = found.state == Erasure.State.REQUESTED and user.pk != found.requested_by_id
    context = {
        "erasure": found, "subject": showing.subject_of(found), "labels": showing.by_label(found),
        "entries": showing.entries_of(found, user), "holds": showing.in_the_way(found),
        "unsealed": showing.waits_for_seal(found), "copies": showing.copies_of(found),
        "may_decide": open_for and user.has_perm("audits.approve_erasure"),
        "timeline": timeline.of(found, user), **showing.said_of(found),
    }  # fmt: skip
    return render(request, "audits/erasure.html", context)


@require_http_methods(FORM)
def approve(request: HttpRequest, pk: int) -> HttpResponse:
    found = seen(request, pk)
    user = needs(request, "audits.approve_erasure")
    form = ApproveForm(request.POST or None, name=f"erasure {found.pk}")
    if form.is_valid():
        try:
            services.approve(by=user, erasure=found, note=form.cleaned_data["note"])
            messages.success(request, "Approved. It is carried out as soon as this approval is sealed.")
            return redirect(found)
        except Refusal as refusal:
            form.refuse(refusal)
    consequences = [
        f"{found.count} disclosures of {found.entries} entries are deleted with their salts, for good.",
        "The entries stay and still verify: they keep the digests, from which nothing can be guessed.",
        "Exports made before, and backups, may still hold what is erased here.",
    ]
    return confirm(request, found, form, "Approve this erasure?", "Approve erasure", consequences)


@require_http_methods(FORM)
def reject(request: HttpRequest, pk: int) -> HttpResponse:
    found = seen(request, pk)
    user = needs(request, "audits.approve_erasure")
    form = ReasonForm(request.POST or None)
    if form.is_valid():
        try:
            services.reject(by=user, erasure=found, reason=form.cleaned_data["reason"])
            messages.success(request, "Rejected. Nothing is erased.")
            return redirect(found)
        except Refusal as refusal:
            form.refuse(refusal)
    consequences = ["Nothing is erased. The same can be asked for again, with another reason."]
    return confirm(request, found, form, "Reject this erasure?", "Reject erasure", consequences)


def confirm(
    request: HttpRequest, on: Erasure | Hold, form: Any, title: str, act: str, consequences: list[str]
) -> HttpResponse:
    top = ("Erasures", reverse("erasures")) if isinstance(on, Erasure) else ("Legal holds", reverse("holds"))
    context = {"on": on, "form": form, "title": title, "act": act, "consequences": consequences, "top": top}
    return render(request, "audits/erasing_confirm.html", context, status=form.status)


@require_http_methods(FORM)
def new_hold(request: HttpRequest) -> HttpResponse:
    user = needs(request, "audits.manage_legal_hold")
    form = HoldForm(request.POST or None, by=user)
    if form.is_valid():
        given = dict(form.cleaned_data)
        try:
            named, person = given.pop("person").strip(), given["kind"] == Hold.Kind.PERSON
            account = person_of(named, "person") if named and person else None
            placed = services.place_hold(by=user, account=account, **given)
            messages.success(request, "The hold stands. Nothing that it covers can be erased now.")
            return redirect(placed)
        except Refusal as refusal:
            form.refuse(refusal)
    return render(request, "audits/hold_new.html", {"form": form}, status=form.status)


@require_GET
def hold(request: HttpRequest, pk: int) -> HttpResponse:
    user = asker(request)
    found = get_object_or_404(Hold.objects.visible_to(user).with_parts(), pk=pk)
    context = {
        "hold": found, "reason": showing.told(found, "hold.placed", "reason"),
        "lifted": showing.told(found, "hold.lifted", "reason"), "timeline": timeline.of(found, user),
        "may_lift": found.state == "standing" and user.has_perm("audits.manage_legal_hold")
    }  # fmt: skip
    return render(request, "audits/hold.html", context)


@require_http_methods(FORM)
def lift(request: HttpRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(Hold.objects.visible_to(asker(request)).with_parts(), pk=pk)
    user = needs(request, "audits.manage_legal_hold")
    form = ReasonForm(request.POST or None)
    if form.is_valid():
        try:
            services.lift_hold(by=user, hold=found, reason=form.cleaned_data["reason"])
            messages.success(request, "The hold is lifted.")
            return redirect(found)
        except Refusal as refusal:
            form.refuse(refusal)
    consequences = [
        "What it covers can be erased again, unless another hold covers it too.",
        "Erasures that were approved and waited for this hold are carried out within seconds.",
    ]
    return confirm(request, found, form, "Lift this hold?", "Lift hold", consequences)


urlpatterns = [
    path("erasures/", erasures, name="erasures"),
    path("erasures/new/", new, name="erasure-new"),
    path("erasures/<int:pk>/", erasure, name="erasure"),
    path("erasures/<int:pk>/approve/", approve, name="erasure-approve"),
    path("erasures/<int:pk>/reject/", reject, name="erasure-reject"),
    path("holds/", holds, name="holds"),
    path("holds/new/", new_hold, name="hold-new"),
    path("holds/<int:pk>/", hold, name="hold"),
    path("holds/<int:pk>/lift/", lift, name="hold-lift"),
]
