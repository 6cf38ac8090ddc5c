"""What a population is asked for with."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from django import forms

from accounts.models import Team
from approvals.findings.forms import day
from approvals.populations.listing import KINDS
from approvals.populations.services import LARGEST_SAMPLE, LONGEST_SEED, Terms
from ledger.events import database_time
from ledger.refusals import Refusal


class PopulationForm(forms.Form):
    kind = forms.ChoiceField(
        label="All of these", choices=[(kind.slug, f"{kind.word}, by when {kind.when}") for kind in KINDS.values()]
    )
    first = day(label="First day", help_text="UTC, included.")
    last = day(label="Last day", help_text="UTC, included.")
    team: Any = forms.ModelChoiceField(Team.objects.none(), required=False, empty_label="the whole house")
    sample = forms.IntegerField(
        required=False, min_value=0, max_value=LARGEST_SAMPLE, label="Size of the sample",
        help_text="Left empty, none is drawn.",
    )  # fmt: skip
    seed = forms.CharField(
        required=False, max_length=LONGEST_SEED,
        help_text="Left empty, one is drawn and shown. With the same seed the same sample comes again.",
    )  # fmt: skip

    def __init__(self, *args: Any, teams: Any, **kwargs: Any) -> None:
        today = database_time().date()
        first = {"first": today - timedelta(days=365), "last": today, "kind": "decisions", "sample": 25}
        super().__init__(*args, **{**kwargs, "initial": first})
        self.fields["team"].queryset = teams  # type: ignore[attr-defined]

    @property
    def lacks_seed(self) -> bool:
        return bool(self.cleaned_data["sample"]) and not self.cleaned_data["seed"]

    @property
    def terms(self) -> Terms:
        data = self.cleaned_data
        return Terms(data["kind"], data["first"], data["last"], data["team"], data["sample"] or 0, data["seed"])

    def refuse(self, refusal: Refusal) -> None:
        self.add_error(refusal.field if refusal.field in self.fields else None, refusal.sentence)


def fresh_seed() -> str:
    return secrets.token_hex(8)
