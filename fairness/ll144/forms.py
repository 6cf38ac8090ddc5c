"""The form that asks for the calculations of a bias audit. What is right the service decides; here is only shape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django import forms

from fairness.ll144.asking import DATA, KINDS, SOURCES
from fairness.ll144.rules import RACE, SEX, TABLES
from fairness.ll144.schedule import DAYS
from registry.forms import RefusableForm
from registry.models import Dataset

# Categories that can be left out on the page; the API takes any number.
LEFT_OUT_ROWS = 3
GUESSES = {
    "m": "male", "man": "male", "f": "female", "woman": "female", "hispanic": "hispanic_or_latino",
    "latino": "hispanic_or_latino", "black": "black_or_african_american", "asian": "asian", "white": "white",
}  # fmt: skip
NAMES = {"sex": re.compile("sex|gender", re.I), "race": re.compile("race|ethnic", re.I)}
TABLE_WORDS = {"sex": "Sex", "race": "Race or ethnicity", "intersection": "Both"}
CATEGORIES = [
    ("", "none"),
    *((TABLE_WORDS[name], [(f"{name}:{key}", label) for key, label in rows.items()]) for name, rows in TABLES.items()),
]


def values_of(dataset: Dataset, column: str) -> list[str]:
    """The values that the record of a column lists, the missing one left out."""
    found: dict[str, Any] = next((each for each in dataset.columns if each["name"] == column), {})
    return [str(group["value"]) for group in found.get("groups", []) if group["value"] not in (None, "")]


def guessed(value: str, categories: Mapping[str, str]) -> str:
    """The category that a value names, or "": only what is plain is guessed, and all of it stands on the page."""
    name = re.sub(r"[^a-z]+", "_", value.lower()).strip("_")
    name = GUESSES.get(name, name)
    return name if name in categories else ""


def column_like(dataset: Dataset, kind: str) -> str:
    """The sensitive column whose name says what it holds, or ""."""
    return next((name for name in dataset.with_role("sensitive") if NAMES[kind].search(name)), "")


class ColumnsForm(forms.Form):
    """Which columns hold sex, and race or ethnicity."""

    sex = forms.ChoiceField(label="Column of sex")
    race = forms.ChoiceField(label="Column of race or ethnicity")

    def __init__(self, *given: Any, dataset: Dataset, **named: Any) -> None:
        super().__init__(*given, **named)
        for field in ("sex", "race"):
            choices = [(name, name) for name in dataset.with_role("sensitive")]
            self.fields[field].choices = choices  # type: ignore[attr-defined]


class AuditForm(RefusableForm):
    kind = forms.ChoiceField(
        choices=list(KINDS.items()), widget=forms.RadioSelect, label="What the tool does", initial="selection"
    )
    source = forms.ChoiceField(
        choices=list(SOURCES.items()),
        widget=forms.RadioSelect,
        label="Where what it gave comes from",
        initial="recorded",
    )
    outcome = forms.ChoiceField(
        required=False, label="Column of what it gave",
        help_text="Selected or not, the group, or the score. Not needed where the portal runs the version.",
    )  # fmt: skip
    selected = forms.CharField(
        required=False, label="Values that mean selected", max_length=500,
        help_text="With commas between, such as 1 or invited, hired. Only for a tool that selects.",
    )  # fmt: skip
    data_kind = forms.ChoiceField(
        choices=list(DATA.items()), widget=forms.RadioSelect, label="The data", initial="historical"
    )
    explanation = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}), max_length=4000, label="Source and explanation of the data",
        help_text="It is published with the summary (§ 5-303): whose applications, of which time, from where.",
    )  # fmt: skip
    why_test = forms.CharField(
        required=False, widget=forms.Textarea(attrs={"rows": 2}), max_length=4000,
        label="With test data: why no historical data are used",
    )  # fmt: skip
    how_made = forms.CharField(
        required=False, widget=forms.Textarea(attrs={"rows": 2}), max_length=4000,
        label="With test data: how they were made and got",
    )  # fmt: skip
    auditor = forms.CharField(
        required=False, max_length=200, label="Independent auditor",
        help_text="Who conducts the audit: somebody without a part in making, selling or using the tool (§ 5-300).",
    )  # fmt: skip
    paths: Mapping[str, str] = {}

    def __init__(self, *given: Any, dataset: Dataset, sex: str, race: str, **named: Any) -> None:
        super().__init__(*given, **named)
        outcomes = [each["name"] for each in dataset.columns if each["role"] not in ("sensitive", "feature", "weight")]
        self.fields["outcome"].choices = [("", "none"), *((name, name) for name in outcomes)]  # type: ignore[attr-defined]
        self.values = {"sex": values_of(dataset, sex), "race": values_of(dataset, race)}
        for kind, categories in (("sex", SEX), ("race", RACE)):
            for at, value in enumerate(self.values[kind]):
                self.fields[f"{kind}_{at}"] = forms.ChoiceField(
                    choices=[("", "Unknown: counted, in no table"), *categories.items()], required=False,
                    label=f"“{value}” is", initial=guessed(value, categories),
                )  # fmt: skip
        for name, words in DAYS.items():
            self.fields[name] = forms.DateField(
                required=False,
                label=words.capitalize(),
                widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
            )
        for at in range(LEFT_OUT_ROWS):
            self.fields[f"left_out_{at}"] = forms.ChoiceField(
                choices=CATEGORIES, required=False, label="Category to leave out"
            )
            self.fields[f"reason_{at}"] = forms.CharField(required=False, max_length=500, label="The auditor's reason")

    def named(self, *starts: str) -> list[Any]:
        return [self[name] for name in self.fields if name.rsplit("_", 1)[0] in starts and name[-1].isdigit()]

    @property
    def sections(self) -> list[tuple[str, str, list[Any]]]:
        """Title, note and fields of each panel."""
        return [
            ("What the tool gave", "", [self[name] for name in ("kind", "source", "outcome", "selected")]),
            ("Sex", "the categories of the EEO-1 report", self.named("sex")),
            ("Race or ethnicity", "the categories of the EEO-1 report", self.named("race")),
            ("The data", "", [self[name] for name in ("data_kind", "explanation", "why_test", "how_made")]),
            ("The audit", "what is not known yet is left empty", [self["auditor"], *(self[name] for name in DAYS)]),
            ("Leaving categories out", "only under 2 % of the data, § 5-301(d)", self.named("left_out", "reason")),
        ]  # fmt: skip

    def wanted(self) -> dict[str, Any]:
        """What the service takes, beside the columns."""
        given = self.cleaned_data
        named = ("kind", "source", "outcome", "data_kind", "explanation", "why_test", "how_made", "auditor")
        return {name: given[name] for name in named} | {
            "selected": [value.strip() for value in given["selected"].split(",") if value.strip()],
            "sex_values": self.mapping("sex"), "race_values": self.mapping("race"),
            "dates": {name: given[name] for name in DAYS}, "left_out": self.left_out(),
        }  # fmt: skip

    def mapping(self, kind: str) -> dict[str, str]:
        chosen = ((value, self.cleaned_data[f"{kind}_{at}"]) for at, value in enumerate(self.values[kind]))
        return {value: category for value, category in chosen if category}

    def left_out(self) -> list[dict[str, str]]:
        found = []
        for at in range(LEFT_OUT_ROWS):
            table, _, category = self.cleaned_data[f"left_out_{at}"].partition(":")
            if category:
                found.append({"table": table, "category": category, "reason": self.cleaned_data[f"reason_{at}"]})
        return found

    def refuse(self, refusal: Any) -> None:
        """`left_out.1.reason` belongs to the second category that was chosen, which may stand in the third row."""
        path = refusal.field or ""
        if path.startswith("left_out."):
            filled = [at for at in range(LEFT_OUT_ROWS) if self.cleaned_data[f"left_out_{at}"]]
            self.add_error(f"reason_{filled[int(path.split('.')[1])]}", refusal.sentence)
            return
        super().refuse(refusal)
