from __future__ import annotations

from typing import Any

from django import forms

from fairness.explanation.reasons import BASELINES
from fairness.presenting import COMPARISON_WORDS, TESTABLE, sentence_case
from fairness.rules import DEFAULT_RULE
from registry.models import Dataset

WHAT = (
    ("model", "Bias in the model's own decisions: the portal runs the model on the data and compares groups"),
    ("historical", "Bias in the decisions recorded in the data, which the model may have learned from"),
    ("explanation", "Explanation: which features move the model's score, overall and by group"),
)
METRICS = [(name, sentence_case(words)) for name, words in TESTABLE.items()]
COMPARISONS = [(name, sentence_case(words)) for name, words in COMPARISON_WORDS.items()]
# Where a refusal's field is shown.
FIELDS = {"source": "what", "rule": "bound", "rule.metric": "metric", "sensitive": "sensitive"}


class ReportForm(forms.Form):
    """What to report on one dataset. The test is for bias reports; its first values are the four-fifths guideline's."""

    what = forms.ChoiceField(choices=WHAT, widget=forms.RadioSelect, label="What to report", initial="model")
    sensitive = forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple, label="Compare groups by",
        help_text="Columns of this dataset that are marked as sensitive.",
    )  # fmt: skip
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

    baseline = forms.ChoiceField(
        choices=[(name, sentence_case(words)) for name, words in BASELINES.items()], required=False,
        initial="just_passed", label="Baseline of reasons",
        help_text="For explanations: what refused rows are compared with when their reasons are named. The official "
        "interpretation of 12 CFR 1002.9(b)(2) describes both.",
    )  # fmt: skip

    def __init__(self, *given: Any, dataset: Dataset, **named: Any) -> None:
        super().__init__(*given, **named)
        marked = dataset.with_role("sensitive")
        field = self.fields["sensitive"]
        assert isinstance(field, forms.MultipleChoiceField)
        field.choices = [(name, name) for name in marked]
        field.initial = marked

    def rule(self) -> dict[str, Any]:
        names = ("metric", "comparison", "bound", "confidence", "minimum_group_size", "test_unknown")
        return {name: self.cleaned_data[name] for name in names}
