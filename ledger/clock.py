"""Watches the clock that the log shows: the database's. A step back, or over 2 s away from the machine's, is an event.

One event when it begins and one when it is over, however long it lasts and however often the process is restarted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import Error, connection

from ledger.actors import Actor, SystemActor
from ledger.canonical import timestamp
from ledger.door import Done, governed
from ledger.models import Event

EVERY = 5.0  # seconds between two looks
MOST = 2.0  # seconds by which the clocks may differ
AGREE = 1.0  # a difference that has begun is over below this
SLEW = 0.5  # seconds by which a clock that is being led back gently may fall short between two looks
TICK = 0.05  # below the latest time seen, this much is no step yet: other connections write too
WATCHER = SystemActor("sequencer", frozenset({"ledger.report_clock"}))
STEPPED, DRIFTED, RECOVERED = "clock.reversed", "clock.drifted", "clock.recovered"


@dataclass(frozen=True)
class Reading:
    """Both clocks at one moment: `passed` is monotonic, `slack` how far apart the moments of reading may have been."""

    database: datetime
    machine: datetime
    passed: float
    slack: float = 0.0

    @property
    def apart(self) -> float:
        """Seconds by which the database is ahead, as near to nothing as the reading allows."""
        found = (self.database - self.machine).total_seconds()
        return max(found - self.slack, 0.0) if found > 0 else min(found + self.slack, 0.0)


@dataclass(frozen=True)
class Change:
    """`seconds` is how far back or how far apart; `after` names the event that is over."""

    event: str
    seconds: float = 0.0
    after: str = ""


@dataclass
class Judge:
    """Says what begins and what is over. `highest` is the latest time that was seen or written."""

    highest: datetime
    behind: bool = False
    drifting: bool = False
    last: Reading | None = None

    def look(self, now: Reading) -> list[Change]:
        return [*self._step(now), *self._drift(now)]

    def _step(self, now: Reading) -> list[Change]:
        expected = self.highest
        if self.last is not None:
            # A step back by less than the time since the last look never reaches below what was seen.
            passed = timedelta(seconds=now.passed - self.last.passed - self.last.slack - now.slack - SLEW)
            expected = max(expected, self.last.database + passed)
        self.last = now
        back = (expected - now.database).total_seconds()
        began = back > TICK and not self.behind
        over = self.behind and now.database >= self.highest
        if began:
            self.highest = expected
        self.behind = (self.behind or began) and not over
        self.highest = max(self.highest, now.database)
        return [Change(STEPPED, back)] if began else [Change(RECOVERED, after=STEPPED)] if over else []

    def _drift(self, now: Reading) -> list[Change]:
        if not self.drifting and abs(now.apart) > MOST:
            self.drifting = True
            return [Change(DRIFTED, now.apart)]
        if self.drifting and abs(now.apart) < AGREE:
            self.drifting = False
            return [Change(RECOVERED, after=DRIFTED)]
        return []


@governed(permission="ledger.report_clock", event=STEPPED, on=None)
def report_step(*, by: Actor, highest: datetime, seconds: float) -> Done[None]:
    """The database's clock went back: later entries may bear earlier times than those before them."""
    return Done(None, facts={"from": timestamp(highest), "milliseconds": round(seconds * 1000)})


@governed(permission="ledger.report_clock", event=DRIFTED, on=None)
def report_drift(*, by: Actor, seconds: float) -> Done[None]:
    """The database's clock is ahead of the machine's by so much (behind it, where negative)."""
    return Done(None, facts={"milliseconds": round(seconds * 1000)})


@governed(permission="ledger.report_clock", event=RECOVERED, on=None)
def report_recovery(*, by: Actor, clock: str) -> Done[None]:
    """What an earlier event said of the clock is over."""
    return Done(None, facts={"after": clock})


def read() -> Reading:
    """Both clocks, by one question to the database. Raises django.db.Error."""
    with connection.cursor() as cursor:
        before, began = datetime.now(UTC), time.monotonic()
        cursor.execute("SELECT clock_timestamp()")
        (found,) = cursor.fetchone()
        passed = time.monotonic() - began
    return Reading(found, before + timedelta(seconds=passed / 2), began + passed / 2, passed / 2)


def resume() -> Judge:
    """Go on from what the log says: its latest time, and whether something about the clock is not over yet."""
    latest = Event.objects.order_by("-time").values_list("time", flat=True).first()
    judge = Judge(latest or datetime.min.replace(tzinfo=UTC))
    for event in (STEPPED, DRIFTED):
        began = Event.objects.filter(event=event, actor_kind="system").order_by("-id").first()
        if began is None:
            continue
        ends = Event.objects.filter(event=RECOVERED, actor_kind="system", id__gt=began.pk).order_by("-id")[:20]
        lasts = all(end.content["facts"]["after"] != event for end in ends)
        if event == STEPPED:
            judge.behind = lasts
        else:
            judge.drifting = lasts
    return judge


class ClockWatch:
    """Call `tick` often, from one thread. `say` gets a sentence for whoever runs this."""

    def __init__(self, say: Callable[[str], None], read: Callable[[], Reading] = read) -> None:
        self.say, self.read = say, read
        self.judge: Judge | None = None
        self.due = 0.0
        self.away = False

    def tick(self) -> None:
        """Look, at most every five seconds. A database that does not answer is somebody else's alarm."""
        if time.monotonic() < self.due:
            return
        self.due = time.monotonic() + EVERY
        try:
            self.judge = self.judge or resume()
            for change in self.judge.look(self.read()):
                self.report(change, self.judge.highest)
            self.away = False
        except Error as error:
            self.judge = None  # what could not be written is found again
            connection.close()
            if not self.away:
                self.say(f"The clocks cannot be compared at present: {str(error).strip()}")
            self.away = True

    def report(self, change: Change, highest: datetime) -> None:
        if change.event == STEPPED:
            report_step(by=WATCHER, highest=highest, seconds=change.seconds)
            self.say(f"ALARM: the database's clock went back by {change.seconds:.1f} s. Find out who set it, and why.")
        elif change.event == DRIFTED:
            report_drift(by=WATCHER, seconds=change.seconds)
            self.say(f"ALARM: the database's clock is {change.seconds:+.1f} s from this machine's. See to both clocks.")
        else:
            report_recovery(by=WATCHER, clock=change.after)
            self.say(f"The database's clock is right again (after {change.after}).")
