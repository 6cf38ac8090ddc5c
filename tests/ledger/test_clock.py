"""The watch on the database's clock: pure judgement on invented readings, and its events in a real log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import clock
from ledger.clock import DRIFTED, RECOVERED, STEPPED, ClockWatch, Judge, Reading
from ledger.models import Event

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(database: float, machine: float | None = None, passed: float | None = None, slack: float = 0.0) -> Reading:
    """A reading by seconds after noon; what is not said agrees with the machine."""
    machine = database if machine is None else machine
    passed = machine if passed is None else passed
    return Reading(NOON + timedelta(seconds=database), NOON + timedelta(seconds=machine), passed, slack)


def judged(judge: Judge, *readings: Reading) -> list[tuple[str, float, str]]:
    return [(one.event, round(one.seconds, 3), one.after) for now in readings for one in judge.look(now)]


def test_clocks_that_agree_are_not_mentioned():
    assert judged(Judge(NOON), *(at(second, second + 1.9) for second in range(0, 60, 5))) == []


def test_a_step_back_is_said_once_and_its_end_once():
    judge = Judge(NOON)
    steps = [at(100), at(40, 105), at(45, 110), at(41, 115), at(99, 120), at(101, 125), at(106, 130)]
    found = [one for one in judged(judge, *steps) if DRIFTED not in one]
    assert found == [(STEPPED, 64.5, ""), (RECOVERED, 0.0, STEPPED)]


def test_a_step_shorter_than_the_time_between_two_looks_is_seen():
    assert judged(Judge(NOON), at(100), at(103, 105), at(109, 110)) == [(STEPPED, 1.5, ""), (RECOVERED, 0.0, STEPPED)]


def test_a_clock_that_is_led_back_gently_is_no_step():
    assert judged(Judge(NOON), at(100), at(104.6, 105), at(109.2, 110)) == []


def test_a_clock_behind_what_the_log_says_already_is_seen_at_the_first_look():
    assert judged(Judge(NOON + timedelta(hours=1)), at(0)) == [(STEPPED, 3600.0, "")]
    assert judged(Judge(NOON + timedelta(hours=1), behind=True), at(0)) == []


def test_drift_is_said_once_and_ends_only_when_the_clocks_agree_again():
    steps = [at(5, 0), at(12, 5), at(12.5, 10), at(16.5, 15), at(20.9, 20), at(28, 25)]
    found = [one for one in judged(Judge(NOON), *steps) if STEPPED not in one]
    assert found == [(DRIFTED, 5.0, ""), (RECOVERED, 0.0, DRIFTED), (DRIFTED, 3.0, "")]


def test_a_database_that_lags_has_drifted_too():
    assert judged(Judge(NOON), at(3, 10)) == [(DRIFTED, -7.0, "")]


def test_a_slow_answer_is_no_drift():
    assert judged(Judge(NOON), at(5, 0, slack=3.5)) == []
    assert judged(Judge(NOON), at(5, 10, slack=3.5)) == []
    assert judged(Judge(NOON), at(5, 0, slack=2.5)) == [(DRIFTED, 2.5, "")]


def test_a_machine_whose_own_clock_is_set_makes_no_step():
    found = judged(Judge(NOON), at(100, 100, 100), at(105, 50, 105), at(110, 110, 110))
    assert found == [(DRIFTED, 55.0, ""), (RECOVERED, 0.0, DRIFTED)]


@given(st.lists(st.tuples(st.floats(-100, 100), st.floats(0, 60)), max_size=30))
def test_each_thing_begins_before_it_ends_and_never_twice(steps):
    judge, passed, open_ = Judge(NOON), 0.0, set()
    for jump, wait in steps:
        passed += wait
        for one in judge.look(at(passed + jump, passed)):
            if one.event == RECOVERED:
                open_.remove(one.after)
            else:
                assert one.event not in open_
                open_.add(one.event)
    assert open_ == {name for name, on in ((STEPPED, judge.behind), (DRIFTED, judge.drifting)) if on}


class Script:
    """Plays readings as they come due."""

    def __init__(self, base: datetime, *readings: tuple[float, float]) -> None:
        self.base, self.readings = base, list(readings)

    def __call__(self) -> Reading:
        database, machine = self.readings.pop(0)
        return Reading(self.base + timedelta(seconds=database), self.base + timedelta(seconds=machine), machine)


def play(script: Script) -> list[str]:
    """One life of the watching process: what it said."""
    said: list[str] = []
    watch = ClockWatch(said.append, script)
    while script.readings:
        watch.due = 0.0
        watch.tick()
    return said


def clock_events() -> list[tuple[str, dict[str, object]]]:
    rows = Event.objects.filter(event__startswith="clock.").order_by("id")
    return [(row.event, row.content["facts"]) for row in rows]


@pytest.mark.usefixtures("committing_db")
def test_each_is_one_event_however_often_the_process_is_restarted():
    now = clock.read().database + timedelta(seconds=1)
    assert play(Script(now, (0, 0), (5, 5))) == []
    said = play(Script(now, (10, 10), (2, 15), (7, 20)))
    assert [line.partition(":")[0] for line in said] == ["ALARM", "ALARM"]
    assert play(Script(now, (-30, 25), (-25, 30))) == []
    assert "right again (after clock.drifted)" in play(Script(now, (40, 40), (45, 45)))[-1]
    names = [name for name, _ in clock_events()]
    assert sorted(names) == sorted([STEPPED, DRIFTED, RECOVERED, RECOVERED])
    row = Event.objects.get(event=STEPPED)
    assert (row.actor_kind, row.actor_id, row.team_id, row.outcome) == ("system", "sequencer", None, "done")
    assert row.content["facts"]["milliseconds"] == 12500
    assert hasattr(row, "pending")


@pytest.mark.usefixtures("committing_db")
def test_the_real_clocks_agree_and_are_looked_at_only_now_and_then():
    said: list[str] = []
    looks: list[Reading] = []

    def counted() -> Reading:
        looks.append(clock.read())
        return looks[-1]

    watch = ClockWatch(said.append, counted)
    for _ in range(3):
        watch.tick()
    assert (said, len(looks)) == ([], 1)
    assert abs(looks[0].apart) < 1
    assert clock_events() == []


@pytest.mark.usefixtures("committing_db")
def test_a_database_that_is_away_ends_nothing():
    from django.db import OperationalError

    def away() -> Reading:
        raise OperationalError("server closed the connection")

    said: list[str] = []
    watch = ClockWatch(said.append, away)
    for _ in range(3):
        watch.due = 0.0
        watch.tick()
    assert said == ["The clocks cannot be compared at present: server closed the connection"]
    watch.read, watch.due = clock.read, 0.0
    watch.tick()
    assert len(said) == 1
