"""What the health check and the pages say of the log: sealing, behind, stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from django.db import connection
from django.test import Client

from accounts.services import add_team
from ledger.actors import SystemActor
from ledger.sequencer.lead import try_lead
from portal import health
from portal.health import LogState

CONSOLE = SystemActor("console", frozenset({"accounts.add_team"}))
DELAY = "The log has not been sealed since"


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    health.KNOWN.clear()
    yield
    health.KNOWN.clear()


@pytest.fixture
def leader(committing_db) -> Iterator[object]:
    """A connection that leads, and seals nothing."""
    with closing(psycopg2.connect(os.environ["SEQUENCER_DATABASE_URL"], dbname=committing_db)) as leading:
        leading.autocommit = True
        assert try_lead(leading)
        yield leading


def asked() -> dict[str, Any]:
    health.KNOWN.clear()
    answer = Client().get("/readyz")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()["log"]
    return found


def act() -> None:
    add_team(by=CONSOLE, name=f"Team {time.time_ns()}", slug=f"t{time.time_ns()}")


def waited(owner_cursor, seconds: int) -> None:
    """Put the time of what is pending back, as only the owner of the tables can."""
    owner_cursor.execute("ALTER TABLE ledger_event DISABLE TRIGGER append_only")
    owner_cursor.execute(
        "UPDATE ledger_event SET time = time - %s * interval '1 second'"
        " WHERE id IN (SELECT event_id FROM ledger_pending)",
        [seconds],
    )
    owner_cursor.execute("ALTER TABLE ledger_event ENABLE ALWAYS TRIGGER append_only")


def test_a_log_that_is_sealed_says_so(leader):
    found = asked()
    assert found["state"] == "sealing"
    assert (found["pending"], found["oldest_seconds"]) == (0, None)
    assert found["size"]


def test_without_a_sequencer_it_is_stopped_and_acts_are_counted(committing_db):
    act()
    found = asked()
    assert (found["state"], found["pending"]) == ("stopped", 1)
    assert 0 <= found["oldest_seconds"] < 60


def test_a_sequencer_that_lets_acts_wait_over_a_minute_is_behind(leader, owner_cursor):
    act()
    assert asked()["state"] == "sealing"
    waited(owner_cursor, 61)
    found = asked()
    assert (found["state"], found["pending"]) == ("behind", 1)
    assert found["oldest_seconds"] > 60


def test_those_who_read_the_log_are_told_on_every_page_and_nobody_else(committing_db, cast, signed_in, owner_cursor):
    act()
    readers, others = (cast.auditor, cast.risk_officer), (cast.developer, cast.outsider)
    assert DELAY not in signed_in(cast.auditor).get("/models/").content.decode()
    waited(owner_cursor, 30)
    health.KNOWN.clear()
    for person in readers:
        page = signed_in(person).get("/models/").content.decode()
        assert DELAY in page
        assert "acts are recorded and wait (1). No sequencer is at work." in page
    for person in others:
        assert DELAY not in signed_in(person).get("/models/").content.decode()
    assert DELAY not in Client().get("/sign-in/").content.decode()


def test_one_answer_serves_two_seconds(committing_db, django_assert_num_queries):
    first = health.log_state()
    with django_assert_num_queries(0):
        assert health.log_state() is first
    name = connection.settings_dict["NAME"]
    health.KNOWN[name] = (time.monotonic() - 2.1, first)
    assert health.log_state() is not first


@pytest.mark.parametrize(
    ("state", "oldest", "told"),
    [
        ("sealing", 59, False),
        ("behind", 61, True),
        ("stopped", 11, True),
        ("stopped", 9, False),
        ("stopped", None, False),
    ],
)
def test_a_moments_delay_is_not_spoken_of(state, oldest, told):
    assert LogState(state, 1, oldest, 5, None).delayed is told


def test_a_database_that_is_away_takes_the_portal_out_of_rotation(committing_db):
    before = dict(connection.settings_dict)
    connection.close()
    connection.settings_dict.update(HOST="127.0.0.1", PORT="1")
    try:
        answer = Client().get("/readyz")
        assert (answer.status_code, answer.json()) == (503, {"status": "unavailable", "missing": "database"})
        assert Client().get("/healthz").status_code == 200
    finally:
        connection.close()
        connection.settings_dict.update(before)
