from __future__ import annotations

from typing import Any

import django_filters
from django import forms

from inference.keyrequests.models import KeyRequest, KeyRequestQuerySet
from inference.keyrequests.rules import KEY_REQUEST_STATES, KEY_RULES, NEVER
from inference.models import Endpoint
from ledger.events import database_time
from registry.forms import RefusableForm

REQUEST_STATES = [(state, state.capitalize()) for state in KEY_REQUEST_STATES]


class KeyRequestFilter(django_filters.FilterSet):  # type: ignore[misc]
    """The same on the page and in the API."""

    state = django_filters.ChoiceFilter(
        choices=REQUEST_STATES,
        method="stand",
        help_text="How it stands now: lapsed is neither decided nor taken in time",
    )
    endpoint = django_filters.NumberFilter(help_text="An endpoint's id")
    asked_by = django_filters.NumberFilter(help_text="An account's id")

    class Meta:
        model = KeyRequest
        fields = ["state", "endpoint", "asked_by"]

    def stand(self, requests: KeyRequestQuerySet, name: str, state: str) -> KeyRequestQuerySet:
        return requests.in_state(state, database_time())


class AnswerForm(RefusableForm):
    reason = forms.CharField(
        max_length=500, label="Why", widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Shown with the request, and kept in the audit log.",
    )  # fmt: skip


class KeyRuleForm(RefusableForm):
    rule = forms.ChoiceField(
        label="Keys take two people", choices=list(KEY_RULES.items()), widget=forms.RadioSelect,
        help_text="A model whose tier nobody set counts as one of the highest. Keys that are there stay as they are.",
    )  # fmt: skip
    reason = forms.CharField(
        max_length=500, label="Why", widget=forms.Textarea(attrs={"rows": 2}), help_text="Kept in the audit log."
    )

    def __init__(self, *args: Any, endpoint: Endpoint, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not endpoint.high_risk and endpoint.key_rule != NEVER:  # there is nothing to make an exception of
            choices = [each for each in KEY_RULES.items() if each[0] != NEVER]
            self.fields["rule"].choices = choices  # type: ignore[attr-defined]
