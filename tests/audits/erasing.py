"""Steps of an erasure, for tests of asking and of carrying out."""

from __future__ import annotations

import pytest

from accounts.models import Role
from accounts.services import add_account, grant_role
from audits.erasing.choosing import Choice
from audits.erasing.services import approve, request_erasure
from ledger.actors import SystemActor
from ledger.models import Disclosure
from ledger.refusals import Refusal
from tests.worlds import a_model

CONSOLE = SystemActor("console", frozenset({"accounts.grant_role", "accounts.add_account", "audits.carry_out_erasure"}))
WHY = "She asked us to, in her letter of 3 March."


def somebody_who_leaves(cast):
    person = add_account(by=cast.platform_admin, name="Zora Quist", email="zora@example.org")
    role = Role.objects.get(slug="developer")
    grant_role(by=cast.platform_admin, account=person, role=role, team=cast.team, reason="Zora joins the project")
    a_model(cast, name="Letters", by=person)
    return person


def asked(cast, person, by=None, labels=(), **more):
    choice = Choice("person", str(person.opaque_id), tuple(labels))
    return request_erasure(by=by or cast.platform_admin, choice=choice, ground="objection", reason=WHY, **more)


def agreed(cast, person, **more):
    erasure = asked(cast, person, **more)
    approve(by=cast.risk_officer, erasure=erasure)
    return erasure


def refused(code, act, **arguments):
    with pytest.raises(Refusal) as refusal:
        act(**arguments)
    assert refusal.value.code == code
    return refusal.value.sentence


def second_risk_officer(cast, granted_by=CONSOLE):
    person = add_account(by=CONSOLE, name="Rita Stern", email="rita@example.org")
    grant_role(by=granted_by, account=person, role=Role.objects.get(slug="risk_officer"), team=None, reason="deputy")
    return person


def state_of(erasure):
    erasure.refresh_from_db()
    return erasure.state


def left(person):
    """Labels by which the log still tells who they are."""
    found = Disclosure.objects.filter(value__in=(person.name, person.email))
    return sorted(found.values_list("event__event", "label"))


def second_risk_officer_who_grants(cast):
    person = add_account(by=CONSOLE, name="Paula Both", email="paula@example.org")
    for slug in ("risk_officer", "platform_administrator"):
        role = Role.objects.get(slug=slug)
        grant_role(by=CONSOLE, account=person, role=role, team=None, reason="both", accept_conflict=True,
                   conflict_reason="for the test")  # fmt: skip
    return person
