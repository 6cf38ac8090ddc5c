from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms

from approvals.forms import area
from approvals.reporting.services import LONGEST
from approvals.reporting.template import template

NEEDED = " Before the report can be attached, something has to stand here."


class ReportForm(forms.Form):
    """One text for each section that asks for words; `number` is the draft that they build on."""

    number = forms.IntegerField(min_value=0, widget=forms.HiddenInput)

    def __init__(self, *args: Any, texts: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for each in template().written:
            self.fields[each.slug] = forms.CharField(
                required=False, max_length=LONGEST, label=f"Your words on {each.title.lower()}", widget=area(6),
                help_text=f"{each.prompt}{NEEDED if each.needed else ''}", initial=texts.get(each.slug, ""),
            )  # fmt: skip

    @property
    def texts(self) -> dict[str, str]:
        return {each.slug: self.cleaned_data[each.slug] for each in template().written}


class AttachForm(forms.Form):
    digest = forms.CharField(max_length=71, widget=forms.HiddenInput)
