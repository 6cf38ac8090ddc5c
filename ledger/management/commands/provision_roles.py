"""Creates the database, its roles and their grants. Safe to run again; run it before and after `migrate`."""

from __future__ import annotations

from contextlib import closing
from typing import Any
from urllib.parse import unquote

import environ
import psycopg2
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

LOCK = 7_236_001  # advisory: two provisioners at once would race on CREATE ROLE
COLUMNS = {
    "ledger_event": (
        "id", "bytes", "time", "actor_kind", "actor_id", "event", "object_type", "object_id", "team_id", "outcome",
    ),
    "ledger_disclosure": ("event_id", "label", "salt", "value"),
    "ledger_pending": ("event_id",),
    "ledger_record": ("event_id", "object_type", "object_id", "bytes"),
    "ledger_anchor": ("origin", "size", "target", "kind", "at", "place", "receipt"),
}  # fmt: skip
# What the sequencer alone writes: a portal that could would number and sign what it likes.
SEQUENCED = ("ledger_leaf", "ledger_tile", "ledger_treehead", "ledger_checkpoint", "ledger_key", "ledger_search")
# What the sequencer's process must know, and no more, to carry erasures out.
ERASING = ("audits_erasure", "audits_erasureitem", "audits_hold")


def connect(database: dict[str, Any], name: str | None = None) -> Connection:
    wanted = {
        "dbname": name or database["NAME"], "user": database["USER"], "password": database["PASSWORD"],
        "host": database["HOST"], "port": database["PORT"], **database.get("OPTIONS", {}),
    }  # fmt: skip
    opened: Connection = psycopg2.connect(**{key: value for key, value in wanted.items() if value})
    return opened


