"""A question for a report as its page puts it: a form, rows of further rules, and the address that fills both in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse

from fairness.forms import RULE_FIELDS, FurtherRuleForm, ReportForm
from ledger.refusals import Refusal
from registry.models import Dataset

MOST_FURTHER = 7
MANY = "further.many"


@dataclass
class Asking:
    """The form and its rows of further rules."""

    form: ReportForm
    rows: list[FurtherRuleForm]

    @classmethod
    def sent(cls, dataset: Dataset, data: QueryDict) -> Asking:
        rows = [FurtherRuleForm(data, prefix=f"further.{number}") for number in range(many(data))]
        return cls(ReportForm(data, dataset=dataset), rows)

    @classmethod
    def shown(cls, dataset: Dataset, data: QueryDict, act: str = "") -> Asking:
        """Filled in by an address, or, after one of the form's buttons (`add`, `remove:2`), as it was typed."""
        made = cls(ReportForm(dataset=dataset), [FurtherRuleForm(prefix=f"further.{n}") for n in range(many(data))])
        for form in (made.form, *made.rows):
            form.showing(data, bool(act))
        verb, _, which = act.partition(":")
        if verb == "add" and len(made.rows) < MOST_FURTHER:
            made.rows.append(FurtherRuleForm())
        elif verb == "remove" and which.isdecimal():
            del made.rows[int(which) : int(which) + 1]
        for number, row in enumerate(made.rows):
            row.prefix = f"further.{number}"
        return made

    def is_valid(self) -> bool:
        return not self.errors

    @property
    def errors(self) -> bool:
        return any(each.errors for each in (self.form, *self.rows))

    @property
    def full(self) -> bool:
        return len(self.rows) >= MOST_FURTHER

    def refused(self, refusal: Refusal) -> None:
        """Put a refusal beside the field that it names."""
        field = refusal.field or ""
        _, _, place = field.partition("further_rules.")
        number, _, name = place.partition(".")
        if number.isdecimal() and int(number) < len(self.rows):
            self.rows[int(number)].add_error(name or "bound", refusal.sentence)
        else:
            self.form.refuse(refusal)


def many(data: Mapping[str, Any]) -> int:
    said = str(data.get(MANY, ""))
    return min(int(said), MOST_FURTHER) if said.isdecimal() and len(said) < 4 else 0


def address(
    version: int, *, what: str, rules: Iterable[Mapping[str, Any]], attributes: Mapping[str, str], weights: str,
    purposes: Iterable[str], positive: str = "",
) -> str:  # fmt: skip
    """The page that asks for a report, filled in: rules (the first and those beside it), attributes with the group to
    compare each with (all, and the largest, where there are none), kind of weights, what its rows should be for, and
    what their positive class should be.
    """
    first, *further = rules
    said = [("what", what), *told("", first), (MANY, len(further))]
    said += [pair for number, rule in enumerate(further) for pair in told(f"further.{number}-", rule)]
    said += [("sensitive", name) for name in attributes]
    said += [("reference", f"{name}: {group}") for name, group in attributes.items() if group]
    said += [("weight_kind", weights), *(("purpose", each) for each in purposes)]
    said += [("positive", positive)] if positive else []
    return f"{reverse('report-new', args=[version])}?{urlencode(said)}"


def told(prefix: str, rule: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(f"{prefix}{name}", rule[name]) for name in RULE_FIELDS]
