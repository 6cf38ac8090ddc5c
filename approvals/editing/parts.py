"""A form for each part of a policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.forms.utils import ErrorDict
from django.http import QueryDict

from accounts.models import Role
from approvals import frameworks
from approvals.forms import area
from approvals.standing_in import SIGNS
from approvals.workflow import CHANGE_TITLES, CHANGES_FROM, frames
from approvals.workflow import policy as words
from fairness.services import KIND_WORDS
from registry.services.evidence import KINDS

# What comes after the largest.
FROM_ON = {CHANGES_FROM[-1]: CHANGE_TITLES[CHANGES_FROM[-1]]}


def several(
    names: tuple[str, ...] | Mapping[str, str], label: str, help_text: str = ""
) -> forms.MultipleChoiceField:  # fmt: skip
    named = names if isinstance(names, Mapping) else {name: name.replace("_", " ") for name in names}
    return forms.MultipleChoiceField(
        choices=list(named.items()), required=False, label=label, help_text=help_text,
        widget=forms.CheckboxSelectMultiple,
    )  # fmt: skip


def one(choices: list[tuple[str, str]], label: str, help_text: str = "") -> forms.ChoiceField:
    return forms.ChoiceField(choices=choices, label=label, help_text=help_text)


def text(label: str, help_text: str = "", *, most: int = 120, rows: int = 0) -> forms.CharField:
    widget = area(rows) if rows else forms.TextInput(attrs={"spellcheck": "true"})
    return forms.CharField(max_length=most, label=label, help_text=help_text, widget=widget)


def number(label: str, help_text: str = "", *, required: bool = True, least: int = 1) -> forms.IntegerField:
    return forms.IntegerField(label=label, help_text=help_text, required=required, min_value=least)


def lines(label: str, help_text: str) -> forms.CharField:
    return forms.CharField(required=False, label=label, help_text=help_text, widget=area(2))


class Part(forms.Form):
    """One part of a policy. What is right is for `workflow.documents` to say, so that form and text agree."""

    _errors: ErrorDict | None

    def full_clean(self) -> None:
        self._errors, self.cleaned_data = ErrorDict(), {}

    def raw(self) -> dict[str, Any]:
        return {
            name: widget.widget.value_from_datadict(self.data, self.files, self.add_prefix(name))
            for name, widget in self.fields.items()
        }

    @classmethod
    def shown(cls, values: Mapping[str, Any], prefix: str) -> Part:
        """The form with these values in it and no errors yet; `add_error` puts them in."""
        form = cls(prefix=prefix)
        data = QueryDict(mutable=True)
        for name, value in values.items():
            said = value if isinstance(value, (list, tuple)) else [] if value in (None, False) else [value]
            data.setlist(form.add_prefix(name), ["on" if each is True else str(each) for each in said])
        return cls(data, prefix=prefix)


class Applies(Part):
    """The fields of a `when`, at the end of a rule's form."""

    tiers = several(words.TIERS, "Only for these risk tiers", "None ticked: for all.")
    environments = several(words.ENVIRONMENTS, "Only in these environments", "None ticked: in all.")
    uses = forms.CharField(
        required=False,
        label="Only for these uses",
        help_text="With commas between, such as mortgage-screening. Empty: all.",
    )
    material_change = one(
        [("", "Any"), *((kind, FROM_ON.get(kind, f"{CHANGE_TITLES[kind]}, or more")) for kind in CHANGES_FROM)],
        "From how large a change on", "Against the approval before it. Where none holds, all is new.",
    )  # fmt: skip


