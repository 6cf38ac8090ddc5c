"""Provisioning can be run again at any time, and puts right what somebody loosened."""

from __future__ import annotations

import os

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from portal import checks


def test_it_can_be_run_again_and_tightens_what_was_loosened(committing_db, owner_cursor, cast, settings):
    settings.ADMIN_DATABASE_URL = os.environ["ADMIN_DATABASE_URL"]
    owner_cursor.execute("GRANT UPDATE (value), DELETE ON ledger_disclosure TO countersign_portal")
    with connection.cursor() as cursor:
        assert [one.id for one in checks.role(cursor)] == ["countersign.E013"]
    call_command("provision_roles")
    call_command("provision_roles")
    with connection.cursor() as cursor:
        assert checks.role(cursor) == []
        cursor.execute("SELECT has_table_privilege('countersign_portal', 'django_migrations', 'INSERT')")
        assert cursor.fetchone() == (False,)
        cursor.execute("SELECT has_table_privilege('countersign_sequencer', 'ledger_pending', 'DELETE')")
        assert cursor.fetchone() == (True,)
        cursor.execute("SELECT has_table_privilege('countersign_sequencer', 'ledger_event', 'INSERT')")
        assert cursor.fetchone() == (False,)


def test_migrations_that_were_cut_off_can_go_on(committing_db, owner_cursor, settings):
    """The log's tables come with several migrations, and it is run before the rest of them."""
    settings.ADMIN_DATABASE_URL = os.environ["ADMIN_DATABASE_URL"]
    owner_cursor.execute("ALTER TABLE ledger_tile RENAME TO ledger_tile_to_come")
    call_command("provision_roles")
    owner_cursor.execute("ALTER TABLE ledger_tile_to_come RENAME TO ledger_tile")
    call_command("provision_roles")
    with connection.cursor() as cursor:
        assert checks.role(cursor) == []
        cursor.execute("SELECT has_table_privilege('countersign_sequencer', 'ledger_tile', 'INSERT')")
        assert cursor.fetchone() == (True,)


def test_a_new_database_is_made_for_the_owner(committing_db, settings):
    import psycopg2

    name = f"{committing_db}_new"
    settings.ADMIN_DATABASE_URL = os.environ["ADMIN_DATABASE_URL"]
    settings.DATABASES["default"]["NAME"] = name
    try:
        call_command("provision_roles")
    finally:
        settings.DATABASES["default"]["NAME"] = committing_db
    administrator = psycopg2.connect(os.environ["ADMIN_DATABASE_URL"])
    try:
        administrator.autocommit = True
        with administrator.cursor() as cursor:
            cursor.execute(
                "SELECT pg_get_userbyid(datdba), has_database_privilege('countersign_portal', oid, 'CREATE')"
                " FROM pg_database WHERE datname = %s",
                [name],
            )
            assert cursor.fetchone() == ("countersign_owner", False)
            cursor.execute(f'DROP DATABASE "{name}"')
    finally:
        administrator.close()


def test_without_an_administrator_it_says_what_it_needs(settings):
    settings.ADMIN_DATABASE_URL = ""
    with pytest.raises(CommandError, match="Set ADMIN_DATABASE_URL"):
        call_command("provision_roles")
