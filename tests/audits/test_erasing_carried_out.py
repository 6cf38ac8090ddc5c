"""Carrying erasures out: two people, no hold, all in the log, and afterwards everything still verifies."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import psycopg2
import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from audits import reading
from audits.erasing import rules
from audits.erasing.carrying import Eraser, carry_out
from audits.erasing.models import Erasure, ErasureItem
from audits.erasing.services import approve, lift_hold, place_hold, record_carried_out
from audits.exports.making import write_bundle
from audits.exports.rows import head_of
from audits.exports.selection import Selection
from audits.models import Export
from audits.search import saying
from audits.services import request_export
from ledger.events import append
from ledger.models import Event
from tests.audits.erasing import (
    CONSOLE,
    agreed,
    asked,
    left,
    refused,
    state_of,
)
from tests.client.logs import verifier
from tests.sealing import connect

ROOT = Path(__file__).resolve().parents[2]


class TestTheWhole:
    """One world, because building it costs most: every promise about what is there afterwards."""

    def test_what_two_agreed_to_is_gone_and_everything_verifies(
        self, committing_db, cast, seal, leaver, eraser, signed_in, api, tmp_path, settings
    ):
        added = Event.objects.get(event="account.added", object_id=str(leaver.pk))
        seal()
        erasure = agreed(cast, leaver)
        assert saying(Event.objects.all(), "quist").exists()
        assert carry_out(eraser) == 0  # the approval is not sealed
        assert len(left(leaver)) == 4
        seal()
        assert carry_out(eraser) == 1
        assert state_of(erasure) == "carried_out"
        assert left(leaver) == []
        assert erasure.carried_out_at is not None
        assert not saying(Event.objects.all(), "quist").exists()
        kept = [event.event for event in saying(Event.objects.all(), "zora")]
        assert kept == ["role.granted"], "its reason was not chosen"
        done = Event.objects.get(event="erasure.carried_out")
        assert done.content["facts"]["digest"] == erasure.digest
        assert (done.actor_kind, done.content["facts"]["count"]) == ("system", 4)
        assert carry_out(eraser) == 0
        with eraser.cursor() as cursor:
            cursor.execute("SELECT current_user")
            assert cursor.fetchone() == ("countersign_sequencer",), "it has its own role again"
        told = {one.label: one.state for one in reading.disclosures(added)}
        assert (told["name"], told["email"], told["actor_name"]) == ("erased", "erased", "verified")
        page = signed_in(cast.auditor).get(f"/audit/{added.pk}/").content.decode()
        assert page.count('<span class="muted">erased</span>') == 2
        assert "Zora Quist" not in page
        assert "Zora" not in json.dumps(api(cast.auditor).get(f"/api/v1/events/{added.pk}/").json())
        seal()
        bundle = tmp_path / "bundle.zip"
        with connection.cursor() as cursor:
            head = head_of(cursor.cursor, settings.LOG_ORIGIN)
            write_bundle(bundle, cursor.cursor, head, TALLY, lambda *_: None)
        assert b"zora@example.org" not in bundle.read_bytes()
        assert verifier.main([str(bundle)]) == 0

    def test_the_page_says_how_it_stands(self, committing_db, cast, seal, leaver, eraser, signed_in):
        erasure = agreed(cast, leaver)
        client = signed_in(cast.auditor)
        assert "Waits for the seal" in client.get(erasure.get_absolute_url()).content.decode()
        seal()
        assert "About to be carried out" in client.get(erasure.get_absolute_url()).content.decode()
        hold = place_hold(by=cast.risk_officer, kind="person", account=leaver, reason="a lawsuit")
        page = client.get(erasure.get_absolute_url()).content.decode()
        assert "It is carried out once that is lifted" in page
        assert hold.get_absolute_url() in page
        assert "Approve</a>" not in signed_in(cast.risk_officer).get(erasure.get_absolute_url()).content.decode()

    def test_exports_made_before_are_named_as_copies(self, committing_db, cast, seal, leaver, signed_in):
        made = []
        for _ in range(2):
            made.append(request_export(by=cast.auditor, account=cast.auditor, team=None, kind="csv",
                                       selection=Selection()))  # fmt: skip
        Export.objects.filter(pk=made[0].pk).update(written_at=timezone.now())
        erasure = agreed(cast, leaver)
        page = signed_in(cast.auditor).get(erasure.get_absolute_url()).content.decode()
        assert f'href="/exports/{made[0].pk}/"' in page
        assert f'href="/exports/{made[1].pk}/"' not in page, "nothing was written yet"
        Export.objects.filter(pk=made[1].pk).update(written_at=timezone.now() + timedelta(days=1))
        Erasure.objects.filter(pk=erasure.pk).update(carried_out_at=timezone.now())
        page = signed_in(cast.auditor).get(erasure.get_absolute_url()).content.decode()
        assert f'href="/exports/{made[1].pk}/"' not in page, "it was written after the erasure"


class Tally:
    count = 0


TALLY = Tally()


class TestCarryingOut:
    def test_a_hold_placed_after_the_approval_stops_it_until_it_is_lifted(
        self, committing_db, cast, seal, leaver, eraser
    ):
        erasure = agreed(cast, leaver)
        seal()
        hold = place_hold(by=cast.risk_officer, kind="person", account=leaver, reason="a lawsuit")
        assert carry_out(eraser) == 0
        assert (state_of(erasure), len(left(leaver))) == ("approved", 4)
        lift_hold(by=cast.risk_officer, hold=hold, reason="settled")
        assert carry_out(eraser) == 1

    def test_killed_between_deletion_and_event_it_is_recorded_once(self, committing_db, cast, seal, leaver, eraser):
        erasure = agreed(cast, leaver)
        seal()

        def killed(step):
            raise KeyboardInterrupt(step)

        with pytest.raises(KeyboardInterrupt):
            carry_out(eraser, at=killed)
        assert (state_of(erasure), left(leaver)) == ("approved", [])
        assert carry_out(eraser) == 1
        assert carry_out(eraser) == 0
        assert Event.objects.filter(event="erasure.carried_out").count() == 1
        assert Event.objects.get(event="erasure.carried_out").content["facts"]["count"] == 4

    def test_what_the_portals_tables_say_alone_is_not_believed(self, committing_db, cast, seal, leaver, eraser):
        """Somebody with the portal's rights approves without an entry, or adds to the list after the approval."""
        erasure = asked(cast, leaver)
        Erasure.objects.filter(pk=erasure.pk).update(
            state="approved", decided_by=cast.risk_officer, decided_at=timezone.now()
        )
        seal()
        assert carry_out(eraser) == 0, "no approval in the log"
        Erasure.objects.filter(pk=erasure.pk).update(state="requested", decided_by=None)
        approve(by=cast.risk_officer, erasure=erasure)
        other = Event.objects.filter(event="team.added").first()
        ErasureItem.objects.create(erasure=erasure, event=other.pk, label="reason")
        seal()
        assert carry_out(eraser) == 0, "the list is not the one that was approved"
        assert len(left(leaver)) == 4

    @pytest.mark.parametrize(("approver", "done"), [("platform_admin", 0), ("risk_officer", 1)])
    def test_two_people_stand_in_the_log_whatever_the_row_says(
        self, committing_db, cast, seal, leaver, eraser, approver, done
    ):
        erasure = asked(cast, leaver)
        with transaction.atomic():
            facts = {"digest": erasure.digest}
            append("erasure.approved", by=getattr(cast, approver), on=erasure, team=None, facts=facts)
        Erasure.objects.filter(pk=erasure.pk).update(state="approved", decided_by=cast.risk_officer)
        seal()
        assert carry_out(eraser) == done

    def test_a_list_with_a_signers_name_erases_nothing(self, committing_db, cast, seal, leaver, eraser, caplog):
        """Two people, all in the log, and a list that the service would never have made."""
        with transaction.atomic():
            signed = append("decision.signed", by=leaver, on=leaver, team=None, facts={})
        items = [(str(signed.pk), label) for label in ("actor_email", "actor_name")]
        digest = rules.digest_of_items(items)
        erasure = Erasure.objects.create(
            kind="entry", subject=str(signed.pk), labels=["actor_email", "actor_name"], ground="mistake", count=2,
            entries=1, digest=digest, requested_by=cast.platform_admin, state="approved",
            decided_by=cast.risk_officer,
        )  # fmt: skip
        ErasureItem.objects.bulk_create(ErasureItem(erasure=erasure, event=pk, label=label) for pk, label in items)
        with transaction.atomic():
            for event, by in [("requested", cast.platform_admin), ("approved", cast.risk_officer)]:
                append(f"erasure.{event}", by=by, on=erasure, team=None, facts={"digest": digest})
        seal()
        with caplog.at_level(logging.ERROR, "audits.erasing"):
            assert carry_out(eraser) == 0
        assert "never erased" in caplog.text
        assert signed.disclosures.filter(label__startswith="actor_").count() == 2

    def test_nobody_else_can_delete(self, committing_db, cast, leaver, eraser):
        for attempt in (
            "DELETE FROM ledger_disclosure",
            "SET ROLE countersign_eraser",
            "DELETE FROM audits_erasureitem",
        ):
            with pytest.raises(DatabaseError), connection.cursor() as cursor:
                cursor.execute(attempt)
        with pytest.raises(psycopg2.Error), eraser.cursor() as cursor:
            cursor.execute("DELETE FROM ledger_disclosure")
        refused("not_carried_out", record_carried_out, by=CONSOLE, erasure=asked(cast, leaver))
        refused("not_carried_out", record_carried_out, by=CONSOLE, erasure=agreed(cast, leaver, labels=["name"]))

    def test_a_hold_that_is_just_being_placed_is_waited_for(self, committing_db, cast, seal, leaver, eraser):
        agreed(cast, leaver)
        seal()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(7236004)")
            assert carry_out(eraser) == 0
        assert carry_out(eraser) == 1

    def test_in_the_loop_it_neither_hurries_nor_fails(self, committing_db, cast, seal, leaver, caplog):
        calls = []

        def opened():
            calls.append(1)
            if len(calls) == 1:
                raise psycopg2.OperationalError("the server is away")
            return connect(committing_db)

        erasure = agreed(cast, leaver)
        seal()
        often, seldom = Eraser(opened, every=0), Eraser(opened, every=60)
        with caplog.at_level(logging.ERROR, "audits.erasing"):
            often()
        assert "the server is away" in caplog.text
        often()
        assert state_of(erasure) == "carried_out"
        often.close()
        seldom()
        seldom()
        seldom.close()
        assert len(calls) == 3

    @pytest.mark.long
    def test_the_sequencers_process_does_it(self, cast, seal, leaver, process_environment):
        erasure = agreed(cast, leaver)
        command = [sys.executable, "-W", "ignore", "-m", "manage", "sequencer"]
        with subprocess.Popen(command, cwd=ROOT, env=process_environment, stderr=subprocess.PIPE, text=True) as process:
            until = time.monotonic() + 30
            while state_of(erasure) != "carried_out" and time.monotonic() < until:
                time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=20)[1]
        assert (state_of(erasure), left(leaver)) == ("carried_out", []), said
