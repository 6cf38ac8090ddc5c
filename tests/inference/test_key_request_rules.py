"""When keys take two people, and how a request stands: all that can be, and that the database says the same."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta

import pytest
from django.db import IntegrityError, transaction

from inference.keyrequests.models import KeyRequest
from inference.keyrequests.rules import KEY_REQUEST_STATES, KEY_RULES, high_risk, state_of, take_two
from ledger.events import database_time
from tests.inference.world import a_key_request, an_approved_one

NOW = datetime(2026, 11, 29, 8)


@pytest.mark.parametrize("rule", KEY_RULES)
@pytest.mark.parametrize("tier", ["low", "medium", "high"])
@pytest.mark.parametrize("environment", ["staging", "production"])
def test_the_risk_decides_unless_somebody_has_said_otherwise(rule, tier, environment):
    risky = tier == "high" and environment == "production"
    assert high_risk(tier, environment) == risky
    assert take_two(rule, tier, environment) == {"tier": risky, "always": True, "never": False}[rule]


def test_a_request_stands_in_one_way():
    found = set()
    for outcome, taken, days in itertools.product(("", "approved", "declined", "withdrawn"), (True, False), (-1, 1)):
        state = state_of(outcome, taken=taken, open_until=NOW + timedelta(days=days), now=NOW)
        found.add(state)
        if taken:
            assert state == "taken"
        elif outcome in ("declined", "withdrawn"):
            assert state == outcome, "what was said stays, also when its time is over"
        else:
            assert state == ("lapsed" if days < 0 else outcome or "waiting")
    assert found == set(KEY_REQUEST_STATES)
    assert state_of("", taken=False, open_until=NOW, now=NOW) == "lapsed"


@pytest.mark.django_db
def test_lists_say_the_same_as_the_requests_themselves(cast):
    now = database_time()
    waiting, approved, late, late_too = (
        a_key_request(cast), an_approved_one(cast), a_key_request(cast), an_approved_one(cast)
    )  # fmt: skip
    KeyRequest.objects.filter(pk__in=(late.pk, late_too.pk)).update(open_until=now - timedelta(seconds=1))
    rows = {row.pk: row.state(now) for row in KeyRequest.objects.all()}
    assert rows == {waiting.pk: "waiting", approved.pk: "approved", late.pk: "lapsed", late_too.pk: "lapsed"}
    for state in KEY_REQUEST_STATES:
        listed = set(KeyRequest.objects.in_state(state, now).values_list("pk", flat=True))
        assert listed == {pk for pk, each in rows.items() if each == state}
    assert [row.pk for row in KeyRequest.objects.waiting_for(cast.approver)] == [waiting.pk]
    assert not KeyRequest.objects.waiting_for(cast.model_owner).exists()
    assert [row.pk for row in KeyRequest.objects.to_take(cast.model_owner)] == [approved.pk]


@pytest.mark.django_db
def test_the_database_wants_two_people(cast):
    rows = KeyRequest.objects.filter(pk=a_key_request(cast, holder=cast.ci_bot).pk)
    now = database_time()
    for changes in (
        {"outcome": "approved"},
        {"outcome": "declined", "decided_by": cast.approver},
        {"decided_by": cast.approver},
        {"outcome": "approved", "decided_by": cast.model_owner, "decided_at": now},
        {"outcome": "approved", "decided_by": cast.ci_bot, "decided_at": now},
        {"outcome": "perhaps", "decided_by": cast.approver, "decided_at": now},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(**changes)
    rows.update(outcome="withdrawn", decided_by=cast.model_owner, decided_at=now)
