from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.conf import settings

from accounts.models import User
from approvals.workflow import ENVIRONMENTS
from inference.models import KeyScope
from registry.forms import RefusableForm
from registry.models import Model

NOTHING = "nothing"
OVERLAPS = [
    (0, "no time: it ends now"),
    (1, "1 hour"),
    (24, "a day"),
    (72, "3 days"),
    (168, "a week"),
    (336, "2 weeks"),
]
LIVES = [(7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "a year")]
USUAL_DAYS = 90
PLAIN = {"autocapitalize": "none", "spellcheck": "false", "autocomplete": "off"}


def lives() -> list[tuple[int, str]]:
    """For how many days a key may be issued: the usual spans that are allowed, and the longest."""
    most = settings.INFERENCE_KEY_DAYS
    return [*(each for each in LIVES if each[0] < most), (most, dict(LIVES).get(most, f"{most:,} days"))]


class EndpointForm(RefusableForm):
    model = forms.ModelChoiceField(Model.objects.none(), empty_label="Choose")
    name = forms.CharField(
        max_length=60, widget=forms.TextInput(attrs=PLAIN),
        help_text="Part of its address for good: small letters, digits and dashes, such as mortgage-screening.",
    )  # fmt: skip
    environment = forms.ChoiceField(choices=[("", "Choose"), *((name, name.capitalize()) for name in ENVIRONMENTS)])
    use = forms.CharField(
        max_length=60, label="Intended use", widget=forms.TextInput(attrs=PLAIN),
        help_text="Written as in the request for approval: an approval is for one use in one environment.",
    )  # fmt: skip

    def __init__(self, *args: Any, models: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["model"].queryset = models  # type: ignore[attr-defined]


class BindForm(RefusableForm):
    """`offered` are pairs of a version's id and what the gate says of it."""

    version = forms.ChoiceField(label="Version to serve", widget=forms.RadioSelect)

    def __init__(self, *args: Any, offered: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        none = (NOTHING, "Nothing: the endpoint answers nobody until it is bound again.")
        self.fields["version"].choices = [*offered, none]  # type: ignore[attr-defined]

    def clean_version(self) -> int | None:
        chosen: str = self.cleaned_data["version"]
        return None if chosen == NOTHING else int(chosen)


class KeyForm(RefusableForm):
    name = forms.CharField(max_length=80, help_text="Where it will be used, such as “loan desk, batch at night”.")
    holder = forms.ModelChoiceField(
        User.objects.none(), label="Held by", empty_label=None,
        help_text="Who will use it: you, or a service account of the team. It ends with their account.",
    )  # fmt: skip
    actions = forms.MultipleChoiceField(
        label="What it may do", choices=KeyScope.Action.choices, widget=forms.CheckboxSelectMultiple,
        initial=["metadata", "infer"], help_text="At this endpoint alone.",
    )  # fmt: skip
    days = forms.TypedChoiceField(
        coerce=int, label="Ends after", choices=lives, initial=lambda: min(USUAL_DAYS, settings.INFERENCE_KEY_DAYS)
    )
    rate_per_minute = forms.IntegerField(
        label="Requests a minute", initial=600, help_text="More than these are refused with a time to wait."
    )
    quota_per_day = forms.IntegerField(
        label="Requests a day", required=False, help_text="Days of UTC. Left empty, only the minutes count."
    )
    networks = forms.CharField(
        label="May be sent from", required=False, max_length=3000, widget=forms.Textarea(attrs={"rows": 2, **PLAIN}),
        help_text="Networks such as 192.0.2.0/24, one a line. Left empty, it may be sent from anywhere.",
    )  # fmt: skip
    reason = forms.CharField(
        max_length=500, label="Why", widget=forms.Textarea(attrs={"rows": 2}), help_text="Kept in the audit log."
    )
    ticket = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)

    def clean_networks(self) -> list[str]:
        given: str = self.cleaned_data["networks"]
        return given.replace(",", " ").split()

    def __init__(self, *args: Any, holders: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["holder"].queryset = holders  # type: ignore[attr-defined]


class RotateKeyForm(RefusableForm):
    hours = forms.TypedChoiceField(
        coerce=int, label="The old key goes on for", choices=OVERLAPS, initial=24,
        help_text="Long enough to put the new one everywhere; both work meanwhile.",
    )  # fmt: skip
    reason = forms.CharField(
        max_length=500, label="Why", widget=forms.Textarea(attrs={"rows": 2}), help_text="Kept in the audit log."
    )
    ticket = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)


class RevokeKeyForm(RefusableForm):
    reason = forms.CharField(
        max_length=500, label="Why", widget=forms.Textarea(attrs={"rows": 2}), help_text="Kept in the audit log."
    )
