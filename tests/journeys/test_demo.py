"""The main job, whole: portal, worker and gateway are real, and the demo goes through API and pages only."""

from __future__ import annotations

import json
import threading
import zipfile
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from ledger.models import Event
from portal.demo.browser import DemoFailed, Page
from portal.demo.journey import seen
from tests.inference.gateway import running
from tests.jobs.workers import Workers


@pytest.fixture
def worker(valkey, process_environment):
    """A worker, and the scheduler's tick beside it."""
    workers = Workers(process_environment, valkey, stale=2)
    workers.start()
    stop = threading.Event()

    def tick():
        while not stop.wait(0.2):
            workers.tick()

    ticking = threading.Thread(target=tick, daemon=True)
    ticking.start()
    yield workers
    stop.set()
    ticking.join(5)
    workers.close()


@pytest.mark.slow
def test_the_main_job_and_a_later_run(live_portal, worker, process_environment, settings, tmp_path):
    settings.DEMO_PASSWORD_FILE = str(tmp_path / "secrets" / "demo-password")
    settings.DEMO_FOLDER = str(tmp_path / "demo")
    with running(process_environment) as gateway:
        where = {"web": live_portal, "gateway": str(gateway.base_url)}
        said = StringIO()
        call_command("demo", **where, stdout=said)
        first = said.getvalue()
        for line in (
            "lenders approved 0.900 where black = 0 and 0.675 where black = 1",
            "author signs   409 own_work",
            "gate: yes",
            "decision: approve",
            "without a key  401",
            "evidence pack",
            "revoked        409 after 0.",
            "audit export",
            "verified       by countersign-verify on Python",
            "the receipt of the revocation is kept",
            "waits for a validator",
            "auditor@demo.example",
        ):
            assert line in first
        (pack,) = (tmp_path / "demo").glob("evidence-pack-*.zip")
        with zipfile.ZipFile(pack) as opened:
            told = json.loads(opened.read("pack.json"))
        assert sum(name.startswith("reports/") for name in told["files"]) == 3
        assert "cannot show" not in " ".join(told["left_out"])
        events = Event.objects.count()
        later = StringIO()
        call_command("demo", **where, stdout=later)
        assert "is still revoked" in later.getvalue()
        assert "nothing lost since entry" in later.getvalue()
        assert Event.objects.count() > events, "nothing was lost, and what happened since was added"
    text = "\n".join(bytes(event.bytes).decode() for event in Event.objects.all())
    assert (tmp_path / "secrets" / "demo-password").read_text() not in text


def test_a_portal_that_does_not_answer_is_a_sentence(committing_db, settings, tmp_path):
    settings.DEMO_PASSWORD_FILE = str(tmp_path / "demo-password")
    with pytest.raises(CommandError, match="does not answer"):
        call_command("demo", web="http://127.0.0.1:9", gateway="http://127.0.0.1:9", stdout=StringIO())


def test_it_runs_in_embedded_mode_only(db, settings):
    settings.EMBEDDED = settings.TESTING = False
    with pytest.raises(CommandError, match="only in embedded mode"):
        call_command("demo", stdout=StringIO())


def test_what_was_not_seen_stops_the_demo():
    with pytest.raises(DemoFailed, match="not there"):
        seen(False, "not there")
    with pytest.raises(DemoFailed, match="has no form"):
        Page("http://x/", 200, "<form><input name=a></form>").form_with("b")
