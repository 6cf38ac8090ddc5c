"""Forms of findings, conditions and accepted risks. What is right the services decide; here is only shape."""

from __future__ import annotations

from typing import Any

from django import forms

from accounts.models import User
from approvals.findings.listing import KINDS, STATES
from approvals.findings.models import Severity
from approvals.forms import ProofForm, area


class Person(forms.ModelChoiceField):  # type: ignore[type-arg]  # Django's own takes no argument at run time
    def label_from_instance(self, person: User) -> str:
        return person.name


def day(**given: Any) -> forms.DateField:
    return forms.DateField(widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"), **given)


def owner(**given: Any) -> Person:
    return Person(queryset=User.objects.none(), **given)


class OwnerForm(forms.Form):
    """Any of these forms with the people who may own a finding."""

    def __init__(self, *args: Any, owners: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["owner"].queryset = owners  # type: ignore[attr-defined]


class RaiseForm(OwnerForm):
    severity = forms.ChoiceField(choices=Severity.choices, initial="medium")
    title = forms.CharField(max_length=200, help_text="In one line.")
    text = forms.CharField(
        max_length=10_000, label="What is wrong", widget=area(5),
        help_text="What you saw, where, and what would settle it.",
    )  # fmt: skip
    reference = forms.CharField(
        required=False, max_length=200, label="Line or section", help_text="Of the card, a report or the manifest."
    )
    owner = owner(label="Who answers for it", empty_label=None)
    due = day(label="Due", help_text="Until the end of this day, UTC.")


class AnswerForm(forms.Form):
    text = forms.CharField(max_length=10_000, label="Your answer", widget=area(4), help_text="What was done about it.")


class ReassessForm(OwnerForm):
    severity = forms.ChoiceField(choices=Severity.choices)
    due = day(label="Due")
    owner = owner(label="Who answers for it", empty_label=None)
    reason = forms.CharField(max_length=5000, label="Why", widget=area(2))

    def __init__(self, *args: Any, severe: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not severe:
            del self.fields["severity"]


class CloseForm(forms.Form):
    reason = forms.CharField(max_length=5000, label="What you looked at", widget=area(3))


class ReopenForm(forms.Form):
    reason = forms.CharField(max_length=5000, label="What is missing", widget=area(3))
    due = day(required=False, label="New due day", help_text="Left empty, the day stays as it is.")


class ConditionForm(OwnerForm):
    """One row of the conditions on the sign page; a row without words is none."""

    text = forms.CharField(required=False, max_length=10_000, label="What has to be done", widget=area(2))
    owner = owner(required=False, label="Who fulfils it", empty_label="Choose somebody")
    due = day(required=False, label="Due")

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if (data.get("text") or "").strip():
            for name in ("owner", "due"):
                if not data.get(name) and name not in self.errors:
                    self.add_error(name, "Each condition needs it.")
        return data


Conditions = forms.formset_factory(ConditionForm, extra=3, max_num=20, absolute_max=20)


class AcceptForm(ProofForm):
    """First without a proof of who signs, to see the text that is signed; then with it, over exactly that text."""

    target = forms.ChoiceField(label="What is accepted")
    until = day(label="Until", help_text="The end of this day, UTC. Then the approval is suspended, or it is renewed.")
    reason = forms.CharField(
        max_length=5000, label="Why this is acceptable", widget=area(4),
        help_text="Shown wherever the approval is shown. What limits the harm meanwhile?",
    )  # fmt: skip
    digest = forms.CharField(required=False, max_length=71, widget=forms.HiddenInput)
    field_order = ("target", "until", "reason", "digest", "password", "code")

    def __init__(self, *args: Any, targets: list[tuple[str, str]], signing: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["target"].choices = targets  # type: ignore[attr-defined]
        if not signing:
            self.passkeys = self.passkey_only = False
            self.fields.pop("password", None)
            self.fields.pop("code", None)


class FindingFilter(forms.Form):
    state = forms.ChoiceField(required=False, choices=STATES)
    severity = forms.ChoiceField(required=False, choices=[("", "any"), *Severity.choices])
    kind = forms.ChoiceField(required=False, choices=KINDS)
    team = forms.IntegerField(required=False)
    mine = forms.BooleanField(required=False)
