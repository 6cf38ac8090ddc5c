"""Pages of privileged self-tests. Whoever is not named gets what they get for one that does not exist."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.views.decorators.http import require_GET

from accounts.asking import asker
from fairness import views
from fairness.reports import content_of, leaving
from fairness.selftest import services
from fairness.selftest.forms import LiftingForm, NamingForm, SelfTestForm
from fairness.selftest.models import SelfTest
from fairness.tabling import as_csv
from ledger.canonical import canonical
from ledger.refusals import Refusal
from registry.downloads import attachment
from registry.models import Dataset, Evidence, Version
from registry.views.answers import answered, need
from registry.views.models import form_page

CONSEQUENCES = (
    "The report becomes evidence about the version, of the day on which it was computed, and can be attached to "
    "requests.",
    "Where a policy asks for every run, requests that were frozen after that day lack it from now on.",
    "It stands in evidence packs, lists and exports like any other report, and the log names its digest.",
    "This cannot be undone: what was seen stays seen. Whether it waives the privilege of other papers, ask counsel.",
)


def seen(request: HttpRequest, pk: UUID) -> SelfTest:
    test: SelfTest = get_object_or_404(SelfTest.objects.visible_to(request.user).with_parts(), pk=pk)
    return test


def computed(request: HttpRequest, pk: UUID) -> SelfTest:
    """With its report, else 404: there is nothing to take away yet. The copy is recorded."""
    rows = SelfTest.objects.visible_to(request.user).with_parts()
    test: SelfTest = get_object_or_404(rows, pk=pk, published_at__isnull=False)
    services.record_self_test_download(by=asker(request), test=test)
    return test


@require_GET
def self_test(request: HttpRequest, pk: UUID) -> HttpResponse:
    test = seen(request, pk)
    if test.evidence:
        return redirect("report", pk=test.evidence.pk)
    context = views.about(test.version) | {
        "evidence": test, "job": test.job, "lead": views.lead(test) if test.artifact else str(test.version),
        "namings": test.namings.all(), "may_ask": request.user.has_perm("fairness.request_report", test),
        "may_download": request.user.has_perm("registry.download_artifact", test),
    }  # fmt: skip
    if test.artifact:
        context |= views.parts_of(test, content_of(test))
    return render(request, "fairness/selftest/test.html", context)


@require_GET
def content(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """The report's exact bytes."""
    test = computed(request, pk)
    assert test.artifact is not None
    return attachment(test.artifact, test.filename, "application/json")


@require_GET
def document(request: HttpRequest, pk: UUID) -> HttpResponse:
    return views.as_pdf(computed(request, pk))


@require_GET
def public(request: HttpRequest, pk: UUID) -> HttpResponse:
    test = computed(request, pk)
    return views.download(test, canonical(leaving(test)), "-abridged.json", "application/json")


@require_GET
def table(request: HttpRequest, pk: UUID) -> HttpResponse:
    test = computed(request, pk)
    return views.download(test, as_csv(leaving(test)), ".csv", "text/csv; charset=utf-8")


@form_page
def new(request: HttpRequest, pk: int) -> HttpResponse:
    rows = Version.objects.visible_to(request.user).select_related("model__team", "artifact")
    version = get_object_or_404(rows, pk=pk)
    need(request, "fairness.request_report", version)
    theirs = Dataset.objects.visible_to(request.user).filter(team=version.team_id).select_related("artifact")
    datasets = [each for each in theirs if each.labels]
    dataset = views.chosen(request, datasets)
    context: dict[str, Any] = views.about(version) | {"datasets": datasets, "dataset": dataset, "lead": str(version)}
    if dataset is None:
        return render(request, "fairness/selftest/new.html", context)
    form = SelfTestForm(
        request.POST if request.method == "POST" else None, dataset=dataset, asker=asker(request),
        team_id=version.team_id,
    )  # fmt: skip
    if form.is_valid() and (test := asked(request, form, version, dataset)):
        return redirect(test.job)
    return render(request, "fairness/selftest/new.html", context | {"form": form}, status=422 if form.errors else 200)


def asked(request: HttpRequest, form: SelfTestForm, version: Version, dataset: Dataset) -> SelfTest | None:
    """The self-test, or None with the refusal on the form."""
    given = form.cleaned_data
    try:
        return services.request_self_test(
            by=asker(request), version=version, dataset=dataset, source=given["what"], reason=given["reason"],
            people=[person.pk for person in given["people"]], **form.frame(),
        )  # fmt: skip
    except Refusal as refusal:
        form.refuse(refusal)
    return None


@form_page
def people(request: HttpRequest, pk: UUID) -> HttpResponse:
    test = seen(request, pk)
    need(request, "fairness.request_report", test)
    known = [person.pk for person in test.people]
    form = NamingForm(request.POST or None, team_id=test.team_id, known=known)

    def act(given: dict[str, Any]) -> SelfTest:
        chosen = [person.pk for person in given["people"]]
        return services.name_people(by=asker(request), test=test, people=chosen, reason=given["reason"])

    context = views.about(test.version) | {"evidence": test, "namings": test.namings.all()}
    return answered(request, "fairness/selftest/people.html", form, act, context)


@form_page
def lift(request: HttpRequest, pk: UUID) -> HttpResponse:
    test = seen(request, pk)
    need(request, "fairness.request_report", test)

    def act(given: dict[str, Any]) -> Evidence:
        return services.lift_privilege(by=asker(request), test=test, **given)

    context = views.about(test.version) | {"evidence": test, "consequences": CONSEQUENCES}
    return answered(request, "fairness/selftest/lift.html", LiftingForm(request.POST or None), act, context)


urlpatterns = [
    path("versions/<int:pk>/self-tests/new/", new, name="self-test-new"),
    path("self-tests/<uuid:pk>/", self_test, name="self-test"),
    path("self-tests/<uuid:pk>/report.json", content, name="self-test-json"),
    path("self-tests/<uuid:pk>/abridged.json", public, name="self-test-abridged"),
    path("self-tests/<uuid:pk>/report.pdf", document, name="self-test-pdf"),
    path("self-tests/<uuid:pk>/report.csv", table, name="self-test-csv"),
    path("self-tests/<uuid:pk>/people/", people, name="self-test-people"),
    path("self-tests/<uuid:pk>/lift/", lift, name="self-test-lift"),
]
