"""The days around a bias audit: what 6 RCNY §§ 5-301, 5-303 and 5-304 tie to dates. Pure; no clock.

A business day is a Monday to Friday here. Public holidays are not known: each one in between moves the day by one.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from fairness.ll144.problems import Wrong

NOTICE_DAYS = 10
POSTED_MONTHS = 6
DAYS = {
    "audit_date": "the date of the audit",
    "distribution_date": "the distribution date",
    "notice_date": "the day of the notice",
    "latest_use": "the latest use",
}


def business_days_after(day: date, days: int) -> date:
    """The day so many Mondays to Fridays later."""
    while days:
        day += timedelta(days=1)
        days -= day.weekday() < 5
    return day


def months_after(day: date, months: int) -> date:
    """The same day of a later month; where that month is too short, the first of the next."""
    at = day.year * 12 + day.month - 1 + months
    year, month = at // 12, at % 12 + 1
    if day.day <= calendar.monthrange(year, month)[1]:
        return date(year, month, day.day)
    return date(year + month // 12, month % 12 + 1, 1)


def a_year_after(day: date) -> date:
    """The last day on which no more than a year has passed: of 29 February it is 28 February."""
    same = months_after(day, 12)
    return same if same.day == day.day else same - timedelta(days=1)


def check(days: Mapping[str, date | None], today: date) -> None:
    """Raises Wrong `date_in_future`, `distribution_missing` or `use_before_distribution`."""
    for field in ("audit_date", "latest_use"):
        day = days.get(field)
        if day is not None and day > today:
            sentence = f"{DAYS[field].capitalize()} lies in the future. Give a day that has been."
            raise Wrong("date_in_future", sentence, field)
    began, used = days.get("distribution_date"), days.get("latest_use")
    if used is not None and began is None:
        sentence = "A tool that was used has a distribution date: the day on which its use began."
        raise Wrong("distribution_missing", sentence, "distribution_date")
    if used is not None and began is not None and used < began:
        raise Wrong("use_before_distribution", "The latest use lies before the day on which use began.", "latest_use")


def schedule(days: Mapping[str, date | None]) -> dict[str, Any]:
    """What follows from the dates, as ISO days (None where a date is not given), and what stands against them."""
    audited, began = days.get("audit_date"), days.get("distribution_date")
    noticed, used = days.get("notice_date"), days.get("latest_use")
    usable = business_days_after(noticed, NOTICE_DAYS) if noticed else None
    current = a_year_after(audited) if audited else None
    remarks = []
    if began and usable and began < usable:
        remarks.append("Use began earlier than 10 business days after the notice (§ 5-304).")
    if began and audited and began < audited:
        remarks.append("Use began before the date of this audit; an earlier audit has to cover that time (§ 5-301(a)).")
    if used and current and used > current:
        remarks.append("The tool was used more than a year after this audit (§ 5-301(a)).")
    return {
        **{name: _iso(days.get(name)) for name in DAYS},
        "usable_from": _iso(usable),
        "current_until": _iso(current),
        "posted_until": _iso(months_after(used, POSTED_MONTHS) if used else None),
        "remarks": remarks,
    }


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None
