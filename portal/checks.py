"""An unsafe production is refused: by `manage.py check --deploy`, and when web or worker start."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import DatabaseError, connection

from ledger import keys
from ledger.models import PublicKey
from ledger.notes import VerifierKey

LOG_TABLES = (
    "ledger_event", "ledger_disclosure", "ledger_pending", "ledger_leaf", "ledger_tile", "ledger_treehead",
    "ledger_checkpoint", "ledger_key", "ledger_record", "ledger_anchor",
)  # fmt: skip
NOT_ITS_OWN = ("ledger_leaf", "ledger_tile", "ledger_treehead", "ledger_checkpoint", "ledger_key")
ROLE = "SELECT rolsuper, rolbypassrls, rolcreaterole FROM pg_roles WHERE rolname = current_user"
# Owned by the role itself, or by one that it may become.
OWNED = """
SELECT c.relname FROM pg_class c WHERE c.relname = ANY(%s) AND c.relnamespace = 'public'::regnamespace
AND pg_has_role(current_user, c.relowner, 'MEMBER') ORDER BY c.relname
"""
CHANGEABLE = """
SELECT c.relname FROM pg_class c WHERE c.relname = ANY(%s) AND c.relnamespace = 'public'::regnamespace
AND (has_any_column_privilege(current_user, c.oid, 'UPDATE')
     OR has_table_privilege(current_user, c.oid, 'DELETE, TRUNCATE, TRIGGER')
     OR c.relname = ANY(%s) AND has_any_column_privilege(current_user, c.oid, 'INSERT')) ORDER BY c.relname
"""
UNGUARDED = """
SELECT c.relname FROM pg_class c WHERE c.relname = ANY(%s) AND c.relname <> 'ledger_pending'
AND c.relnamespace = 'public'::regnamespace AND NOT EXISTS (
    SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'append_only' AND t.tgenabled = 'A')
ORDER BY c.relname
"""
SHORTEST_SECRET = 50


@register(Tags.security, deploy=True)
def production(app_configs: Any = None, *, web: bool = True, **kwargs: Any) -> list[CheckMessage]:
    """What keeps this configuration from being a safe production; nothing in the other modes."""
    if not settings.PRODUCTION:
        return []
    return [*configuration(), *signing(), *(receipts() if web else []), *database()]


def configuration() -> list[CheckMessage]:
    """What the settings alone show."""
    found: list[CheckMessage] = []
    if settings.DEBUG:
        found.append(fault("E001", "DEBUG is on", "Turn it off: its error pages show secrets."))
    if weak(settings.SECRET_KEY):
        found.append(fault("E002", "SECRET_KEY is missing or weak", f"Set one of {SHORTEST_SECRET} random characters."))
    if weak(settings.KEY_PEPPER) or settings.KEY_PEPPER == settings.SECRET_KEY:
        hint = f"Set one of {SHORTEST_SECRET} random characters, another than SECRET_KEY."
        found.append(fault("E003", "KEY_PEPPER is missing or weak", hint))
    if not settings.PUBLIC_URL.startswith("https://"):
        found.append(fault("E004", "PUBLIC_URL does not begin with https", "Passwords would travel in the open."))
    if "*" in settings.ALLOWED_HOSTS:
        found.append(fault("E005", "ALLOWED_HOSTS lets every name in", "List the names under which people come."))
    if settings.FACTOR_KEY != settings.SECRET_KEY and weak(settings.FACTOR_KEY):
        hint = f"Set one of {SHORTEST_SECRET} random characters, or none: SECRET_KEY then stands in."
        found.append(fault("E006", "FACTOR_KEY is weak", hint))
    return found


def signing() -> list[CheckMessage]:
    """The log's private key is for the sequencer alone: who answers people could otherwise sign another history."""
    if settings.LOG_KEY or settings.LOG_KEY_FILE:
        hint = "Give LOG_KEY or LOG_KEY_FILE to the sequencer only."
        return [fault("E020", "this process is told the log's private key", hint)]
    return []


def receipts() -> list[CheckMessage]:
    """Web signs receipts: with a key that is there, is fit, is published, and is not the log's."""
    try:
        key, published = keys.portal_key(), keys.portal_vkeys()
    except keys.KeyFault as problem:
        return [fault("E021", "receipts cannot be signed", str(problem))]
    if key.verifier not in published:
        hint = f"Set PORTAL_VKEY, here and for the sequencer, to {key.vkey}."
        return [fault("E022", "the portal's key is not among those that the sequencer publishes", hint)]
    try:
        keys.refuse_same(
            [key], map(VerifierKey.parse, PublicKey.objects.filter(role="log").values_list("vkey", flat=True))
        )
    except keys.KeyFault as problem:
        return [fault("E023", "log and portal share a key", str(problem))]
    except DatabaseError:
        return []  # database() says so
    return []


def database() -> list[CheckMessage]:
    """What the database says about the portal's role, the log's tables and the accounts."""
    try:
        with connection.cursor() as cursor:
            return [*role(cursor), *accounts(cursor)]
    except DatabaseError as error:
        return [fault("E010", "the database cannot be asked", f"Look after DATABASE_URL: {error}".strip())]


def role(cursor: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    cursor.execute(ROLE)
    if any(cursor.fetchone()):
        hint = "Let the portal connect as the role that `manage.py provision_roles` makes for it."
        found.append(
            fault("E011", "the portal's database role is a superuser, or may make roles or pass by them", hint)
        )
    cursor.execute(OWNED, [list(LOG_TABLES)])
    if tables := names(cursor):
        hint = "Run `manage.py provision_roles`, and connect as the role that it makes for the portal."
        found.append(fault("E012", f"the portal's database role owns {tables}", hint))
    cursor.execute(CHANGEABLE, [list(LOG_TABLES), list(NOT_ITS_OWN)])
    if tables := names(cursor):
        hint = "Run `manage.py provision_roles`."
        found.append(fault("E013", f"the portal's database role may change {tables}", hint))
    cursor.execute(UNGUARDED, [list(LOG_TABLES)])
    if tables := names(cursor):
        found.append(fault("E014", f"nothing in the database keeps append-only: {tables}", "Run `manage.py migrate`."))
    return found


def names(cursor: Any) -> str:
    return ", ".join(name for (name,) in cursor.fetchall())


def accounts(cursor: Any) -> list[CheckMessage]:
    cursor.execute("SELECT count(*) FROM accounts_user WHERE is_demo AND is_active")
    (count,) = cursor.fetchone()
    if count:
        return [
            fault("E015", f"{count} demo accounts can sign in", "Deactivate them; use a database without the demo.")
        ]
    return []


def weak(secret: str) -> bool:
    return len(secret) < SHORTEST_SECRET or len(set(secret)) < 5 or secret.startswith("django-insecure-")


def fault(number: str, what: str, hint: str) -> Error:
    return Error(what, hint=hint, id=f"countersign.{number}")


def refuse_unsafe(*, web: bool = False) -> None:
    """Ends the process with status 3, which gunicorn takes as final, where production would be unsafe."""
    found = production(web=web)
    for one in found:
        # Not through logging, nor through what Celery puts in the place of stderr: this must be seen.
        print(f"Refusing to start: {one.msg}. {one.hint} ({one.id})", file=sys.__stderr__, flush=True)
    if found:
        raise SystemExit(3)
