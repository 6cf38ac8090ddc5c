from __future__ import annotations

from django import forms

from accounts.forms import ActForm, ReasonForm, password_field


def address_field() -> forms.EmailField:
    return forms.EmailField(label="New mail address", widget=forms.EmailInput(attrs={"autocomplete": "email"}))


class ForgotForm(ActForm):
    email = forms.EmailField(label="Mail address", widget=forms.EmailInput(attrs={"autocomplete": "username"}))


class AddressForm(ReasonForm):
    email = address_field()
    field_order = ("email", "reason")


class FactorsForm(ActForm):
    password = password_field("Your password", "current-password")


class OwnAddressForm(ActForm):
    email = address_field()
    password = password_field("Your password", "current-password")
