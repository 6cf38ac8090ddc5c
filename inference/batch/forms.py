from __future__ import annotations

from typing import Any

from django import forms

from registry.forms import RefusableForm
from registry.models import Dataset

PLAIN = {"autocapitalize": "off", "autocomplete": "off", "spellcheck": "false"}


class DatasetChoice(forms.ModelChoiceField):  # type: ignore[type-arg]
    def label_from_instance(self, obj: Any) -> str:
        return f"{obj}, in {obj.connection.place}" if obj.connection else str(obj)


class KeysField(forms.CharField):
    """Names of columns, one a line."""

    def __init__(self) -> None:
        super().__init__(
            max_length=2000, required=False, label="Key columns of a connected database",
            widget=forms.Textarea(attrs={"rows": 2, **PLAIN}),
            help_text="One a line, such as the table's primary key. Rows are scored in their order, and each row of "
            "the result begins with them. Without any, nothing says which row of the table a result belongs to.",
        )  # fmt: skip

    def clean(self, value: Any) -> list[str]:
        return [line.strip() for line in super().clean(value).splitlines() if line.strip()]


class BatchForm(RefusableForm):
    paths = {"upload": "file"}
    dataset = DatasetChoice(
        Dataset.objects.none(), required=False, empty_label="None: a file instead",
        help_text="One that the team has registered. Rows in a connected database are read once, as they are when the "
        "work begins, and are here until it has ended.",
    )  # fmt: skip
    file = forms.FileField(
        max_length=200, required=False,
        help_text="Parquet, CSV in UTF-8 with the columns' names in its first line, or one JSON object a line.",
    )  # fmt: skip
    keys = KeysField()

    def __init__(self, *args: Any, datasets: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["dataset"].queryset = datasets  # type: ignore[attr-defined]


class ScheduleForm(RefusableForm):
    dataset = DatasetChoice(
        Dataset.objects.none(), empty_label=None,
        help_text="Rows in a connected database are read anew for each run.",
    )  # fmt: skip
    cron = forms.CharField(
        max_length=100, label="When (UTC)", initial="0 4 * * *", widget=forms.TextInput(attrs=PLAIN),
        help_text="Minute, hour, day of month, month, day of week, as in cron: 0 4 * * 1-5 is 04:00 from Monday to "
        "Friday. At most once an hour.",
    )  # fmt: skip
    keys = KeysField()

    def __init__(self, *args: Any, datasets: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["dataset"].queryset = datasets  # type: ignore[attr-defined]


class EndScheduleForm(RefusableForm):
    pass
