"""The daily digest: what was collected, and what waits."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.db.models.functions import Now

from accounts.models import Grant
from approvals.notices.digest import send_digests
from inference import tasks
from ledger.events import database_time
from notifications.models import Notification
from notifications.tasks import deliver
from tests.approvals import findings_world, world
from tests.notifications.world import a_quick_request, choose, text_for, told

pytestmark = pytest.mark.django_db


def in_days(count: float):
    return database_time() + timedelta(days=count)


def test_what_was_collected_comes_once_a_day_in_one_mail(cast):
    choose(cast.approver, your_turn="digest", reminder="off")
    choose(cast.second_approver, your_turn="off", reminder="off")
    request = a_quick_request(cast)
    assert told("your_turn") == {"approver": [told("your_turn")["approver"][0]]}
    deliver()
    assert mail.outbox == [], "nothing at once"
    send_digests()
    body = text_for(cast.approver, "digest")
    assert f"- Your turn to sign request {request.pk}: " in body
    assert "WAITS FOR YOU" not in body, "that is the reminder"
    assert "second-approver" not in told("digest")
    assert Notification.objects.get(kind="your_turn").state == "sent"
    send_digests()
    assert len(told("digest")["approver"]) == 1, "once a day"


def test_what_waits_expires_and_is_overdue_in_the_persons_words(cast, settings):
    request = a_quick_request(cast, valid_days=20)
    world.sign(cast.approver, request, "approval")
    finding = findings_world.a_finding(cast, request.version, "low", due=findings_world.in_days(1))
    other = findings_world.a_finding(cast, request.version, "low", due=findings_world.in_days(9))
    second = world.a_request(cast, request.version, environment="staging")
    Grant.objects.filter(user=cast.ci_bot).update(granted_at=Now() - timedelta(days=200))
    Notification.objects.all().delete()
    assert send_digests(in_days(3)) > 2
    body = text_for(cast.second_approver, "digest")
    assert f"WAITS FOR YOU\n\n- request {second.pk}: {request.version.model.name} 1 for mortgage-screening" in body
    assert "You may sign the approval." in body
    assert f"  {settings.PUBLIC_URL}/requests/{second.pk}/" in body
    assert f"EXPIRES\n\n- request {request.pk}: " in text_for(cast.approver, "digest"), "they signed it"
    assert "EXPIRES" not in body, "no part of theirs"
    owner = text_for(cast.model_owner, "digest")
    assert f"OVERDUE FINDINGS\n\n- Finding {finding.pk} on {request.version}: was due " in owner
    assert f"\nFINDINGS\n\n- Finding {other.pk} on {request.version}: due " in owner
    assert "1 grant is due for recertification." in text_for(cast.platform_admin, "digest")
    assert not {"outsider", "developer"} & set(told()), "nothing waits, so nothing is sent"
    assert told("digest")["second-approver"] == ["1 thing waits for you"]


def test_without_a_mail_server_there_is_none(cast, settings):
    a_quick_request(cast)
    settings.MAIL_ON = False
    assert tasks.send_digests() == 0
