"""An unsafe production does not start: tried with real processes, on a real database."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from accounts.models import User
from ledger import keys
from ledger.notes import SigningKey
from portal import checks

ROOT = Path(__file__).resolve().parents[2]
ORIGIN = "countersign.example.org/log"
LOG_KEY = SigningKey.generate(ORIGIN)
PORTAL_KEY = SigningKey.generate(keys.portal_name(ORIGIN))
SAME_KEY = SigningKey(PORTAL_KEY.name, LOG_KEY.kind, LOG_KEY.private)
GOOD = {
    "COUNTERSIGN_MODE": "production",
    "SECRET_KEY": "zQ8-2hT!vK5xN0rW7yB4mJ9pL6cD1fG3sA_uE+iO=aXqRtYbZnM",
    "KEY_PEPPER": "pW3-9kL!rT6vB1nM8xC5zJ2qH7dF4gS0yA_oU+eI=bQwXcZaYtR",
    "PUBLIC_URL": "https://countersign.example.org",
    "LOG_ORIGIN": ORIGIN,
    "LOG_KEY": "",  # the tests themselves have one
    "LOG_KEY_FILE": "",
    "PORTAL_KEY": PORTAL_KEY.text,
    "PORTAL_VKEY": PORTAL_KEY.vkey,
}


def start(environment, *command):
    told = {name: value for name, value in {**environment, **GOOD}.items() if value}
    told.pop("ADMIN_DATABASE_URL", None)
    return told, command or ("-W", "ignore", "-c", "import portal.wsgi; print('started')")


def run(environment, *command, **changes):
    told, arguments = start(environment, *command)
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env={**told, **changes}, capture_output=True, text=True, timeout=60
    )


def test_a_safe_production_starts(process_environment):
    done = run(process_environment)
    assert (done.returncode, done.stdout) == (0, "started\n"), done.stderr


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"SECRET_KEY": "short", "KEY_PEPPER": "", "PUBLIC_URL": "http://x.example", "ALLOWED_HOSTS": "*"}, "2 3 4 5"),
        ({"LOG_KEY": LOG_KEY.text, "PORTAL_KEY": "", "PORTAL_KEY_FILE": "/nowhere/portal_key"}, "20 21"),
    ],
    ids=["settings", "keys"],
)
def test_weak_settings_are_refused_with_a_sentence_for_each(process_environment, changes, found):
    done = run(process_environment, **changes)
    assert done.returncode == 3
    assert "Refusing to start" in done.stderr
    assert re.findall(r"countersign\.E0*(\d+)", done.stderr) == found.split()
    assert "started" not in done.stdout
    assert not any(key.text[-30:] in done.stderr for key in (LOG_KEY, PORTAL_KEY))


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("SECRET_KEY", "short", "E002"),
        ("SECRET_KEY", "a" * 60, "E002"),
        ("KEY_PEPPER", "", "E003"),
        ("KEY_PEPPER", GOOD["SECRET_KEY"], "E003"),
        ("FACTOR_KEY", "short", "E006"),
        ("PUBLIC_URL", "http://countersign.example.org", "E004"),
        ("ALLOWED_HOSTS", ["*"], "E005"),
    ],
    ids=[
        "short secret",
        "monotonous secret",
        "no pepper",
        "pepper is secret",
        "short factor key",
        "no TLS",
        "any host",
    ],
)
def test_each_weak_setting_is_found_alone(settings, name, value, code):
    for good, given in GOOD.items():
        setattr(settings, good, given)
    assert codes(checks.configuration()) == set()
    setattr(settings, name, value)
    assert codes(checks.configuration()) == {code}


@pytest.fixture
def good(settings):
    for name, value in {**GOOD, "TESTING": False, "PRODUCTION": True}.items():
        setattr(settings, name, value)
    settings.PORTAL_KEY_FILE = ""
    return settings


def test_a_portals_key_that_others_can_read_is_refused(good, db, tmp_path):
    path = tmp_path / "portal_key"
    keys.write(path, [PORTAL_KEY])
    good.PORTAL_KEY, good.PORTAL_KEY_FILE = "", str(path)
    assert checks.production() == []
    keys._portal_key.cache_clear()
    path.chmod(0o644)
    (found,) = checks.production()
    assert found.id == "countersign.E021"
    assert f"run `chmod 0600 {path}`" in found.hint


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("LOG_KEY_FILE", "/run/secrets/log_key", "E020"),
        ("PORTAL_KEY", "", "E021"),
        ("PORTAL_KEY", PORTAL_KEY.text[:-8], "E021"),
        ("PORTAL_VKEY", "", "E022"),
        ("PORTAL_VKEY", "x", "E021"),
    ],
    ids=["log key", "no portal key", "cut portal key", "no public key", "bad public key"],
)
def test_signing_keys_are_judged_one_by_one(good, db, name, value, code):
    assert checks.production() == []
    setattr(good, name, value)
    assert codes(checks.production()) == {code}


def test_a_portals_key_that_has_signed_checkpoints_is_refused(good, owner_cursor):
    owner_cursor.execute("INSERT INTO ledger_key (vkey, role) VALUES (%s, 'log')", [LOG_KEY.vkey])
    assert checks.receipts() == []
    good.PORTAL_KEY, good.PORTAL_VKEY = SAME_KEY.text, SAME_KEY.vkey
    (found,) = checks.receipts()
    assert found.id == "countersign.E023"
    assert "Log and portal have the same key" in found.hint


@pytest.mark.parametrize("role", ["owner", pytest.param("superuser", marks=pytest.mark.long)])
def test_a_role_that_owns_the_log_is_refused(process_environment, role):
    owner = process_environment["MIGRATION_DATABASE_URL"]
    admin = os.environ["ADMIN_DATABASE_URL"].rpartition("/")
    database = process_environment["DATABASE_URL"].rpartition("/")[2].partition("?")[0]
    query = os.environ["ADMIN_DATABASE_URL"].partition("?")[2]
    root = f"{admin[0]}/{database}" + (f"?{query}" if query else "")
    done = run(process_environment, DATABASE_URL=owner if role == "owner" else root)
    assert done.returncode == 3, done.stderr
    assert ("countersign.E012" if role == "owner" else "countersign.E011") in done.stderr


def test_a_database_that_does_not_answer_is_named(process_environment):
    done = run(process_environment, DATABASE_URL="postgres://nobody@127.0.0.1:1/nothing")
    assert done.returncode == 3
    assert "countersign.E010" in done.stderr


def test_a_lost_guard_is_noticed(process_environment, owner_cursor):
    owner_cursor.execute("ALTER TABLE ledger_event DISABLE TRIGGER append_only")
    owner_cursor.execute("GRANT UPDATE (value) ON ledger_disclosure TO countersign_portal")
    done = run(process_environment)
    owner_cursor.execute("REVOKE UPDATE ON ledger_disclosure FROM countersign_portal")
    assert "nothing in the database keeps append-only: ledger_event" in done.stderr
    assert done.returncode == 3


@pytest.mark.long
def test_demo_accounts_are_refused(process_environment, cast):
    User.objects.filter(pk=cast.developer.pk).update(is_demo=True)
    done = run(process_environment)
    assert done.returncode == 3
    assert "1 demo accounts can sign in" in done.stderr


@pytest.mark.parametrize("command", ["worker", pytest.param("beat", marks=pytest.mark.long)])
def test_worker_and_scheduler_refuse_too(process_environment, command, tmp_path):
    options = {
        "worker": ["--pool", "solo"],
        "beat": ["--pidfile=", "--schedule", str(tmp_path / "beat")],
    }[command]
    done = run(
        process_environment, "-W", "ignore", "-m", "celery", "-A", "portal", command, *options,
        KEY_PEPPER="", CELERY_BROKER_URL="memory://",
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "countersign.E003" in done.stderr


@pytest.mark.long
def test_the_same_by_the_check_command(process_environment):
    done = run(process_environment, "-W", "ignore", "manage.py", "check", "--deploy", PUBLIC_URL="http://x.example")
    assert done.returncode == 1
    assert "countersign.E004" in done.stderr


def test_other_modes_are_not_judged(settings, db):
    settings.PRODUCTION = False
    assert checks.production() == []
    checks.refuse_unsafe()


def test_worker_and_scheduler_need_no_portals_key_and_must_not_see_the_logs(good, db):
    good.PORTAL_KEY = ""
    assert checks.production(web=False) == []
    assert codes(checks.production()) == {"E021"}
    good.LOG_KEY_FILE = "/run/secrets/log_key"
    assert codes(checks.production(web=False)) == {"E020"}


def codes(found):
    return {one.id.removeprefix("countersign.") for one in found}


def test_settings_are_judged_together(settings):
    for name, value in GOOD.items():
        setattr(settings, name, value)
    assert codes(checks.configuration()) == set()
    settings.DEBUG = True
    settings.SECRET_KEY = "django-insecure-" + "x1y2z3" * 9
    settings.KEY_PEPPER, settings.PUBLIC_URL, settings.ALLOWED_HOSTS = "", "http://x.example", ["*"]
    assert codes(checks.configuration()) == {"E001", "E002", "E003", "E004", "E005"}


def test_the_database_is_judged(settings, db, cast):
    assert checks.database() == []
    User.objects.filter(pk=cast.developer.pk).update(is_demo=True)
    assert codes(checks.database()) == {"E015"}


def test_an_owner_is_noticed_through_membership_too(owner_cursor):
    assert codes(checks.role(owner_cursor)) == {"E012", "E013"}
    owner_cursor.execute("RESET ROLE")
    owner_cursor.execute("SET ROLE NONE")
    assert "E012" in codes(checks.role(owner_cursor))


def test_production_mode_ends_the_process(settings, db, capfd):
    settings.PRODUCTION = True
    with pytest.raises(SystemExit) as ended:
        checks.refuse_unsafe()
    assert ended.value.code == 3
