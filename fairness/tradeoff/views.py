"""Pages of trade-offs: asking for a report, and comparing the versions that were submitted."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path
from django.views.decorators.http import require_GET, require_http_methods

from accounts.asking import asker
from fairness.tradeoff import services
from fairness.tradeoff.alternatives import alternatives
from fairness.views import about, chosen
from jobs.models import Job
from registry.forms import RefusableForm
from registry.models import Dataset, Model, Version
from registry.views.answers import answered, need

USES = (("no", "No"), ("yes", "Yes: hiring, promotion, or another decision about people's work"))


class TradeOffForm(RefusableForm):
    sensitive = forms.ChoiceField(label="Between the groups of")
    us_employment = forms.ChoiceField(
        choices=USES, widget=forms.RadioSelect, label="Does the model decide about employment in the United States?",
        help_text="There, cut-offs that differ by group are unlawful (42 USC 2000e-2(l)), and are not looked at.",
    )  # fmt: skip

    def __init__(self, *given: Any, dataset: Dataset, **named: Any) -> None:
        super().__init__(*given, **named)
        choices = [(name, name) for name in dataset.with_role("sensitive")]
        self.fields["sensitive"].choices = choices  # type: ignore[attr-defined]


@require_http_methods(["GET", "POST"])
def ask(request: HttpRequest, pk: int) -> HttpResponse:
    rows = Version.objects.visible_to(request.user).select_related("model__team", "artifact")
    version = get_object_or_404(rows, pk=pk)
    need(request, "fairness.request_report", version)
    datasets = list(Dataset.objects.visible_to(request.user).filter(team=version.team_id).select_related("artifact"))
    dataset = chosen(request, datasets)
    context = about(version) | {"datasets": datasets, "dataset": dataset, "lead": str(version)}
    if dataset is None:
        return render(request, "fairness/tradeoff/ask.html", context)
    form = TradeOffForm(request.POST if request.method == "POST" else None, dataset=dataset)

    def act(given: dict[str, Any]) -> Job:
        return services.request_trade_off_report(
            by=asker(request), version=version, dataset=dataset, sensitive=given["sensitive"],
            us_employment=given["us_employment"] == "yes",
        )  # fmt: skip

    return answered(request, "fairness/tradeoff/ask.html", form, act, context)


@require_GET
def versions(request: HttpRequest, pk: int) -> HttpResponse:
    """Less discriminatory alternatives among the versions of a model."""
    rows = Model.objects.visible_to(request.user).select_related("team")
    model = get_object_or_404(rows, pk=pk)
    context = {"model": model, "found": alternatives(model, request.user), "section": "models"}
    return render(request, "fairness/tradeoff/alternatives.html", context)


urlpatterns = [
    path("versions/<int:pk>/trade-offs/new/", ask, name="trade-off-new"),
    path("models/<int:pk>/alternatives/", versions, name="model-alternatives"),
]
