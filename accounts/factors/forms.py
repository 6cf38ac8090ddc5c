from __future__ import annotations

from typing import Any

from django import forms

from accounts.factors.passkeys import LONGEST
from accounts.forms import ActForm, password_field

TYPED = {"autocomplete": "one-time-code", "autocapitalize": "none", "spellcheck": "false"}
# What need not be filled in where a passkey answers.
INSTEAD = {"data-instead": ""}
NAMED = "By which you will know it, such as “work phone”."


def code_field(label: str, help_text: str, **attributes: str) -> forms.CharField:
    widget = forms.TextInput(attrs={**TYPED, **attributes})
    return forms.CharField(label=label, help_text=help_text, max_length=30, widget=widget)


class Forgetful(forms.HiddenInput):
    """A hidden field that is never filled in by the server: an answer that was sent is not sent again."""

    def format_value(self, value: Any) -> None:
        return None


def hidden(most: int) -> forms.CharField:
    return forms.CharField(required=False, max_length=most, widget=Forgetful)


def carry(form: forms.Form, **values: str) -> None:
    """Let a form be shown with these values, whatever was sent."""
    if form.is_bound:
        form.data = {**form.data.dict(), **values}  # type: ignore[attr-defined]
    form.initial.update(values)


class PasskeyForm(ActForm):
    """What static/passkeys.js fills in: the passkey's answer. Fields marked INSTEAD may then be empty."""

    passkey = hidden(LONGEST)
    ticket = forms.CharField(required=False, max_length=2000, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if "data-instead" in field.widget.attrs and self.data.get("passkey"):
                field.required = False

    def carry(self, ticket: str) -> None:
        """Show the form with this ticket."""
        carry(self, ticket=ticket)


class SecondForm(PasskeyForm):
    code = code_field(
        "Code", "The one that your authenticator app shows now, or one of your recovery codes.", **INSTEAD
    )


class NewPasskeyForm(PasskeyForm):
    name = forms.CharField(max_length=80, label="Name", help_text=NAMED)
    password = password_field("Your password", "current-password")

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if not self.errors and not given.get("passkey"):
            self.add_error(None, "Your browser did not make a passkey: it has none, or JavaScript is off. See below.")
        return given


class NewAppForm(ActForm):
    name = forms.CharField(max_length=80, label="Name", help_text=NAMED)
    code = code_field("Code", "The six digits that the app shows once it has taken the secret.")
    password = password_field("Your password", "current-password")
    offered = forms.CharField(max_length=1000, widget=forms.HiddenInput)

    def carry(self, offered: str) -> None:
        """Show the form with this secret on offer."""
        carry(self, offered=offered)


class PasswordForm(ActForm):
    password = password_field("Your password", "current-password")
