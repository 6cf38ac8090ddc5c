"""Pages of the calculations of a bias audit: asking for them, and taking the summary along as a PDF."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path
from django.views.decorators.http import require_GET, require_http_methods

from accounts.asking import asker
from fairness.ll144 import paper, services
from fairness.ll144.forms import AuditForm, ColumnsForm, column_like
from fairness.reports import content_of, visible_report
from fairness.services import LL144
from fairness.views import about, chosen
from jobs.models import Job
from registry.models import Dataset, Version
from registry.views.answers import answered, need


@require_http_methods(["GET", "POST"])
def ask(request: HttpRequest, pk: int) -> HttpResponse:
    rows = Version.objects.visible_to(request.user).select_related("model__team", "artifact")
    version = get_object_or_404(rows, pk=pk)
    need(request, "fairness.request_report", version)
    datasets = [
        dataset
        for dataset in Dataset.objects.visible_to(request.user).filter(team=version.team_id).select_related("artifact")
        if len(dataset.with_role("sensitive")) > 1
    ]
    dataset = chosen(request, datasets)
    context = about(version) | {"datasets": datasets, "dataset": dataset, "lead": str(version)}
    if dataset is None:
        return render(request, "fairness/ll144/ask.html", context)
    given = columns_of(request, dataset)
    columns = ColumnsForm(given if all(given.values()) else None, dataset=dataset, initial=given)
    context |= {"columns": columns}
    if not columns.is_valid():
        return render(request, "fairness/ll144/ask.html", context)
    sex, race = columns.cleaned_data["sex"], columns.cleaned_data["race"]
    form = AuditForm(request.POST if request.method == "POST" else None, dataset=dataset, sex=sex, race=race)

    def act(given: dict[str, Any]) -> Job:
        return services.request_ll144_audit(
            by=asker(request), version=version, dataset=dataset, sex=sex, race=race, **form.wanted()
        )

    return answered(request, "fairness/ll144/ask.html", form, act, context)


def columns_of(request: HttpRequest, dataset: Dataset) -> dict[str, str]:
    """The columns that the address names, else those whose names say what they hold."""
    return {kind: request.GET.get(kind) or column_like(dataset, kind) for kind in ("sex", "race")}


@require_GET
def summary(request: HttpRequest, pk: int) -> FileResponse:
    """The summary to publish, as a PDF. A law demands it in full, so that no category is held back as small."""
    evidence = visible_report(request.user, pk)
    if evidence.kind != LL144:
        raise Http404
    made = paper.summary(
        content_of(evidence), title="Bias audit: summary of results", subject=str(evidence.version),
        dataset=str(evidence.dataset), digest=evidence.artifact.digest,
    )  # fmt: skip
    name = f"{evidence.filename.removesuffix('.json')}.pdf"
    return FileResponse(BytesIO(made), as_attachment=True, filename=name, content_type="application/pdf")


urlpatterns = [
    path("versions/<int:pk>/ll144/new/", ask, name="ll144-new"),
    path("reports/<int:pk>/ll144.pdf", summary, name="ll144-summary"),
]
