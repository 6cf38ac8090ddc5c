"""The form of a record of processing. What is right the service decides; here is only shape."""

from __future__ import annotations

from typing import Any

from django import forms

from accounts.models import User
from registry.forms import RefusableForm
from registry.processing.rules import BASES, CONDITIONS, LONGEST_DAYS, OPEN_TO


class ProcessingForm(RefusableForm):
    before = forms.IntegerField(widget=forms.HiddenInput)
    basis = forms.ChoiceField(label="Lawful basis", choices=[("", "Choose one"), *BASES.items()])
    condition = forms.ChoiceField(
        label="Condition for special categories", choices=[("", "Choose one"), *CONDITIONS.items()], required=False,
        help_text="Health, ethnic origin, religion, orientation and the like, where the dataset holds them.",
    )  # fmt: skip
    keep_until = forms.DateField(
        label="Kept until", required=False, widget=forms.DateInput(attrs={"type": "date"}),
        help_text="The last day. The rows are deleted when it is over, unless a legal hold covers them.",
    )  # fmt: skip
    keep_days = forms.IntegerField(
        label="Or kept for days", min_value=1, max_value=LONGEST_DAYS, required=False,
        help_text="Counted from the dataset's registration.",
    )  # fmt: skip
    phi = forms.BooleanField(label="Holds protected health information", required=False)
    open_to = forms.ChoiceField(label="Who may open rows", choices=list(OPEN_TO.items()), widget=forms.RadioSelect)
    readers = forms.ModelMultipleChoiceField(
        User.objects.none(), label="People named", required=False, widget=forms.CheckboxSelectMultiple,
        help_text="Only people who may open rows in the team can be named.",
    )  # fmt: skip
    note = forms.CharField(
        label="Why", max_length=1000, widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What this rests on: the assessment, the contract, the schedule.",
    )  # fmt: skip

    def __init__(self, *args: Any, people: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["readers"].queryset = people  # type: ignore[attr-defined]
