"""Five fields of cron, as in crontab(5), in UTC: when a batch is due next. Knows no framework.

Where day of month and day of week are both said, a day fits that is either, as crontab(5) has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 7))
# 29 February is at most eight years away, over a century without a leap day.
LOOK_AHEAD = timedelta(days=366 * 8 + 1)


class NotCron(ValueError):
    """The text is no schedule; says why in a sentence."""


@dataclass(frozen=True)
class Cron:
    """The values that fit in each field. Days of the week are 0 (Sunday) to 6."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    def fits(self, day: datetime) -> bool:
        """Whether there is a time on this day."""
        if day.month not in self.months:
            return False
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return of_month or of_week if self.either_day else of_month and of_week

    def after(self, moment: datetime) -> datetime:
        """The first time after a moment. Raises NotCron where there is none, as on 30 February."""
        at = moment.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        end = at + LOOK_AHEAD
        while at < end:
            if self.fits(at):
                hours = sorted(hour for hour in self.hours if hour >= at.hour)
                for hour in hours:
                    least = at.minute if hour == at.hour else 0
                    if minutes := [minute for minute in self.minutes if minute >= least]:
                        return at.replace(hour=hour, minute=min(minutes))
            at = at.replace(hour=0, minute=0) + timedelta(days=1)
        raise NotCron("There is no such day. Choose one that comes.")


def parsed(text: str) -> Cron:
    """From `30 4 * * 1-5`. Raises NotCron."""
    parts = text.split()
    if len(parts) != len(FIELDS):
        names = ", ".join(name for name, _, _ in FIELDS)
        raise NotCron(f"A schedule has five fields: {names}. This has {len(parts)}.")
    minutes, hours, days, months, weekdays = (
        values(part, *field) for part, field in zip(parts, FIELDS, strict=True)
    )  # fmt: skip
    both = not parts[2].startswith("*") and not parts[4].startswith("*")
    return Cron(minutes, hours, days, months, frozenset(day % 7 for day in weekdays), both)


def values(text: str, name: str, low: int, high: int) -> frozenset[int]:
    """What a field allows: `*`, numbers, ranges `1-5`, steps `*/2` or `1-9/2`, and lists of these."""
    found: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            first, last = str(low), str(high)
        elif not dash:
            # A step goes on to the end of the field, as in `5/20`.
            last = str(high) if slash else first
        numbers = (first, last, step if slash else "1")
        if not all(number.isascii() and number.isdecimal() and len(number) <= 2 for number in numbers):
            raise NotCron(f"“{text}” is no {name}: write numbers, *, ranges (1-5), steps (*/2) and lists (1,3).")
        start, end, stride = map(int, numbers)
        if not low <= start <= end <= high or not stride:
            raise NotCron(f"“{text}” is no {name}: it goes from {low} to {high}.")
        found.update(range(start, end + 1, stride))
    return frozenset(found)
