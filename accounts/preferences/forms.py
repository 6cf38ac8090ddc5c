from __future__ import annotations

from typing import Any

from django import forms

from accounts.forms import ActForm
from notifications.kinds import KINDS, WAYS


class PreferencesForm(ActForm):
    """A choice for each kind that leaves one."""

    def __init__(self, *args: Any, ways: dict[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for kind in KINDS.values():
            if kind.chosen:
                self.fields[kind.slug] = forms.ChoiceField(
                    label=kind.title, help_text=kind.when, initial=ways[kind.slug],
                    choices=[(way, WAYS[way]) for way in kind.ways],
                )  # fmt: skip