class PolicyPart(Part):
    title = text("Title")
    slug = text("Short name", "In small letters, digits and hyphens. It stays, whatever the title becomes.", most=60)
    summary = text("Summary", "One or two sentences: what it asks for, and why.", most=1000, rows=2)
    frameworks = several((), "Frameworks it is for")
    valid_days = number("Approvals hold for (days)")
    max_pinned_days = number(
        "A request may be under way for (days)", "Then it needs a new revision under today's policy. Empty: no limit.",
        required=False,
    )  # fmt: skip
    max_lease_seconds = number(
        "A gateway that cannot ask the gate serves on for (seconds)",
        "At most, from 2 to 3,600. Then it refuses until it can ask again. Empty: as long as its own setting.",
        required=False, least=2,
    )  # fmt: skip
    factor = one(
        [("password", "Password"), ("second_factor", "Password and a second factor, or a passkey")],
        "Proof of identity when signing",
    )
    deactivated_signer = one(
        [("keeps", "Their signature keeps counting"), ("suspends", "What they signed is suspended")],
        "When somebody who signed leaves",
    )
    block = several(words.SEVERITIES, "Open findings that block", "Of these severities.")
    overdue = one([("suspends", "Suspends the approval"), ("reminds", "Only reminds")], "A finding past its due date")
    conditions = forms.BooleanField(required=False, label="May be approved with conditions")
    anchor_outside = forms.BooleanField(
        required=False, label="Signatures count once the log is anchored outside the portal"
    )
    emergency_people = number(
        "In an emergency so many people together", "Empty: no emergency approval.", required=False
    )
    emergency_hours = number("may let it serve for so many hours", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(each.id, each.short) for each in frameworks.everything().values()]
        self.fields["frameworks"].choices = choices  # type: ignore[attr-defined]


class EvidencePart(Applies):
    title = text("What has to be there")
    slug = text("Short name", most=60)
    kind = one(list({**KIND_WORDS, **KINDS}.items()), "Kind")
    source = one(
        [("", "any"), ("model", "the model's own predictions"), ("historical", "the historical decisions")], "About"
    )
    provenance = one([("computed", "computed here"), ("", "anybody")], "Made by")
    bound_to = several(words.BOUND, "About exactly this")
    verdicts = one(
        [("acknowledge", "is a known limitation, which each signer acknowledges"), ("within_only", "blocks")],
        "A verdict that is not within bounds",
    )
    max_age_days = number("At most so many days old", "Empty: any age.", required=False)
    runs = one(
        [("chosen", "those that the submitter attaches"), ("all", "every one, so that nobody picks the best of many")],
        "Of the reports computed here",
    )
    field_order = ("title", "slug", "kind", "source", "provenance", "bound_to", "verdicts", "max_age_days", "runs")


class FramePart(Part):
    """What a bias report has to be, beside its rules. Lists are typed one a line."""

    attributes = lines(
        "Groups by these columns",
        "One a line; after a colon the group to compare with, as in “race: white”, else the largest. Empty: by all "
        "that a dataset marks as sensitive.",
    )
    positive = forms.CharField(
        required=False, label="Positive class", help_text="The outcome that a yes is, such as 1. Empty: the dataset's."
    )
    purposes = several(frames.PURPOSES, "Rows for", "None ticked: for anything.")
    exclusions = lines("Rows may be left out for these reasons", "One a line, as the data say it. Empty: no row may.")
    weights = one([(name, name) for name in frames.WEIGHTS], "Weights of rows")
    correction = one(
        [(name, f"{words} method, over all groups of all rules") for name, words in frames.CORRECTIONS.items()],
        "The rules are corrected together by",
    )


class FrameRulePart(Part):
    metric = one([(name, frames.plain(name)) for name in frames.METRICS], "Metric")
    comparison = one(
        [(name, words.format(bound="the bound")) for name, words in frames.COMPARISONS.items()], "Compared as"
    )
    bound = forms.CharField(label="Bound", help_text="From 0.001 to 1, such as 0.8.")
    confidence = forms.CharField(label="Confidence", help_text="From 0.5 to 0.999, such as 0.95.")
    minimum_group_size = number("Smallest group to test")
    test_unknown = forms.BooleanField(
        required=False, label="People whose attribute is missing are tested as a group of their own"
    )


class StagePart(Part):
    title = text("Stage")
    slug = text("Short name", most=60)


class RequirementPart(Applies):
    title = text("What is signed")
    slug = text("Short name", most=60)
    role = one([], "By")
    count = number("So many different people")
    scope = one([("team", "of the model's team"), ("house", "of the whole house")], "Who hold the role")
    distinct_from = several(
        words.DISTINCT, "None of these", "Submitter, contributors and producers of evidence always."
    )
    meaning = text("Meaning of the signature", "In the words of who signs.", most=1000, rows=3)
    carry_over_if = several(
        words.CARRIES, "In a later revision it goes on counting if all of these are as they were",
        "None ticked: it has to be signed anew.",
    )  # fmt: skip
    field_order = ("title", "slug", "role", "count", "scope", "distinct_from", "meaning", "carry_over_if")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        roles = Role.objects.filter(permissions__contains=[SIGNS]).values_list("slug", "name")
        self.fields["role"].choices = list(roles)  # type: ignore[attr-defined]
