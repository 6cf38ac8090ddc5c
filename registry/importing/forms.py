"""Forms of an import."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms

from registry.forms import DatasetUploadForm, RefusableForm
from registry.importing.reading import FIELDS, guessed

HINT = "CSV in UTF-8, the columns' names in the first row, a row for each model."


class ImportUploadForm(DatasetUploadForm):
    def __init__(self, *args: Any, teams: Any, **kwargs: Any) -> None:
        super().__init__(*args, teams=teams, hint=HINT, **kwargs)


class ColumnsForm(RefusableForm):
    """Which column holds what."""

    paths = {f"columns.{field}": field for field in FIELDS}

    def __init__(self, *args: Any, columns: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "initial": guessed(columns)})
        for field, (word, needed, _) in FIELDS.items():
            none = [] if needed and field in self.initial else [("", "none of them")]
            self.fields[field] = forms.ChoiceField(
                label=word, required=needed, choices=[*none, *((column, column) for column in columns)],
                help_text=HELP.get(field, ""),
            )  # fmt: skip


HELP = {
    "purpose": "What decisions it takes part in, about whom, and who acts on them.",
    "owner": "Mail addresses. Whoever is not named in a row is you.",
    "slug": "Left out, it is made from the name.",
}