class Command(BaseCommand):
    help = "Create roles, database and grants through ADMIN_DATABASE_URL. Idempotent; run before and after migrate."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.ADMIN_DATABASE_URL:
            raise CommandError("Set ADMIN_DATABASE_URL to a connection that may create roles and databases.")
        admin: dict[str, Any] = environ.Env.db_url_config(settings.ADMIN_DATABASE_URL)
        prefix = settings.DB_ROLE_PREFIX
        database = unquote(settings.DATABASES["default"]["NAME"])
        with closing(connect(admin)) as server:
            server.autocommit = True
            with server.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
                self.roles(cursor, prefix)
                self.database(cursor, prefix, database)
        with connect(admin, database) as inside, inside.cursor() as cursor:
            self.grants(cursor, prefix, database)

    def roles(self, cursor: Cursor, prefix: str) -> None:
        passwords = {
            "portal": settings.DATABASES["default"].get("PASSWORD"),
            "migrate": settings.DATABASES["migration"].get("PASSWORD"),
            "sequencer": environ.Env.db_url_config(settings.SEQUENCER_DATABASE_URL).get("PASSWORD")
            if settings.SEQUENCER_DATABASE_URL
            else None,
        }
        for name in ("owner", "migrate", "portal", "sequencer", "eraser"):
            role = sql.Identifier(f"{prefix}_{name}")
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [f"{prefix}_{name}"])
            verb = sql.SQL("ALTER ROLE" if cursor.fetchone() else "CREATE ROLE")
            login = sql.SQL("NOLOGIN" if name in ("owner", "eraser") else "LOGIN")
            cursor.execute(
                sql.SQL("{} {} NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS {}").format(verb, role, login)
            )
            if passwords.get(name):
                cursor.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, sql.Literal(passwords[name])))
        owner, migrate = sql.Identifier(f"{prefix}_owner"), sql.Identifier(f"{prefix}_migrate")
        cursor.execute(sql.SQL("GRANT {} TO {}").format(owner, migrate))
        # What migrations create then belongs to the owner, which cannot log in.
        cursor.execute(sql.SQL("ALTER ROLE {} SET role = {}").format(migrate, sql.Literal(f"{prefix}_owner")))
        # Nothing is deleted unless the sequencer's process puts this role on, for as long as one erasure takes.
        eraser, sequencer = sql.Identifier(f"{prefix}_eraser"), sql.Identifier(f"{prefix}_sequencer")
        # Said of the role and not of the grant, which PostgreSQL knows from 16 on.
        cursor.execute(sql.SQL("ALTER ROLE {} NOINHERIT").format(sequencer))
        cursor.execute(sql.SQL("GRANT {} TO {}").format(eraser, sequencer))
        # An administrator that is no superuser must be a member of a role to hand a database over to it.
        cursor.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(owner))

    def database(self, cursor: Cursor, prefix: str, database: str) -> None:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database])
        owner, name = sql.Identifier(f"{prefix}_owner"), sql.Identifier(database)
        if not cursor.fetchone():
            cursor.execute(
                sql.SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0").format(name, owner)
            )
        cursor.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
        for login in ("migrate", "portal", "sequencer"):
            role = sql.Identifier(f"{prefix}_{login}")
            cursor.execute(sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}").format(name, role))

    def grants(self, cursor: Cursor, prefix: str, database: str) -> None:
        owner, portal = sql.Identifier(f"{prefix}_owner"), sql.Identifier(f"{prefix}_portal")
        sequencer, eraser = sql.Identifier(f"{prefix}_sequencer"), sql.Identifier(f"{prefix}_eraser")
        cursor.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        cursor.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(owner))
        cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}, {}, {}").format(portal, sequencer, eraser))
        cursor.execute(
            "SELECT c.relname, c.relkind, EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid"
            " AND t.tgname = 'append_only') FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace"
            " AND c.relkind IN ('r', 'p', 'S') ORDER BY c.relname"
        )
        for name, kind, kept in cursor.fetchall():
            table = sql.Identifier(name)
            if kind == "S":
                cursor.execute(sql.SQL("GRANT USAGE, SELECT ON SEQUENCE {} TO {}").format(table, portal))
                continue
            cursor.execute(sql.SQL("REVOKE ALL ON {} FROM {}").format(table, portal))
            if name in SEQUENCED:
                cursor.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(table, portal))
            elif name in COLUMNS:
                columns = sql.SQL(", ").join(map(sql.Identifier, COLUMNS[name]))
                cursor.execute(sql.SQL("GRANT SELECT, INSERT ({}) ON {} TO {}").format(columns, table, portal))
            elif kept:
                cursor.execute(sql.SQL("GRANT SELECT, INSERT ON {} TO {}").format(table, portal))
            elif name == "django_migrations":
                cursor.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(table, portal))
            else:
                cursor.execute(sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO {}").format(table, portal))
        # Where migrations were cut off, or are those of a new release, some are to come: the run after has them.
        cursor.execute("SELECT count(to_regclass(name)) FROM unnest(%s) AS name", [[*COLUMNS, *SEQUENCED]])
        if cursor.fetchone() == (len(COLUMNS) + len(SEQUENCED),):
            self.log_grants(cursor, sequencer, eraser)

    def log_grants(self, cursor: Cursor, sequencer: sql.Identifier, eraser: sql.Identifier) -> None:
        for role in (sequencer, eraser):
            for name in (*COLUMNS, *SEQUENCED):
                cursor.execute(sql.SQL("REVOKE ALL ON {} FROM {}").format(sql.Identifier(name), role))
                cursor.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(sql.Identifier(name), role))
        for name in SEQUENCED:
            cursor.execute(sql.SQL("GRANT INSERT ON {} TO {}").format(sql.Identifier(name), sequencer))
        cursor.execute(sql.SQL("GRANT DELETE ON ledger_pending TO {}").format(sequencer))
        cursor.execute(sql.SQL("GRANT UPDATE, DELETE ON ledger_search TO {}").format(sequencer))
        cursor.execute(sql.SQL("GRANT DELETE ON ledger_disclosure TO {}").format(eraser))
        cursor.execute(sql.SQL("GRANT UPDATE ON ledger_search TO {}").format(eraser))
        cursor.execute("SELECT relname FROM pg_class WHERE relname = ANY(%s) AND relkind = 'r'", [list(ERASING)])
        for (name,) in cursor.fetchall():
            cursor.execute(sql.SQL("GRANT SELECT ON {} TO {}, {}").format(sql.Identifier(name), sequencer, eraser))
        for name in ("ledger_checkpoint_id_seq", "ledger_key_id_seq"):
            cursor.execute(sql.SQL("GRANT USAGE, SELECT ON SEQUENCE {} TO {}").format(sql.Identifier(name), sequencer))
