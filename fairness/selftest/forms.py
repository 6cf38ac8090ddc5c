from __future__ import annotations

from typing import Any

from django import forms

from accounts.models import User
from fairness.forms import WHAT, ReportForm
from fairness.selftest.services import MOST_WORDS
from registry.forms import RefusableForm
from registry.people import of_team

ONLY = "Only these people will see it, whatever their roles: nobody can be taken off the list again."


def people_field(team_id: int, known: list[int]) -> forms.ModelMultipleChoiceField[User]:
    return forms.ModelMultipleChoiceField(
        of_team(team_id).exclude(pk__in=known), label="Who may see it", required=False, help_text=ONLY,
        widget=forms.CheckboxSelectMultiple,
    )  # fmt: skip


def reason_field(words: str) -> forms.CharField:
    return forms.CharField(
        max_length=MOST_WORDS, label="Reason", widget=forms.Textarea(attrs={"rows": 3}), help_text=words
    )


class SelfTestForm(ReportForm):
    """A bias report's form, with whom it is for and why."""

    def __init__(self, *given: Any, asker: User, team_id: int, **named: Any) -> None:
        super().__init__(*given, **named)
        del self.fields["baseline"]
        what = self.fields["what"]
        assert isinstance(what, forms.ChoiceField)
        what.choices = [each for each in WHAT if each[0] != "explanation"]
        self.fields["people"] = people_field(team_id, [asker.pk])
        self.fields["reason"] = reason_field("What is tested and at whose direction, for whoever sees it later.")


class NamingForm(RefusableForm):
    def __init__(self, *given: Any, team_id: int, known: list[int], **named: Any) -> None:
        super().__init__(*given, **named)
        self.fields["people"] = people_field(team_id, known)
        self.fields["reason"] = reason_field("Why they have to see it.")


class LiftingForm(RefusableForm):
    reason = reason_field("Who decided it, and why.")
    confirmed = forms.BooleanField(
        label="Everybody whose role lets them see the version may see this report from now on", required=False
    )
