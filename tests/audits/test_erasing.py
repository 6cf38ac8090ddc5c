"""Erasing what the log discloses: two people, no hold, and afterwards everything still verifies."""

from __future__ import annotations

import os

import psycopg2
import pytest
from django.db import DatabaseError, transaction

from accounts.models import Role, User
from accounts.services import add_account, grant_role
from audits import reading
from audits.erasing import rules
from audits.erasing.carrying import Eraser, carry_out
from audits.erasing.choosing import Choice, preview
from audits.erasing.models import Erasure, ErasureItem, Hold
from audits.erasing.services import approve, lift_hold, place_hold, record_carried_out, reject, request_erasure
from audits.search import saying
from ledger.actors import SystemActor
from ledger.models import Disclosure, Event
from ledger.refusals import Denied, Refusal
from tests.sealing import connect

CONSOLE = SystemActor("console", frozenset({"accounts.grant_role", "accounts.add_account", "audits.carry_out_erasure"}))
WHY = "She asked us to, in her letter of 3 March."


def a_person_who_left(cast):
    """Somebody whose name, mail address and doings stand in the log."""
    person = add_account(by=cast.platform_admin, name="Zora Quist", email="zora@example.org", password=cast.password)
    grant_role(by=cast.platform_admin, account=person, role=Role.objects.get(slug="developer"), team=cast.team,
               reason="Zora joins the scoring project")  # fmt: skip
    from tests.worlds import a_model

    a_model(cast, name="Zora's model", by=person)
    return person


def asked(cast, person, by=None, labels=(), **more):
    choice = Choice("person", str(person.opaque_id), tuple(labels))
    return request_erasure(by=by or cast.platform_admin, choice=choice, ground="objection", reason=WHY, **more)


@pytest.fixture
def risk_officer(cast):
    return cast.risk_officer


@pytest.fixture
def leaver(cast):
    return a_person_who_left(cast)


@pytest.fixture
def eraser(committing_db):
    connection = connect(committing_db)
    yield connection
    connection.close()


def refused(code, act, **arguments):
    with pytest.raises(Refusal) as refusal:
        act(**arguments)
    assert refusal.value.code == code
    return refusal.value.sentence


def test_all_of_it(committing_db, cast, seal, leaver, eraser):
    erasure = asked(cast, leaver)
    approve(by=cast.risk_officer, erasure=erasure)
    seal()
    assert saying(Event.objects.all(), "quist").exists()
    assert carry_out(eraser) == 1
    erasure.refresh_from_db()
    assert erasure.state == "carried_out"
    assert not saying(Event.objects.all(), "quist").exists()
    assert not Disclosure.objects.filter(value__icontains="zora@example.org").exists()
    done = Event.objects.get(event="erasure.carried_out")
    assert done.content["facts"]["digest"] == erasure.digest
    assert carry_out(eraser) == 0
    with eraser.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("countersign_sequencer",)
