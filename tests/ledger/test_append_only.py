"""Append-only means that the database says so: tried as the portal's role and as the owner of the tables."""

from __future__ import annotations

import os
import uuid

import psycopg2
import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from accounts.services import add_team
from ledger.actors import SystemActor
from ledger.management.commands.provision_roles import COLUMNS
from ledger.models import Disclosure, Event, Pending

TABLES = {
    "ledger_event": "outcome", "ledger_disclosure": "value", "ledger_leaf": "hash", "ledger_tile": "hash",
    "ledger_treehead": "root", "ledger_checkpoint": "note", "ledger_key": "vkey", "ledger_record": "bytes",
    "ledger_anchor": "receipt",
}  # fmt: skip
NUMBERED = ("ledger_leaf", "ledger_tile", "ledger_treehead", "ledger_checkpoint", "ledger_key")
CONSOLE = SystemActor("console", frozenset({"accounts.add_team"}))


CHANGES = {
    "UPDATE": "UPDATE {table} SET {column} = {column}",
    "UPDATE of nothing": "UPDATE {table} SET {column} = {column} WHERE false",
    "DELETE": "DELETE FROM {table}",
    "DELETE of nothing": "DELETE FROM {table} WHERE false",
    "TRUNCATE": "TRUNCATE {table} CASCADE",
}
CASES = [(table, what) for table in TABLES for what in CHANGES]


def statement(table, what):
    return CHANGES[what].format(table=table, column=TABLES[table])


def test_the_portals_role_cannot(db):
    for table, what in CASES:
        with (
            pytest.raises(DatabaseError, match="permission denied"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement(table, what))


def test_the_owner_cannot_either(owner_cursor):
    for table, what in CASES:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="append-only"):
            owner_cursor.execute(statement(table, what))


def test_not_as_a_replica_either(owner_cursor):
    """Ordinary triggers rest while a session calls itself a replica; these do not."""
    name = owner_cursor.connection.info.dbname
    administrator = psycopg2.connect(os.environ["ADMIN_DATABASE_URL"], dbname=name)
    try:
        with administrator.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")
            with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="append-only"):
                cursor.execute("DELETE FROM ledger_event")
    finally:
        administrator.close()


def test_nothing_that_is_too_large_for_an_entry_can_be_put_in(db):
    """It could get no place in the tree, and neither could what comes after it."""
    row = Event.objects.latest("id")
    row.pk, row.bytes = uuid.uuid4(), b"x" * 65_536
    with pytest.raises(IntegrityError, match="event_size"), transaction.atomic():
        row.save(force_insert=True)


def test_what_is_queued_for_sealing_the_portal_cannot_take_back(db):
    add_team(by=CONSOLE, name="Fraud", slug="fraud")
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
        Pending.objects.all().delete()


@pytest.mark.parametrize("table", COLUMNS)
def test_rights_are_by_column(db, table):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT privilege_type FROM information_schema.table_privileges"
            " WHERE grantee = current_user AND table_name = %s",
            [table],
        )
        assert {row[0] for row in cursor.fetchall()} == {"SELECT"}
        cursor.execute(
            "SELECT column_name FROM information_schema.column_privileges"
            " WHERE grantee = current_user AND table_name = %s AND privilege_type = 'INSERT'",
            [table],
        )
        assert {row[0] for row in cursor.fetchall()} == set(COLUMNS[table])


def test_every_column_is_one_that_the_log_fills():
    models = {"ledger_event": Event, "ledger_disclosure": Disclosure, "ledger_pending": Pending}
    for table, model in models.items():
        assert {field.column for field in model._meta.fields} - set(COLUMNS[table]) <= {"id"}


def test_the_portals_role_owns_nothing_and_makes_nothing(db):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_class WHERE relowner = (SELECT oid FROM pg_roles WHERE rolname = current_user)"
        )
        assert cursor.fetchone() == (0,)
        cursor.execute("SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone() == (False,)
    for statement in (
        "CREATE TABLE mine (id int)",
        "ALTER TABLE ledger_event DISABLE TRIGGER append_only",
        "DROP TRIGGER append_only ON ledger_event",
        "CREATE OR REPLACE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "SET session_replication_role = replica",
        "SET ROLE countersign_owner",
    ):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


def test_an_event_outlives_what_it_is_about(db):
    """Nothing in the log refers to the rest of the portal by foreign key."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint"
            " WHERE contype = 'f' AND conrelid::regclass::text LIKE 'ledger\\_%'"
        )
        assert {target for _, target in cursor.fetchall()} == {"ledger_event"}


@pytest.mark.parametrize("table", NUMBERED)
def test_what_the_sequencer_writes_the_portal_cannot_add(db, table):
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} DEFAULT VALUES")


def test_only_the_eraser_deletes_a_disclosure_and_only_the_sequencer_puts_it_on(committing_db):
    add_team(by=CONSOLE, name="Fraud", slug="fraud")
    kept = Disclosure.objects.count()
    event = Event.objects.filter(disclosures__isnull=False).first()
    with pytest.raises(DatabaseError, match="permission denied"), connection.cursor() as cursor:
        cursor.execute("SET ROLE countersign_eraser")
    sequencer = psycopg2.connect(os.environ["SEQUENCER_DATABASE_URL"], dbname=committing_db)
    try:
        sequencer.autocommit = True
        with sequencer.cursor() as cursor:
            with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="permission denied"):
                cursor.execute("DELETE FROM ledger_disclosure WHERE event_id = %s", [str(event.pk)])
            cursor.execute("SET ROLE countersign_eraser")
            for table in ("ledger_event", "ledger_leaf", "ledger_checkpoint"):
                with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                    cursor.execute(CHANGES["DELETE"].format(table=table))
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute("UPDATE ledger_disclosure SET value = 'x'")
            cursor.execute("DELETE FROM ledger_disclosure WHERE event_id = %s", [str(event.pk)])
    finally:
        sequencer.close()
    assert Disclosure.objects.count() < kept
    assert not event.disclosures.exists()
