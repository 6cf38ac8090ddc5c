from __future__ import annotations

from typing import Any

from django import forms

from accounts.forms import ActForm, ReasonForm
from accounts.models import Team
from notifications.kinds import HOOKED, KINDS
from notifications.models import Webhook

PLAIN = {"autocapitalize": "none", "spellcheck": "false", "autocomplete": "off", "inputmode": "url"}
OVERLAPS = [(0, "at once: somebody else knows it"), (1, "in an hour"), (24, "in a day"), (168, "in a week")]


class WebhookForm(ActForm):
    name = forms.CharField(max_length=80, help_text="Who is told by it, such as “Model risk's chat”.")
    url = forms.CharField(
        max_length=500, label="Address", widget=forms.TextInput(attrs=PLAIN),
        help_text="Begins with https://. Its path and query are shown to administrators only.",
    )  # fmt: skip
    kinds = forms.MultipleChoiceField(
        label="Tell it of", widget=forms.CheckboxSelectMultiple, initial=HOOKED,
        choices=[(kind, KINDS[kind].title) for kind in HOOKED],
    )  # fmt: skip


class NewWebhookForm(WebhookForm):
    team = forms.ModelChoiceField(
        Team.objects.none(), label="About the work of", required=False, empty_label="the whole house",
        help_text="It is told of this team's requests only. This cannot be changed later.",
    )  # fmt: skip
    field_order = ("name", "url", "team", "kinds")

    def __init__(self, *args: Any, teams: Any, everywhere: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        team = self.fields["team"]
        team.queryset = teams  # type: ignore[attr-defined]
        if not everywhere:
            team.required, team.empty_label = True, "Choose"  # type: ignore[attr-defined]


class RotateForm(ActForm):
    overlap_hours = forms.TypedChoiceField(
        coerce=int, choices=OVERLAPS, initial=24, label="The old secret ends", widget=forms.RadioSelect,
        help_text="Until then every message is signed with both, so that the receiver can change over in between.",
    )  # fmt: skip


class RemoveWebhookForm(ReasonForm):
    name = forms.CharField(max_length=80, label="Name of the webhook")
    field_order = ("reason", "name")

    def __init__(self, *args: Any, webhook: Webhook, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.webhook = webhook

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name.strip() != self.webhook.name:
            raise forms.ValidationError(f"Type the name as it stands: {self.webhook.name}.")
        return name
