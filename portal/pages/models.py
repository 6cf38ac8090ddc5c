"""One model, and one version: registry, gate, reports, endpoints and log on one page each."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from accounts.asking import asker
from accounts.models import User
from approvals.findings import showing as about
from approvals.models import ReviewRequest
from audits import asof, timeline
from inference.models import Endpoint
from jobs.models import Job
from ledger.events import database_time
from portal.pages import then
from portal.pages.feeders import feeding
from portal.pages.standing import best, prospect, stands_of
from registry import cards, comparing
from registry.attesting.services import this_year
from registry.models import Model, Version
from registry.training.services import trained_on
from registry.views.versions import tensors_of

TABS = ("overview", "evidence", "approvals", "serving", "history")


@require_GET
def model(request: HttpRequest, pk: int) -> HttpResponse:
    viewer = asker(request)
    rows = Model.objects.visible_to(viewer).select_related("team", "owner", "risk_tier_set_by")
    found: Model = get_object_or_404(rows, pk=pk)
    if at := asof.asked(request.GET):
        return render(request, "portal/model.html", then.model(found, viewer, at))
    versions = list(versions_of(found))
    stands = stands_of(versions, viewer)
    context = {
        "model": found,
        "versions": [(version, stands.get(version.pk, [])) for version in versions],
        "stands": best([stand for each in stands.values() for stand in each]),
        "endpoints": Endpoint.objects.visible_to(viewer).filter(model=found).select_related("version"),
        "timeline": timeline.of(found, viewer, *found.imports.all()),
        "may": may(viewer, found, "register_version", "edit_model", "set_risk_tier"),
        "feeding": feeding(found, viewer),
        "own": viewer.pk == found.owner_id,
        "attested": found.attestations.select_related("attested_by").first(),
        "year": this_year(),
    }
    return render(request, "portal/model.html", context)


def versions_of(model: Model) -> Any:
    standing = Count("evidence", filter=Q(evidence__withdrawn_at=None))
    return (
        model.versions.select_related("model", "artifact", "registered_by")
        .annotate(documents=standing)
        .order_by("-number")
    )


def may(viewer: User, on: Model | Version, *verbs: str) -> dict[str, bool]:
    """Which acts to offer; each act asks again."""
    return {verb: viewer.has_perm(f"registry.{verb}", on) for verb in verbs}


@require_GET
def version(request: HttpRequest, pk: int) -> HttpResponse:
    viewer = asker(request)
    rows = Version.objects.visible_to(viewer).select_related("model__team", "artifact", "registered_by", "pins")
    found: Version = get_object_or_404(rows.prefetch_related("contributors"), pk=pk)
    if at := asof.asked(request.GET):
        return render(request, "portal/version.html", then.version(found, viewer, at, request.GET.get("tab", "")))
    tab = request.GET.get("tab", "")
    context = head_of(found, viewer)
    context["tab"] = tab if tab in TABS else TABS[0]
    context["tabs"] = tabs_of(found, context)
    context |= {"overview": overview, "approvals": approvals, "history": history}.get(context["tab"], nothing_more)(
        found, viewer
    )
    return render(request, "portal/version.html", context)


def head_of(version: Version, viewer: User) -> dict[str, Any]:
    """What every tab needs, for the gate above the tabs and their counts."""
    stands = stands_of([version], viewer).get(version.pk, [])
    return {
        "subject": version,
        "model": version.model,
        "stands": stands,
        "prospect": [] if stands else prospect(version),
        "evidence": version.evidence.select_related("produced_by", "dataset"),
        "requests": ReviewRequest.objects.visible_to(viewer).filter(version=version).select_related("submitted_by"),
        "endpoints": Endpoint.objects.visible_to(viewer).filter(version=version),
        "jobs": Job.objects.visible_to(viewer)
        .filter(subject_url=version.get_absolute_url())
        .exclude(state="succeeded"),
        "others": version.model.versions.exclude(pk=version.pk),
        "may": may(viewer, version, "edit_version", "attach_evidence", "download_artifact"),
        "may_report": viewer.has_perm("fairness.request_report", version),
        "may_ask": viewer.has_perm("approvals.submit_request", version),
        "contributors": version.contributors.all(),
        "contributed": any(person.pk == viewer.pk for person in version.contributors.all()),
    }


def tabs_of(version: Version, context: dict[str, Any]) -> list[dict[str, Any]]:
    counts = {"evidence": "evidence", "approvals": "requests", "serving": "endpoints"}
    return [
        {
            "key": key,
            "label": key.capitalize(),
            "url": version.get_absolute_url() + ("" if key == TABS[0] else f"?tab={key}"),
            "count": context[counts[key]].count() if key in counts else None,
        }
        for key in TABS
    ]


def overview(version: Version, viewer: User) -> dict[str, Any]:
    return {
        "card": cards.rendered(version.card),
        "trained_on": trained_on(version),
        "rule": comparing.rule_in_words(version.decision_rule),
        "tensors": tensors_of(version.signature),
        "features_note": f"{len(version.features)} in the order in which the model takes them",
    }


def approvals(version: Version, viewer: User) -> dict[str, Any]:
    may_raise = viewer.has_perm("approvals.raise_finding", version)
    return {**about.of_version(version, database_time()), "may_raise": may_raise}


def history(version: Version, viewer: User) -> dict[str, Any]:
    about = [*version.evidence.all(), *version.requests.all()]
    return {"timeline": timeline.of(version, viewer, *about)}


def nothing_more(version: Version, viewer: User) -> dict[str, Any]:
    return {}
