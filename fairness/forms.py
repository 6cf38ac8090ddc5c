"""The forms that ask for reports: what to report on a dataset, and the rules of its test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.http import QueryDict

from fairness.declared import SCALES, TASKS, task_of
from fairness.explanation.reasons import BASELINES
from fairness.framing import WEIGHT_KINDS
from fairness.presenting import COMPARISON_WORDS, TESTABLE, sentence_case
from fairness.rules import DEFAULT_RULE
from registry.forms import RefusableForm
from registry.models import Dataset
from registry.roles import OUTCOMES

WHAT = (
    ("model", "Bias in the model's own decisions: the portal runs the model on the data and compares groups"),
    ("historical", "Bias in the decisions recorded in the data, which the model may have learned from"),
    ("explanation", "Explanation: which features move the model's score, overall and by group"),
)
# What counts as yes where the outcome has not just two values.
YES = {
    "regression": "The outcome is a number: it counts as yes from the threshold of the version’s decision rule on, and "
    "so does the number that the rule reads.",
    "multiclass": "The outcome has several classes: its positive class counts as yes, all others as no. Which class "
    "the model predicts is read from its output of classes.",
}
METRICS = [(name, sentence_case(words)) for name, words in TESTABLE.items()]
COMPARISONS = [(name, sentence_case(words)) for name, words in COMPARISON_WORDS.items()]
RULE_FIELDS = ("metric", "comparison", "bound", "confidence", "minimum_group_size", "test_unknown")


class RuleForm(RefusableForm):
    """One rule of a test; its first values are the four-fifths guideline's."""

    metric = forms.ChoiceField(
        choices=METRICS, label="Metric under test", initial=DEFAULT_RULE.metric,
        help_text="All metrics are reported; one decides the result. Recorded decisions have a selection rate only.",
    )  # fmt: skip
    comparison = forms.ChoiceField(choices=COMPARISONS, label="Compared as", initial=DEFAULT_RULE.comparison)
    bound = forms.FloatField(
        min_value=0.001, max_value=1, initial=DEFAULT_RULE.bound, label="Bound",
        help_text="0.8 of the highest rate is the four-fifths guideline (29 CFR 1607.4(D)): a start, no law of nature.",
        widget=forms.NumberInput(attrs={"step": "any"}),
    )  # fmt: skip
    confidence = forms.FloatField(
        min_value=0.5, max_value=0.999, initial=DEFAULT_RULE.confidence, label="Confidence",
        help_text="How sure the result has to be. Where the data cannot say, the result is “inconclusive”.",
        widget=forms.NumberInput(attrs={"step": "any"}),
    )  # fmt: skip
    minimum_group_size = forms.IntegerField(
        min_value=1, max_value=1_000_000, initial=DEFAULT_RULE.minimum_group_size, label="Smallest group to test",
        help_text="A group with fewer rows is shown, and the result is then “too few to test”.",
    )  # fmt: skip
    test_unknown = forms.BooleanField(
        required=False, label="Also test people whose attribute is missing, as a group of their own"
    )

    def rule(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in RULE_FIELDS}

    def showing(self, data: QueryDict, whole: bool) -> None:
        """Take the first values from `data`: of what it names, or of the `whole` form where all of it was sent."""
        self.initial = {
            name: field.widget.value_from_datadict(data, {}, self.add_prefix(name))
            for name, field in self.fields.items()
            if whole or self.add_prefix(name) in data
        }


