from __future__ import annotations

from typing import Any

from django import forms

from accounts.models import User
from registry.forms import RefusableForm
from registry.people import of_team


class OptionalJSON(forms.JSONField):
    """Empty where there is nothing, not the word null."""

    def prepare_value(self, value: Any) -> Any:
        return "" if value is None else super().prepare_value(value)


class PinnedForm(RefusableForm):
    """What can be pinned of a model that runs elsewhere."""

    paths = {"contributors.0": "contributors"}
    provider = forms.CharField(max_length=120, help_text="Who runs it, such as the vendor's name.")
    upstream_version = forms.CharField(
        label="Model version that the upstream reports", max_length=200, required=False,
        help_text="Exactly as its API says it, such as score-2026-03.",
    )  # fmt: skip
    image = forms.CharField(
        label="Digest of the image", max_length=71, required=False, help_text="If you run it from one: sha256:…"
    )
    configuration = forms.CharField(
        max_length=50_000,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false"}),
        help_text="Everything that you send or set and that changes its answers: parameters, prompts, and from which "
        "answer on it is a yes. No secrets: its text is kept and shown.",
    )
    contract = forms.CharField(
        label="Digest of the contract", max_length=71, required=False,
        help_text="What sha256sum says of the file, written as sha256:…",
    )  # fmt: skip
    ask_url = forms.CharField(
        label="Address that says which model version runs", max_length=500, required=False,
        help_text="Asked every hour without a password. If the answer differs, approvals stop holding.",
    )  # fmt: skip
    ask_field = forms.CharField(
        label="Where in its JSON answer", max_length=200, required=False, help_text="Such as model.version."
    )
    interface = OptionalJSON(
        required=False, widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false"}),
        help_text="As JSON, only if an endpoint is to serve it: inputs and outputs, each with name, datatype and "
        "shape, the decision_rule, and features where the columns have names. It is signed with the pins.",
    )  # fmt: skip
    contributors = forms.ModelMultipleChoiceField(
        User.objects.none(), widget=forms.CheckboxSelectMultiple,
        help_text="Everybody who chose or configured it, you included. None of them may sign for it.",
    )  # fmt: skip
    notes = forms.CharField(max_length=4000, required=False, widget=forms.Textarea(attrs={"rows": 3}))
    card = forms.CharField(
        label="Model card", max_length=100_000, required=False, widget=forms.Textarea(attrs={"rows": 16}),
        help_text="Markdown",
    )  # fmt: skip

    def __init__(self, *args: Any, team_id: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["contributors"].queryset = of_team(team_id)  # type: ignore[attr-defined]
