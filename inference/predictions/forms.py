from __future__ import annotations

from django import forms

from inference.predictions.rules import LEVELS, LONGEST_DAYS, MODES
from registry.forms import RefusableForm


class LogForm(RefusableForm):
    level = forms.ChoiceField(
        label="What is kept of inputs and outputs", choices=list(LEVELS.items()), widget=forms.RadioSelect,
        help_text="A digest proves which body was sent. Where inputs have few possible values it can be guessed.",
    )  # fmt: skip
    sample = forms.IntegerField(
        label="Share of the sample in percent", min_value=1, max_value=99,
        help_text="Counts only where a share is kept.",
    )  # fmt: skip
    mode = forms.ChoiceField(label="When an answer leaves", choices=list(MODES.items()), widget=forms.RadioSelect)
    days = forms.IntegerField(
        label="Kept for days", min_value=1, max_value=LONGEST_DAYS,
        help_text="Older rows are deleted once an hour, unless a legal hold covers them.",
    )  # fmt: skip
    reason = forms.CharField(
        max_length=500, label="Why", widget=forms.Textarea(attrs={"rows": 2}), help_text="Kept in the audit log."
    )
