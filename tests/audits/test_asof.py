"""Looking back: what an object was at a moment, and whether the log agrees."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from audits import asof
from ledger.canonical import sha256
from ledger.events import database_time
from ledger.models import Event, Record
from ledger.refusals import Refusal
from registry.asof import GONE, model_at, version_at
from registry.models import Text, Version
from registry.services import add_contributors, edit_card, edit_model, record_download, set_risk_tier
from tests import worlds

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-23", datetime(2026, 11, 23, 23, 59, 59, 999999, tzinfo=UTC)),
        ("2026-11-24", NOON),  # today, so far
        ("2026-11-24T11:30", datetime(2026, 11, 24, 11, 30, tzinfo=UTC)),
        ("2026-11-24T11:30:00.000001Z", datetime(2026, 11, 24, 11, 30, 0, 1, tzinfo=UTC)),
        ("2026-11-24 11:30:00+01:00", datetime(2026, 11, 24, 10, 30, tzinfo=UTC)),
    ],
)
def test_a_moment_is_a_day_s_end_or_a_time(text, meant):
    assert asof.moment(text, NOON) == meant


@pytest.mark.parametrize(
    "text",
    ["yesterday", "20261124", "2026-02-30", "2026-11-24T25:00", "2026-11-24Tx", "0001-01-01T00:00+01:00", "-1", "\0"],
)
def test_what_is_no_moment_is_refused(text):
    with pytest.raises(Refusal) as refusal:
        asof.moment(text, NOON)
    assert (refusal.value.code, refusal.value.field) == ("as_of_invalid", "as_of")


@pytest.mark.parametrize("text", ["2026-11-25", "2026-11-24T12:00:00.000001"])
def test_what_is_to_come_is_refused(text):
    with pytest.raises(Refusal) as refusal:
        asof.moment(text, NOON)
    assert refusal.value.code == "as_of_future"


def test_a_model_is_found_as_it_was_between_any_two_changes(cast):
    model = worlds.a_model(cast)
    purpose = model.purpose
    first = database_time()
    edit_model(by=cast.developer, model=model, name="Renamed", purpose="Screens renters.")
    second = database_time()
    set_risk_tier(by=cast.risk_officer, model=model, tier="low", reason="Small sums.")
    third = database_time()
    model.refresh_from_db()

    then, looked = model_at(model, first)
    assert (then.name != "Renamed", then.purpose, then.tier, then.risk_tier_set_by) == (True, purpose, "high", None)
    assert (looked.kept.state, looked.kept.event.event) == ("verified", "model.registered")
    assert looked.previous is None
    assert first < looked.next.at < second
    then, looked = model_at(model, second)
    assert (then.name, then.purpose, then.tier) == ("Renamed", "Screens renters.", "high")
    renamed = looked.changed_at
    assert looked.previous.at == looked.since < first < renamed < second < looked.next.at
    then, looked = model_at(model, third)
    assert (then.tier, then.risk_tier_set_by, looked.next) == ("low", cast.risk_officer, None)
    # The moment of a change is the first at which it holds.
    assert model_at(model, renamed)[0].name == "Renamed"
    assert model_at(model, renamed - timedelta(microseconds=1))[0].name != "Renamed"
    # What was restored is a copy: the row read before says what it said.
    assert model.name == "Renamed"
    assert model.risk_tier == "low"


def test_a_version_is_found_with_the_card_and_the_contributors_of_the_moment(cast):
    version = worlds.a_version(cast)
    card, before = version.card, database_time()
    edit_card(by=cast.developer, version=version, card="# Another card\n")
    add_contributors(by=cast.developer, version=version, contributors=[cast.second_developer])
    edit_model(by=cast.developer, model=version.model, name="Renamed", purpose="Screens renters.")
    after = database_time()
    version = Version.objects.select_related("model").get(pk=version.pk)

    past, _ = version_at(version, before)
    assert past.version.card == card
    assert past.version.card_digest == sha256(card.encode())
    assert past.version.model.name != "Renamed"
    assert cast.second_developer not in past.contributors
    past, _ = version_at(version, after)
    assert past.version.card.strip() == "# Another card"
    assert past.version.model.name == "Renamed"
    assert cast.second_developer in past.contributors


def test_before_its_first_record_nothing_was_there(cast):
    early = database_time()
    model = worlds.a_model(cast)
    with pytest.raises(Refusal) as refusal:
        model_at(model, early)
    assert refusal.value.code == "not_on_record"
    since = Event.objects.get(event="model.registered", object_id=str(model.pk)).time
    assert f"{since:%H:%M:%S} UTC" in refusal.value.sentence
    with pytest.raises(Refusal, match="No record was ever kept"):
        asof.look("registry.model", 10**9, database_time())


def test_an_act_that_changes_nothing_is_no_change_and_one_that_locks_nothing_records_nothing(cast):
    version = worlds.a_version(cast)
    kept = Record.objects.filter(object_type="registry.version", object_id=str(version.pk))
    before = kept.count()
    record_download(by=cast.developer, of=version)
    assert kept.count() == before
    model = version.model
    edit_model(by=cast.developer, model=model, name=model.name, purpose=model.purpose)
    looked = asof.look("registry.model", model.pk, database_time())
    # Registering the version and editing nothing recorded the model again, as it was.
    assert Record.objects.filter(object_type="registry.model", object_id=str(model.pk)).count() == 3
    assert looked.changed_at == looked.since
    assert looked.next is None


def test_records_hold_no_free_text_but_its_digest_and_the_text_is_kept_beside(cast):
    version = worlds.a_version(cast)
    edit_card(by=cast.developer, version=version, card="Ask Dora Dahl about it.\n")
    for record in Record.objects.all():
        assert b"Dora" not in bytes(record.bytes)
        assert b"@" not in bytes(record.bytes)
    record = Record.objects.filter(object_type="registry.version").latest("id").content
    assert Text.objects.get(digest=record["card"]).text == "Ask Dora Dahl about it."


def test_an_entry_is_numbered_once_a_checkpoint_covers_it(cast, seal):
    model = worlds.a_model(cast)
    assert asof.look("registry.model", model.pk, database_time()).kept.entry is None
    seal()
    kept = asof.look("registry.model", model.pk, database_time()).kept
    assert (kept.entry, kept.state) == (kept.event.leaf.index, "verified")


class TestPastThePortal:
    """What the owner of the database can do, and the portal cannot."""

    @pytest.fixture
    def model(self, committing_db, cast):
        model = worlds.a_model(cast)
        edit_model(by=cast.developer, model=model, name="Renamed", purpose="Screens renters.")
        return model

    @staticmethod
    def alter(cursor, table, statement, values=()):
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
        cursor.execute(statement, values)
        cursor.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only")

    def test_a_record_that_was_changed_is_altered_and_others_are_not(self, model, owner_cursor):
        first, _ = asof.changes_of("registry.model", str(model.pk))[0]
        newest = Record.objects.filter(object_type="registry.model").latest("id")
        bad = bytes(newest.bytes).replace(b"Renamed", b"Rewrote")
        self.alter(owner_cursor, "ledger_record", "UPDATE ledger_record SET bytes = %s WHERE id = %s", [bad, newest.pk])
        looked = asof.look("registry.model", model.pk, database_time())
        assert (looked.kept.state, looked.kept.record["name"]) == ("altered", "Rewrote")
        assert asof.look("registry.model", model.pk, first).kept.state == "verified"

    def test_an_event_that_was_moved_to_another_time_is_altered(self, model, owner_cursor):
        later, _ = asof.changes_of("registry.model", str(model.pk))[1]
        statement = "UPDATE ledger_event SET time = time - interval '1 hour' WHERE time = %s"
        self.alter(owner_cursor, "ledger_event", statement, [later])
        assert asof.look("registry.model", model.pk, later).kept.state == "altered"

    def test_a_record_that_was_taken_out_is_missed(self, model, owner_cursor):
        first, _ = asof.changes_of("registry.model", str(model.pk))[0]
        newest = Record.objects.filter(object_type="registry.model").latest("id")
        self.alter(owner_cursor, "ledger_record", "DELETE FROM ledger_record WHERE id = %s", [newest.pk])
        with pytest.raises(Refusal) as refusal:
            asof.look("registry.model", model.pk, database_time())
        assert refusal.value.code == "record_missing"
        assert str(newest.event_id) in refusal.value.sentence
        assert asof.look("registry.model", model.pk, first).kept.record["name"] != "Renamed"

    def test_an_event_rewritten_with_its_record_does_not_agree_with_its_leaf(self, model, owner_cursor, seal):
        newest = Record.objects.filter(object_type="registry.model").latest("id")
        event = newest.event
        seal()
        assert asof.look("registry.model", model.pk, database_time()).kept.state == "verified"
        bad = bytes(newest.bytes).replace(b"Renamed", b"Rewrote")
        told = bytes(event.bytes).replace(sha256(bytes(newest.bytes)).encode(), sha256(bad).encode())
        self.alter(owner_cursor, "ledger_record", "UPDATE ledger_record SET bytes = %s WHERE id = %s", [bad, newest.pk])
        self.alter(
            owner_cursor, "ledger_event", "UPDATE ledger_event SET bytes = %s WHERE id = %s", [told, str(event.pk)]
        )
        assert asof.look("registry.model", model.pk, database_time()).kept.state == "altered"

    def test_a_text_that_is_not_what_its_digest_says_is_not_shown(self, model, owner_cursor):
        digest = sha256(b"Screens renters.")
        self.alter(owner_cursor, "registry_text", "UPDATE registry_text SET text = 'x' WHERE digest = %s", [digest])
        assert model_at(model, database_time())[0].purpose == GONE
