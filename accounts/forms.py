from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms

from accounts.catalogue import EVERYBODY, PERMISSIONS
from accounts.models import Team, User
from ledger.refusals import Refusal

LONG = "At least 12 characters; several words are easy to keep in mind."
PASSWORD = 1024  # more would only be work for the hash


class ActForm(forms.Form):
    """A form that asks for an act. What the act refuses is shown like any other mistake, beside what was typed."""

    status = 200

    def refuse(self, refusal: Refusal) -> None:
        self.add_error(refusal.field if refusal.field in self.fields else None, refusal.sentence)
        self.status = 422 if refusal.field else 409

    def is_valid(self) -> bool:
        valid = super().is_valid()
        self.status = 422 if self.is_bound and not valid else 200
        return valid


def password_field(label: str, autocomplete: str, **more: Any) -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": autocomplete})
    return forms.CharField(label=label, strip=False, max_length=PASSWORD, widget=widget, **more)


class SignInForm(ActForm):
    email = forms.EmailField(label="Mail address", widget=forms.EmailInput(attrs={"autocomplete": "username"}))
    password = password_field("Password", "current-password")
    next = forms.CharField(required=False, widget=forms.HiddenInput)


class NewPasswordForm(ActForm):
    new_password = password_field("New password", "new-password", help_text=LONG)
    again = password_field("New password again", "new-password")

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if given.get("again") is not None and given.get("new_password") != given["again"]:
            self.add_error("again", "The two are not the same. Type the new password again.")
        return given


class ChangePasswordForm(NewPasswordForm):
    old_password = password_field("Password now", "current-password")
    field_order = ("old_password", "new_password", "again")


class TokenForm(ActForm):
    name = forms.CharField(max_length=80, label="Name", help_text="What it is for, such as “nightly training”.")
    days = forms.TypedChoiceField(
        coerce=int, initial=30, label="Ends after",
        choices=[(7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "a year")],
    )  # fmt: skip
    scopes = forms.MultipleChoiceField(
        label="What it may do", widget=forms.CheckboxSelectMultiple,
        help_text="Never more than the account itself may do, whenever it is used.",
    )  # fmt: skip

    def __init__(self, *args: Any, offered: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offered = [permission for permission in offered if permission not in EVERYBODY]
        self.fields["scopes"].choices = [(name, f"{PERMISSIONS[name]} ({name})") for name in offered]  # type: ignore[attr-defined]


class PersonForm(ActForm):
    name = forms.CharField(max_length=120, label="Name")
    email = forms.EmailField(
        label="Mail address", help_text="They sign in with it. It is shown to nobody without need."
    )


class ServiceAccountForm(ActForm):
    name = forms.CharField(max_length=120, label="Name", help_text="What it does, such as “CI of team Credit”.")
    email = forms.EmailField(label="Mail address", help_text="Of those who look after it.")
    team = forms.ModelChoiceField(Team.objects.none(), label="Team", help_text="It belongs to this team for good.")

    def __init__(self, *args: Any, by: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["team"].queryset = Team.objects.visible_to(by)  # type: ignore[attr-defined]


class TeamForm(ActForm):
    name = forms.CharField(max_length=80, label="Name")
    slug = forms.SlugField(
        max_length=40, label="Short name", help_text="Small letters, digits and dashes, for addresses."
    )


class ReasonForm(ActForm):
    reason = forms.CharField(
        max_length=500, label="Why", widget=forms.Textarea(attrs={"rows": 2}), help_text="Kept in the audit log."
    )


def day_field(label: str, **more: Any) -> forms.DateField:
    return forms.DateField(label=label, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"), **more)


class DeactivateForm(ReasonForm):
    name = forms.CharField(max_length=120, label="Name of the account")
    field_order = ("reason", "name")

    def __init__(self, *args: Any, account: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.account = account

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name.strip() != self.account.name:
            raise forms.ValidationError(f"Type the name as it stands: {self.account.name}.")
        return name


def end_of(day: date | None) -> datetime | None:
    """The first moment after a day, UTC, or None."""
    return datetime.combine(day + timedelta(days=1), time(0), UTC) if day else None