class FurtherRuleForm(RuleForm):
    """A rule beside the first. What each field means is said there."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        for field in self.fields.values():
            field.help_text = ""


class GroupsForm(RuleForm):
    """Groups to compare, and the first rule of the test."""

    field_order: Sequence[str] = ("sensitive",)
    sensitive = forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple, label="Compare groups by",
        help_text="Columns of this dataset that are marked as sensitive.",
    )  # fmt: skip

    def __init__(self, *given: Any, dataset: Dataset, **named: Any) -> None:
        super().__init__(*given, **named)
        self.marked = dataset.sensitive
        field = self.fields["sensitive"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = [(name, name) for name in self.marked]
        field.initial = self.marked


class ReportForm(GroupsForm):
    """What to report on one dataset. The test is for bias reports, which need an outcome."""

    paths: Mapping[str, str] = {"source": "what", "rule": "bound", "rule.metric": "metric"}
    what = forms.ChoiceField(choices=WHAT, widget=forms.RadioSelect, label="What to report", initial="model")
    weight_kind = forms.ChoiceField(choices=list(WEIGHT_KINDS.items()), label="What the weights are", initial="survey")
    baseline = forms.ChoiceField(
        choices=[(name, sentence_case(words)) for name, words in BASELINES.items()], required=False,
        initial="just_passed", label="Baseline of reasons",
        help_text="For explanations: what refused rows are compared with when their reasons are named. The official "
        "interpretation of 12 CFR 1002.9(b)(2) describes both.",
    )  # fmt: skip

    def __init__(self, *given: Any, dataset: Dataset, **named: Any) -> None:
        super().__init__(*given, dataset=dataset, **named)
        for number, name in enumerate(self.marked):
            self.fields[f"reference_{number}"] = forms.CharField(
                max_length=200, required=False, label=f"Compare groups of “{name}” with",
                help_text="For comparisons with a reference: the name of a group. Empty: the largest.",
            )  # fmt: skip
        if not dataset.with_role("weight"):
            del self.fields["weight_kind"]
        if dataset.with_role("membership"):
            self.fields["sensitive"].required = False
            self.fields["sensitive"].help_text += " Columns with probabilities of membership are always looked at."
        judged, what = bool(dataset.labels), self.fields["what"]
        assert isinstance(what, forms.ChoiceField)
        self.fitting = {
            name: words for name, words in WHAT
            if (judged or name == "explanation") and (dataset.rows_here or name == "historical")
        }  # fmt: skip
        what.choices = list(self.fitting.items())
        if what.initial not in self.fitting:
            what.initial = next(iter(self.fitting), "")
        what.help_text = YES.get(task_of([column["role"] for column in dataset.columns]) or "", "")
        if not judged:
            self.fields = {name: self.fields[name] for name in ("what", "baseline")}
        if not dataset.rows_here:
            del self.fields["baseline"]
            what.help_text = (
                f"{what.help_text} The rows stay in their database, where nothing of a model runs: for its own "
                "decisions and for explanations register an extract as a file. Decisions in a column of role "
                "“prediction” are reported on by Submit predictions."
            ).lstrip()
        self.order_fields(["what", "sensitive", *RULE_FIELDS, *self.references, "weight_kind", "baseline"])

    @property
    def references(self) -> list[str]:
        return [f"reference_{number}" for number in range(len(self.marked))]

    def showing(self, data: QueryDict, whole: bool) -> None:
        super().showing(data, whole)
        if self.initial.get("what") not in self.fitting:
            self.initial.pop("what", None)
        if not whole:
            said = dict(each.split(": ", 1) for each in data.getlist("reference") if ": " in each)
            for name, field in zip(self.marked, self.references, strict=True):
                self.initial[field] = said.get(name, "")

    def frame(self) -> dict[str, Any]:
        """What a bias report is asked for by, beside its further rules."""
        said = self.cleaned_data
        chosen = zip(self.marked, self.references, strict=True)
        return {
            "sensitive": said["sensitive"], "rule": self.rule(),
            "reference": {name: said[field] for name, field in chosen if said[field]},
            "weight_kind": said.get("weight_kind", "survey"),
        }  # fmt: skip


class SubmittedForm(GroupsForm):
    """Predictions made elsewhere, in a file or in the dataset, what they are, and what they are compared with."""

    paths: Mapping[str, str] = {"rule": "bound", "rule.metric": "metric", "predictions": "file"}
    field_order = ("where", "file", "column", "task", "at_least", "scale", "outcome", "positive", "sensitive")
    where = forms.ChoiceField(
        choices=[("file", "In a file"), ("dataset", "In the dataset, as its column of decisions or scores")],
        widget=forms.RadioSelect, label="Where the predictions are", initial="file",
    )  # fmt: skip
    file = forms.FileField(
        max_length=200, required=False, label="File",
        help_text="CSV in UTF-8 with the column’s name in its first line, or Parquet: one value a row, in the "
        "dataset’s order. Choose it again when something had to be corrected.",
    )  # fmt: skip
    column = forms.CharField(
        max_length=200, required=False, label="Column of the file",
        help_text="Its name, where the file has more than one.",
    )  # fmt: skip
    task = forms.ChoiceField(
        choices=[(name, sentence_case(words)) for name, words in TASKS.items()], widget=forms.RadioSelect,
        label="What they are",
    )  # fmt: skip
    at_least = forms.FloatField(
        required=False, label="Yes from", widget=forms.NumberInput(attrs={"step": "any"}),
        help_text="For scores and numbers: the threshold. Empty for decisions and classes.",
    )  # fmt: skip
    scale = forms.ChoiceField(
        choices=[("", "Not said"), *((name, sentence_case(words)) for name, words in SCALES.items())], required=False,
        label="Scale of scores", help_text="Probabilities are checked to lie between 0 and 1.",
    )  # fmt: skip
    outcome = forms.ChoiceField(required=False, label="Outcome to compare with")
    positive = forms.CharField(
        max_length=80, required=False, label="Positive class",
        help_text="The outcome’s value that counts as yes; the dataset’s when empty. Numbers have none.",
    )  # fmt: skip

    def __init__(self, *given: Any, dataset: Dataset, **named: Any) -> None:
        super().__init__(*given, dataset=dataset, **named)
        parts = {column["name"]: column["role"] for column in dataset.columns}
        task = self.fields["task"]
        assert isinstance(task, forms.ChoiceField)
        task.initial = task_of(parts.values()) or "binary"
        outcome = self.fields["outcome"]
        assert isinstance(outcome, forms.ChoiceField)
        first = f"The dataset’s: {', '.join(dataset.labels)}" if dataset.labels else "The dataset has none: choose one"
        others = [name for name, part in parts.items() if part not in ("sensitive", "weight", *OUTCOMES)]
        outcome.choices = [("", first), *((name, name) for name in others)]
        if not dataset.rows_here:
            where = self.fields["where"]
            assert isinstance(where, forms.ChoiceField)
            where.choices, where.initial = [("dataset", "In the dataset, as its column of decisions")], "dataset"
            where.help_text = "The rows stay in their database, so nothing can be laid beside them, and no score read."
            task.choices = [(name, sentence_case(words)) for name, words in TASKS.items() if name != "regression"]
            for name in ("file", "column", "at_least", "scale"):
                del self.fields[name]

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if given.get("where") == "file" and not given.get("file") and "file" not in self.errors:
            self.add_error("file", "Choose the file.")
        return given

    def values(self) -> dict[str, Any]:
        """What the service takes, besides the predictions."""
        names = ("task", "at_least", "sensitive")
        optional = {name: self.cleaned_data.get(name) or None for name in ("scale", "outcome", "positive")}
        return {name: self.cleaned_data.get(name) for name in names} | optional | {"rule": self.rule()}
