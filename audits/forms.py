from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms

from accounts.forms import ActForm
from accounts.models import Team
from audits.exports.needs import Need, articles_for

KINDS = {
    "pdf": "PDF, to be read and handed in",
    "csv": "CSV, for spreadsheets",
    "jsonl": "JSON Lines, with the exact bytes of each event",
    "parquet": "Parquet, for analysis",
    "bundle": "Log bundle: the whole log with its proof and a program that checks it",
}
DAY = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


class ExportForm(ActForm):
    kind = forms.ChoiceField(label="Format", initial="jsonl", widget=forms.RadioSelect, choices=list(KINDS.items()))


class NeedForm(ActForm):
    """What to narrow an export by, for one need; it has only the fields that make sense for that need."""

    model: Any = forms.ModelChoiceField(label="Model", queryset=None, empty_label="choose one")
    team: Any = forms.ModelChoiceField(label="Team", queryset=None, required=False, empty_label="the whole house")
    first = forms.DateField(
        label="First day",
        widget=DAY,
        required=False,
        help_text="In UTC, included. Leave it empty to begin with the log.",
    )
    last = forms.DateField(
        label="Last day", widget=DAY, required=False, help_text="In UTC, included. Leave it empty to end with today."
    )
    article = forms.ChoiceField(
        label="By which rule it is asked for",
        required=False,
        help_text="It is printed on the export, and narrows nothing.",
    )
    kind = forms.ChoiceField(label="Format", widget=forms.RadioSelect)

    def __init__(self, *args: Any, need: Need, models: Any, teams: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["model"].queryset = models  # type: ignore[attr-defined]
        self.fields["team"].queryset = teams  # type: ignore[attr-defined]
        self.fields["kind"].choices = [(kind, KINDS[kind]) for kind in need.kinds]  # type: ignore[attr-defined]
        self.fields["kind"].initial = need.kinds[0]
        rules = [(article.slug, f"{article.name}: {article.asks}") for article in articles_for(need)]
        self.fields["article"].choices = [("", "none in particular"), *rules]  # type: ignore[attr-defined]
        offered = {"model": "model", "team": "team", "first": "period", "last": "period"}
        for name, asked in offered.items():
            if asked not in need.asks:
                del self.fields[name]
        if not rules:
            del self.fields["article"]
        if len(need.kinds) == 1:
            self.fields["kind"].widget = forms.HiddenInput()

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        first, last = given.get("first"), given.get("last")
        if first and last and last < first:
            self.add_error("last", "The last day is before the first one. Exchange the two.")
        return given

    def filters(self) -> dict[str, str]:
        """The period and the team as filters of the log."""
        given = self.cleaned_data
        team: Team | None = given.get("team")
        found = {
            "since": beginning(given.get("first")),
            "until": beginning(next_day(given.get("last"))),
            "team": str(team.pk) if team else "",
        }
        return {name: value for name, value in found.items() if value}


def next_day(day: date | None) -> date | None:
    return day + timedelta(days=1) if day and day < date.max else None


def beginning(day: date | None) -> str:
    return datetime.combine(day, time(), UTC).isoformat().replace("+00:00", "Z") if day else ""
