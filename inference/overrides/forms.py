from __future__ import annotations

import uuid
from typing import Any

import django_filters
from django import forms

from approvals.workflow import ENVIRONMENTS
from inference.overrides.models import SHORT, WORDS, Override
from registry.forms import RefusableForm
from registry.models import Version

SENT = ("environment", "version", "decided_at", "output", "decision", "reason", "words")
PLACES = [(name, name.capitalize()) for name in ENVIRONMENTS]


class OverrideFilter(django_filters.FilterSet):  # type: ignore[misc]
    """The same on the page, in its file and in the API."""

    environment = django_filters.ChoiceFilter(choices=PLACES, label="Environment")
    reason = django_filters.ChoiceFilter(choices=Override.Reason.choices, label="Reason")
    since = django_filters.DateFilter(field_name="decided_at", lookup_expr="date__gte", label="From this day on")
    until = django_filters.DateFilter(field_name="decided_at", lookup_expr="date__lte", label="Until this day")

    class Meta:
        model = Override
        fields = ["environment", "reason", "since", "until"]


class OverrideForm(RefusableForm):
    paths = {f"rows.0.{name}": name for name in SENT}
    environment = forms.ChoiceField(choices=PLACES, initial="production")
    version = forms.ModelChoiceField(Version.objects.none(), required=False, empty_label="Not known")
    decided_at = forms.DateTimeField(
        label="Decided at (UTC)", widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    )
    output = forms.CharField(label="The model said", max_length=SHORT, help_text="Such as decline, or 0.31.")
    decision = forms.CharField(label="Decided instead", max_length=SHORT, help_text="Such as approve.")
    reason = forms.ChoiceField(choices=Override.Reason.choices)
    words = forms.CharField(
        label="In words", max_length=WORDS, widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Why, without names or other data of the person it is about.",
    )  # fmt: skip
    # The form sent twice records once.
    reference = forms.CharField(max_length=80, widget=forms.HiddenInput)

    def __init__(self, *args: Any, versions: Any, **kwargs: Any) -> None:
        kwargs["initial"] = {"reference": f"page-{uuid.uuid4()}"}
        super().__init__(*args, **kwargs)
        self.fields["version"].queryset = versions  # type: ignore[attr-defined]

    def row(self) -> dict[str, Any]:
        """What the service takes."""
        version = self.cleaned_data["version"]
        return {**self.cleaned_data, "version": version.pk if version else None}


class TotalForm(RefusableForm):
    environment = forms.ChoiceField(choices=PLACES, initial="production")
    month = forms.DateField(
        input_formats=["%Y-%m", "%Y-%m-%d"], widget=forms.DateInput(attrs={"type": "month"}, format="%Y-%m"),
        help_text="Such as 2026-11.",
    )  # fmt: skip
    decisions = forms.IntegerField(
        min_value=1, max_value=10**12, label="Decisions",
        help_text="All in which the model took part, overridden ones included.",
    )  # fmt: skip
