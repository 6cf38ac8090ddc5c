from __future__ import annotations

from typing import Any

from django import forms

from accounts.catalogue import PERMISSIONS
from accounts.forms import ReasonForm, day_field
from accounts.models import Role, Team, User
from ledger.refusals import Refusal

HOUSE = "house"


class GrantForm(ReasonForm):
    role = forms.ModelChoiceField(Role.objects.all(), label="Role", empty_label="Choose")
    # No team is preset: a role for the whole house is given on purpose or not at all.
    team = forms.ChoiceField(label="For", help_text="One team where it will do.")
    expires_on = day_field("Last day", required=False, help_text="Empty for a grant that does not end by itself.")
    accept_conflict = forms.BooleanField(
        required=False, widget=forms.HiddenInput, label="This is meant: one account may do both"
    )
    conflict_reason = forms.CharField(
        max_length=500, required=False, widget=forms.HiddenInput, label="Why one account may do both",
        help_text="Shown wherever the grant is, and kept in the audit log.",
    )  # fmt: skip
    field_order = ("role", "team", "reason", "expires_on", "accept_conflict", "conflict_reason")

    def __init__(self, *args: Any, by: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        scope = by.scope("accounts.grant_role")
        self.teams = {str(team.pk): team for team in Team.objects.filter(scope.q("pk"))}
        house = [(HOUSE, "the whole house")] if scope.everywhere else []
        named = [(key, f"team {team.name}") for key, team in self.teams.items()]
        self.fields["team"].choices = [("", "Choose"), *named, *house]  # type: ignore[attr-defined]

    def clean_team(self) -> Team | None:
        return self.teams.get(self.cleaned_data["team"])

    def refuse(self, refusal: Refusal) -> None:
        if refusal.code in ("role_conflict", "conflict_reason_needed"):
            self.fields["accept_conflict"].widget = forms.CheckboxInput()
            self.fields["conflict_reason"].widget = forms.Textarea(attrs={"rows": 2})
            self.fields["conflict_reason"].required = True
        field = "expires_on" if refusal.field == "expires_at" else refusal.field
        super().refuse(Refusal(refusal.code, refusal.sentence, field))


class HoldersForm(forms.Form):
    """Which permission, and for which team: kept in the address, so that an answer can be handed on."""

    permission = forms.ChoiceField(required=False, label="May")
    team = forms.ModelChoiceField(Team.objects.none(), required=False, label="For", empty_label="anywhere")

    def __init__(self, *args: Any, by: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        words = [(name, f"{sentence} ({name})") for name, sentence in PERMISSIONS.items()]
        self.fields["permission"].choices = [("", "anything"), *words]  # type: ignore[attr-defined]
        self.fields["team"].queryset = Team.objects.visible_to(by)  # type: ignore[attr-defined]
