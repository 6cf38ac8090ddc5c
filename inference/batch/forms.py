from __future__ import annotations

from typing import Any

from django import forms

from registry.forms import RefusableForm
from registry.models import Dataset

PLAIN = {"autocapitalize": "off", "autocomplete": "off", "spellcheck": "false"}


class BatchForm(RefusableForm):
    paths = {"upload": "file"}
    dataset = forms.ModelChoiceField(
        Dataset.objects.none(), required=False, empty_label="None: a file instead",
        help_text="One that the team has registered.",
    )  # fmt: skip
    file = forms.FileField(
        max_length=200, required=False,
        help_text="Parquet, CSV in UTF-8 with the columns' names in its first line, or one JSON object a line.",
    )  # fmt: skip

    def __init__(self, *args: Any, datasets: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["dataset"].queryset = datasets  # type: ignore[attr-defined]


class ScheduleForm(RefusableForm):
    dataset = forms.ModelChoiceField(Dataset.objects.none(), empty_label=None)
    cron = forms.CharField(
        max_length=100, label="When (UTC)", initial="0 4 * * *", widget=forms.TextInput(attrs=PLAIN),
        help_text="Minute, hour, day of month, month, day of week, as in cron: 0 4 * * 1-5 is 04:00 from Monday to "
        "Friday. At most once an hour.",
    )  # fmt: skip

    def __init__(self, *args: Any, datasets: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["dataset"].queryset = datasets  # type: ignore[attr-defined]


class EndScheduleForm(RefusableForm):
    pass
