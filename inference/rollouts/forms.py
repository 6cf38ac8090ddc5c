from __future__ import annotations

from typing import Any

from django import forms

from inference.rollouts.models import Rollout
from registry.forms import RefusableForm

WHY = forms.Textarea(attrs={"rows": 2})


class RolloutForm(RefusableForm):
    """`offered` are pairs of a version's id and what the gate says of it."""

    version = forms.ChoiceField(label="Version to try", widget=forms.RadioSelect)
    kind = forms.ChoiceField(
        label="How", widget=forms.RadioSelect, initial=Rollout.Kind.SHADOW,
        choices=[
            (Rollout.Kind.SHADOW, "Shadow: answers no request; what it would have said is compared"),
            (Rollout.Kind.CANARY, "Canary: answers a share of the requests"),
        ],
    )  # fmt: skip
    share = forms.IntegerField(
        min_value=1, max_value=99, required=False, initial=5, label="Share of a canary, in per cent",
        help_text="Which requests it answers is left to chance.",
    )  # fmt: skip

    def __init__(self, *args: Any, offered: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["version"].choices = offered  # type: ignore[attr-defined]

    def clean_share(self) -> int:
        return self.cleaned_data["share"] or 0


class ShareForm(RefusableForm):
    share = forms.IntegerField(min_value=1, max_value=99, label="Share, in per cent")


class WithdrawForm(RefusableForm):
    reason = forms.CharField(max_length=500, label="Why", widget=WHY, help_text="Kept in the audit log.")


class PromoteForm(RefusableForm):
    """Nothing to fill in: sending it is the act."""
