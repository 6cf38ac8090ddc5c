"""The page on which is said what a version was trained on."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import path

from accounts.asking import asker
from registry.forms import RefusableForm
from registry.models import Dataset, Version
from registry.training import services
from registry.views.answers import answered, need
from registry.views.models import form_page
from registry.views.versions import seen


class TrainingForm(RefusableForm):
    datasets = forms.ModelMultipleChoiceField(
        Dataset.objects.none(), label="Trained on", required=False, widget=forms.CheckboxSelectMultiple,
        help_text="Datasets that were registered for training. None chosen takes back what was said before.",
    )  # fmt: skip
    note = forms.CharField(
        max_length=1000, required=False, widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Such as which rows were left out.",
    )  # fmt: skip

    def __init__(self, *args: Any, datasets: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["datasets"].queryset = datasets  # type: ignore[attr-defined]


@form_page
def record(request: HttpRequest, pk: int) -> HttpResponse:
    version = seen(request, pk)
    need(request, "registry.edit_version", version)
    known = Dataset.objects.visible_to(request.user).filter(team=version.team_id, purpose=Dataset.Purpose.TRAINING)
    form = TrainingForm(
        request.POST or None, datasets=known, initial={"datasets": known.filter(pk__in=services.trained_on(version))}
    )

    def act(given: dict[str, Any]) -> Version:
        services.record_training(by=asker(request), version=version, **given)
        return version

    context = {"subject": version, "known": known.exists()}
    return answered(request, "registry/training/record.html", form, act, context)


urlpatterns = [path("versions/<int:pk>/training/", record, name="version-training")]
