from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Any

from django import forms

from accounts.forms import ActForm
from accounts.models import Team
from audits.erasing.choosing import Preview
from audits.erasing.models import Erasure, Hold
from audits.erasing.rules import GROUNDS
from ledger.refusals import Refusal

WHY = (
    "Kept in the audit log as a disclosure, not in the entry itself. Names that are not needed here are best left out."
)
MOMENT = forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}, format="%Y-%m-%dT%H:%M:%S")


def reason_field(**more: Any) -> forms.CharField:
    given = {"label": "Why", "max_length": 2000, "widget": forms.Textarea(attrs={"rows": 3}), "help_text": WHY, **more}
    return forms.CharField(**given)


def moment_field(label: str, **more: Any) -> forms.DateTimeField:
    return forms.DateTimeField(label=label, widget=MOMENT, **more)


class ChoiceForm(ActForm):
    """What to look at, then with the labels that could be chosen."""

    kind = forms.ChoiceField(label="Erase what is disclosed", widget=forms.RadioSelect, initial="person", choices=[
        (Erasure.Kind.PERSON, "about a person, wherever they acted or were acted upon"),
        (Erasure.Kind.ENTRY, "in one entry of the log"),
    ])  # fmt: skip
    subject = forms.CharField(
        label="Whose, or which entry", max_length=254,
        help_text="The person's mail address or opaque id, or the entry's id.",
    )  # fmt: skip
    labels = forms.MultipleChoiceField(
        label="Which disclosures", required=False, widget=forms.CheckboxSelectMultiple,
        help_text="Free text such as a reason may name others, and is only erased when you choose it.",
    )  # fmt: skip

    def offer(self, found: Preview) -> None:
        """Show what was found: the choice that it stands for, and the labels there are."""
        self.data = {"kind": found.kind, "subject": found.subject, "labels": list(found.labels)}
        self.choices(found.offered)

    def choices(self, labels: Sequence[str]) -> None:
        self.fields["labels"].choices = [(label, label.replace("_", " ")) for label in labels]  # type: ignore[attr-defined]

    def refuse(self, refusal: Refusal) -> None:
        self.choices(self.data.get("labels", ()))
        self.is_valid()
        super().refuse(refusal)


class AskForm(ActForm):
    ground = forms.ChoiceField(label="Ground (GDPR)", choices=[("", "Choose"), *GROUNDS.items()])
    reason = reason_field()
    seen = forms.CharField(widget=forms.HiddenInput, max_length=71)

    def shown_again(self, digest: str) -> None:
        """The page that answers a refusal shows what would go now."""
        self.data = {name: self.data[name] for name in self.fields if name in self.data} | {"seen": digest}


class ApproveForm(ActForm):
    note = reason_field(label="Remark", required=False)
    confirm = forms.CharField(label="Confirm", max_length=40)

    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.name = name
        self.fields["confirm"].help_text = f"Type {name}."

    def clean_confirm(self) -> str:
        said: str = self.cleaned_data["confirm"].strip()
        if said.lower() != self.name.lower():
            raise forms.ValidationError(f"Type {self.name} to confirm. What is erased cannot be brought back.")
        return said


class ReasonForm(ActForm):
    reason = reason_field()


class HoldForm(ActForm):
    kind = forms.ChoiceField(label="Hold", widget=forms.RadioSelect, choices=Hold.Kind.choices, initial="person")
    person = forms.CharField(label="Person", max_length=254, required=False, help_text="Mail address or opaque id.")
    team = forms.ModelChoiceField(Team.objects.none(), label="Team", required=False, empty_label="Choose")
    model = forms.CharField(
        label="Model", max_length=20, required=False, help_text="Its number, as in the address of its page."
    )
    since = moment_field("Period from (UTC)", required=False, help_text="Included.")
    until = moment_field("Period to (UTC)", required=False, help_text="Not included. Empty: for all that is to come.")
    ends_at = moment_field("The hold ends (UTC)", required=False, help_text="Empty for one that stands until lifted.")
    reason = reason_field()

    def __init__(self, *args: Any, by: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["team"].queryset = Team.objects.visible_to(by)  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        for name in ("since", "until", "ends_at"):
            if given.get(name) is not None:
                given[name] = given[name].replace(tzinfo=UTC)  # as the labels say
        return given
