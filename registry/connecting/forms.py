from __future__ import annotations

from typing import Any

from django import forms

from accounts.models import Team
from registry.forms import RefusableForm


class ConnectForm(RefusableForm):
    """Where the rows are. The address holds a password, so that what was typed is never sent back."""

    team = forms.ModelChoiceField(Team.objects.none(), empty_label=None)
    url = forms.CharField(
        label="Address", max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="As in postgresql://user:password@host:5432/database. Take a user that may only read what is named "
        "below. User and password are kept encrypted and never shown.",
    )  # fmt: skip
    table = forms.CharField(
        label="Table or view", max_length=200, required=False, widget=forms.TextInput(attrs={"spellcheck": "false"}),
        help_text="With its schema, such as lending.loans.",
    )  # fmt: skip
    query = forms.CharField(
        label="Or a query", max_length=10_000, required=False,
        widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false"}),
        help_text="One SELECT that names the rows and columns. Everybody who sees the dataset sees it.",
    )  # fmt: skip
    snapshot = forms.CharField(
        max_length=200, required=False,
        help_text="What the database's owner calls this state of the rows, if it has a name.",
    )  # fmt: skip

    def __init__(self, *args: Any, teams: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["team"].queryset = teams  # type: ignore[attr-defined]


class SecretForm(RefusableForm):
    user = forms.CharField(max_length=200, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    password = forms.CharField(
        max_length=500, strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
    )
