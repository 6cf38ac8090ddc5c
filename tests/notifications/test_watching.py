"""What only time brings: approvals that run out or are suspended, and findings that are overdue."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from approvals.findings.services import answer, close
from approvals.notices.watching import watch
from approvals.services import revoke
from approvals.tasks import watch_approvals
from ledger.events import database_time
from notifications.models import Notification
from notifications.tasks import deliver
from tests.approvals import findings_world, world
from tests.notifications.world import a_quick_request, choose, text_for, told
from tests.sealing import seal_now

pytestmark = pytest.mark.django_db


def an_approval(cast, **changes):
    request = a_quick_request(cast, **changes)
    world.sign(cast.approver, request, "approval")
    request.refresh_from_db()
    Notification.objects.all().delete()
    return request


def in_days(count: float):
    return database_time() + timedelta(days=count)


def test_the_makers_are_told_thirty_days_seven_days_and_one_day_before_and_when_it_is_over(cast):
    request = an_approval(cast, valid_days=90)
    seen = []
    for days in (10, 59, 60.1, 61, 82, 83.1, 84, 89.1, 89.9, 90.1, 91):
        watch(in_days(days))
        seen.append(len(told("expiring").get("model-owner", ())))
    assert seen == [0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 3]
    name = f"request {request.pk}: {request.version.model.name} 1 for mortgage-screening in production"
    assert told("expiring")["developer"] == [
        f"30 days left or fewer for {name}", f"7 days left or fewer for {name}", f"One day left or fewer for {name}",
    ]  # fmt: skip
    assert set(told("expiring")) == {"developer", "model-owner"}
    assert told("approval_ended")["approver"] == [f"No longer approved: {name}"]
    assert "is expired" in text_for(cast.approver, "approval_ended")


def test_what_ran_out_long_ago_was_revoked_or_has_a_successor_is_no_news(cast):
    request = an_approval(cast, valid_days=20)
    watch(in_days(24))
    assert told() == {}
    version = request.version
    newer = world.a_request(cast, version)
    world.sign(cast.approver, newer, "approval")
    Notification.objects.all().delete()
    watch(in_days(1))
    (line,) = told("expiring")["developer"]
    assert f"request {newer.pk}:" in line
    revoke(by=cast.risk_officer, request=newer, reason="The data were wrong.")
    Notification.objects.all().delete()
    watch(in_days(14))
    assert "expiring" not in {row.kind for row in Notification.objects.filter(path=newer.get_absolute_url())}


def test_a_suspended_approval_is_told_once_each_time(cast):
    request = an_approval(cast)
    finding = findings_world.a_finding(cast, request.version, "low", due=findings_world.in_days(2))
    seal_now()
    for _ in range(2):
        watch(in_days(5))
    assert len(told("approval_ended")["developer"]) == 1
    assert "is suspended" in text_for(cast.approver, "approval_ended")
    assert told("finding_overdue") == {"model-owner": [f"Overdue: Finding {finding.pk} on {request.version}"]}
    deliver()
    answer(by=cast.developer, finding=finding, text="Tried on the newest quarter.")
    close(by=cast.validator, finding=finding, reason="Looked at the figures.")
    seal_now()
    watch(in_days(5))
    assert not Notification.objects.filter(kind="approval_ended").exists(), "it holds again"
    findings_world.a_finding(cast, request.version, "low", due=findings_world.in_days(2))
    seal_now()
    watch(in_days(5))
    assert len(told("approval_ended")["developer"]) == 1, "and is told again"


def test_who_wants_none_of_it_gets_none(cast):
    an_approval(cast, valid_days=5)
    choose(cast.developer, expiring="off")
    watch_approvals()
    assert set(told()) == {"model-owner"}


def test_many_approvals_cost_as_many_queries_as_one(cast, django_assert_num_queries):
    first = an_approval(cast)
    with CaptureQueriesContext(connection) as alone:
        watch()
    for environment in ("staging", "development"):
        request = world.a_request(cast, first.version, environment=environment)
        world.sign(cast.approver, request, "approval")
    with django_assert_num_queries(len(alone)):
        watch()


def test_without_a_mail_server_nobody_looks(cast, settings):
    an_approval(cast, valid_days=5)
    settings.MAIL_ON = False
    assert watch_approvals() == {"approvals": 0, "findings": 0, "attestations": 0}
    assert told() == {}
