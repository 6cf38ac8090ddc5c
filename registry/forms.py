"""Forms of the registry's pages. What is right for an object the services decide; here is only shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import forms

from accounts.models import Team, User
from ledger.refusals import Refusal
from registry.models import Dataset, Model
from registry.people import of_team
from registry.roles import ROLES, has_classes
from registry.services.evidence import KINDS

# A browser sends one field a column; Django takes at most 1,000 fields.
MOST_COLUMNS = 900


class RefusableForm(forms.Form):
    """Shows a refusal beside the field at fault, else above the form. `paths` maps API field paths to fields."""

    paths: Mapping[str, str] = {}

    def refuse(self, refusal: Refusal) -> None:
        path = refusal.field or ""
        field = self.paths.get(path, path.split(".")[0])
        self.add_error(field if field in self.fields else None, refusal.sentence)


class ModelForm(RefusableForm):
    team = forms.ModelChoiceField(Team.objects.none(), empty_label=None)
    name = forms.CharField(max_length=120, help_text="As the business calls it, such as “Mortgage screening”.")
    purpose = forms.CharField(
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="What decisions it takes part in, about whom, and who acts on them.",
    )

    def __init__(self, *args: Any, teams: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if teams is None:
            del self.fields["team"]
        else:
            self.fields["team"].queryset = teams  # type: ignore[attr-defined]


class TierForm(RefusableForm):
    tier = forms.ChoiceField(label="Risk tier", choices=Model.Tier.choices, widget=forms.RadioSelect)
    reason = forms.CharField(max_length=500, widget=forms.Textarea(attrs={"rows": 3}))


class UploadForm(RefusableForm):
    file = forms.FileField(max_length=200)

    def __init__(self, *args: Any, hint: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["file"].help_text = hint


class DatasetUploadForm(UploadForm):
    team = forms.ModelChoiceField(Team.objects.none(), empty_label=None)
    field_order = ["team", "file"]

    def __init__(self, *args: Any, teams: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["team"].queryset = teams  # type: ignore[attr-defined]


class VersionForm(RefusableForm):
    """Everything about a version but its bytes, which were uploaded before."""

    paths = {"decision_rule": "output", "contributors.0": "contributors"}
    features = forms.CharField(widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}))
    output = forms.ChoiceField(help_text="The output by which the model's answer becomes a yes or no.")
    kind = forms.ChoiceField(
        label="Decision rule",
        choices=[
            ("threshold", "The output is a score: yes from a threshold on"),
            ("label", "The output is a label: yes where it has one value"),
        ],
        widget=forms.RadioSelect,
    )
    klass = forms.CharField(
        label="For a score: the class",
        max_length=200,
        required=False,
        help_text="Number of the column, or name of the class.",
    )
    at_least = forms.FloatField(label="For a score: yes from", required=False)
    equals = forms.CharField(label="For a label: yes where it is", max_length=200, required=False)
    contributors = forms.ModelMultipleChoiceField(
        User.objects.none(),
        widget=forms.CheckboxSelectMultiple,
        help_text="Everybody who worked on this version, you included. None of them may sign for it.",
    )
    notes = forms.CharField(
        max_length=4000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What is new in this version.",
    )
    card = forms.CharField(
        label="Model card",
        max_length=100_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 24}),
        help_text="Markdown. Headings are filled in; the text below each says what belongs there.",
    )

    def __init__(self, *args: Any, signature: Mapping[str, Any], team_id: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        outputs = [tensor["name"] for tensor in signature["outputs"]]
        self.fields["output"].choices = [(name, name) for name in outputs]  # type: ignore[attr-defined]
        self.fields["contributors"].queryset = of_team(team_id)  # type: ignore[attr-defined]
        self.fields["features"].help_text = features_hint(signature["inputs"])

    def clean_features(self) -> list[str]:
        return [line.strip() for line in self.cleaned_data["features"].splitlines() if line.strip()]

    def clean(self) -> dict[str, Any]:
        given = {**self.cleaned_data}
        rule: dict[str, Any] = {"kind": given.get("kind"), "output": given.get("output")}
        wanted = ("class", "klass"), ("at_least", "at_least")
        if given.get("kind") == "label":
            wanted = (("equals", "equals"),)  # type: ignore[assignment]
        for key, field in wanted:
            if given.get(field) in (None, ""):
                if field not in self.errors:
                    self.add_error(field, "This kind of rule needs it.")
            else:
                rule[key] = given[field]
        self.cleaned_data["decision_rule"] = rule
        return self.cleaned_data

    def values(self) -> dict[str, Any]:
        """What the service takes."""
        names = ("features", "decision_rule", "contributors", "notes", "card")
        return {name: self.cleaned_data[name] for name in names}


def features_hint(inputs: Sequence[Mapping[str, Any]]) -> str:
    """What the model takes, and so what belongs into the field."""
    if len(inputs) > 1:
        return "One name a line. The model takes an input for each, so these are its names."
    width = inputs[0]["shape"][1] if len(inputs[0]["shape"]) > 1 else 1
    wanted = f"{width} columns" if width else "one table of columns"
    return f"One name a line, in the order of training. The model takes {wanted}."


class CardForm(RefusableForm):
    card = forms.CharField(
        label="Model card",
        max_length=100_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 28}),
        help_text="Markdown",
    )
    before = forms.CharField(widget=forms.HiddenInput)


class ContributorsForm(RefusableForm):
    paths = {"contributors.0": "contributors"}
    contributors = forms.ModelMultipleChoiceField(
        User.objects.none(), widget=forms.CheckboxSelectMultiple, label="Who else worked on it"
    )

    def __init__(self, *args: Any, people: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["contributors"].queryset = people  # type: ignore[attr-defined]


class DatasetForm(RefusableForm):
    """A dataset's record, and a role for each column that the file has."""

    name = forms.CharField(max_length=120)
    purpose = forms.ChoiceField(choices=Dataset.Purpose.choices)
    source = forms.CharField(
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Where the rows come from, and who confirms it.",
    )
    lawful_basis = forms.CharField(
        max_length=200,
        required=False,
        help_text="On what ground personal data is processed, such as Art. 6(1)(f) GDPR.",
    )
    positive_class = forms.CharField(
        max_length=80,
        required=False,
        help_text="The outcome's value that counts as yes, such as 1. Not used where the outcome is a number or there "
        "is none.",
    )

    def __init__(
        self, *args: Any, columns: Iterable[Mapping[str, Any]], likely: Iterable[str] = (), **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.columns = list(columns)
        likely = set(likely)
        self.paths = {f"roles.{column['name']}": f"role_{place}" for place, column in enumerate(self.columns)}
        for place, column in enumerate(self.columns):
            self.fields[f"role_{place}"] = forms.ChoiceField(
                label=column["name"],
                choices=[(role, words.split(":")[0]) for role, words in ROLES.items()],
                initial="feature" if column["name"] in likely else "other",
            )

    @property
    def column_rows(self) -> list[tuple[Mapping[str, Any], forms.BoundField]]:
        return [(column, self[f"role_{place}"]) for place, column in enumerate(self.columns)]

    @property
    def record_fields(self) -> list[forms.BoundField]:
        return [field for field in self if not field.name.startswith("role_")]

    def values(self) -> dict[str, Any]:
        """What the service takes."""
        names = ("name", "purpose", "source", "lawful_basis", "positive_class")
        roles = {column["name"]: self.cleaned_data[f"role_{place}"] for place, column in enumerate(self.columns)}
        given = {name: self.cleaned_data[name] for name in names} | {"roles": roles}
        # The form begins with a positive class, which not every outcome has.
        return given if has_classes(roles) else given | {"positive_class": ""}


class EvidenceForm(RefusableForm):
    """The file is kept as soon as it has arrived, so that it need not be chosen again when the rest is not right."""

    paths = {"upload": "file"}
    kind = forms.ChoiceField(choices=list(KINDS.items()))
    title = forms.CharField(max_length=200)
    file = forms.FileField(max_length=200, required=False)

    def __init__(self, *args: Any, kept: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["file"].required = not kept


class ReasonForm(RefusableForm):
    reason = forms.CharField(max_length=500, widget=forms.Textarea(attrs={"rows": 3}))
