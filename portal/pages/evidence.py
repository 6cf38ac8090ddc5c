"""The auditor's page: from what has to be shown to the file that shows it."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts.asking import asker
from accounts.models import Team, User
from approvals.models import Finding, ReviewRequest, RiskAcceptance
from audits.exports.needs import ARTICLES, BY_SLUG, NEEDS, Need, articles_for
from audits.exports.selection import Selection
from audits.exports.views import needs_right, team_for
from audits.forms import NeedForm
from audits.models import Export
from audits.services import request_export
from inference.models import Endpoint, InferenceKey
from ledger.refusals import Refusal
from registry.models import Evidence, Model, Version

NEWEST = 5


@require_http_methods(["GET", "POST"])
def evidence(request: HttpRequest) -> HttpResponse:
    user = asker(request)
    needs_right(user)
    slug = request.GET.get("need", "")
    if slug:
        if slug not in BY_SLUG:
            raise Http404("There is no such thing to show.")
        return one(request, user, BY_SLUG[slug])
    rules = [(name, list(articles)) for name, articles in groupby(ARTICLES, key=lambda article: article.framework)]
    context = {
        "needs": [(need, articles_for(need)) for need in NEEDS],
        "rules": [(name, [(article, BY_SLUG[article.need]) for article in articles]) for name, articles in rules],
        "rows": Export.objects.visible_to(user).with_parts()[:NEWEST],
    }
    return render(request, "portal/evidence.html", context)


def one(request: HttpRequest, user: User, need: Need) -> HttpResponse:
    """The form for one thing to be shown."""
    form = NeedForm(
        request.POST or None, need=need, initial={"article": request.GET.get("article", "")},
        models=Model.objects.visible_to(user).order_by("name"), teams=Team.objects.visible_to(user),
    )  # fmt: skip
    if form.is_valid():
        try:
            return redirect(asked(user, need, form))
        except Refusal as refusal:
            form.refuse(refusal)
    return render(request, "portal/evidence_need.html", {"need": need, "form": form}, status=form.status)


def asked(user: User, need: Need, form: NeedForm) -> Export:
    given = form.cleaned_data
    model: Model | None = given.get("model")
    team = team_for(user, model.team if model else given.get("team"))
    selection = Selection(
        filters={**form.filters(), **({"outcome": need.outcome} if need.outcome else {})},
        events=need.events,
        objects=tuple(objects_of(model)) if model else (),
        need=need.slug,
        article=given.get("article", ""),
        about=f"{model.name} ({model.slug})" if model else "",
    )
    return request_export(by=user, account=user, team=team, kind=given["kind"], selection=selection)


def objects_of(model: Model) -> list[tuple[str, str]]:
    """The model and whatever hangs on it, as events name them."""
    rows: list[models.QuerySet[Any]] = [
        Model.objects.filter(pk=model.pk),
        Version.objects.filter(model=model),
        Evidence.objects.filter(version__model=model),
        ReviewRequest.objects.filter(version__model=model),
        Finding.objects.filter(version__model=model),
        RiskAcceptance.objects.filter(version__model=model),
        Endpoint.objects.filter(model=model),
        InferenceKey.objects.filter(scopes__endpoint__model=model).distinct(),
    ]
    return [
        (some.model._meta.label_lower, str(pk))
        for some in rows
        for pk in some.order_by("pk").values_list("pk", flat=True)
    ]
