"""What the scheduler sends is what workers know."""

from __future__ import annotations

from django.conf import settings

from portal.celery import app
from portal.schedule import schedule


def test_every_scheduled_task_is_known_to_workers_and_ends_when_nobody_takes_it():
    app.loader.import_default_modules()
    entries = settings.CELERY_BEAT_SCHEDULE
    assert {entry["task"] for entry in entries.values()} <= set(app.tasks)
    assert all(entry["options"]["expires"] for entry in entries.values())


def test_the_digest_is_sent_at_the_hour_that_is_set():
    assert schedule(17)["send-digests"]["schedule"].hour == {17}
