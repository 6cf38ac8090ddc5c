"""The first administrator is made at the console."""

from __future__ import annotations

import getpass
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from accounts.models import User
from accounts.services import add_account
from ledger.actors import SystemActor
from ledger.models import Event

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[2]


def make(monkeypatch, password, email="first@example.org"):
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{password}\n"))
    said = io.StringIO()
    call_command("create_administrator", email, "Fina Erst", stdout=said)
    return said.getvalue()


def test_a_piped_password_makes_an_administrator(cast, monkeypatch):
    said = make(monkeypatch, "a much better phrase")
    account = User.objects.get(email="first@example.org")
    assert said == "first@example.org may now sign in as a platform administrator.\n"
    assert account.check_password("a much better phrase")
    assert account.has_perm("accounts.grant_role")
    assert not account.has_perm("approvals.sign_decision")
    event = Event.objects.latest("id")
    assert event.content["origin"]["channel"] == "console"
    assert event.content["actor"] == {"kind": "system", "id": "console"}


def test_a_weak_password_is_refused_and_leaves_nothing(cast, monkeypatch):
    with pytest.raises(CommandError, match="at least 12 characters"):
        make(monkeypatch, "short")
    assert not User.objects.filter(email="first@example.org").exists()


def test_an_address_that_is_taken_is_refused(cast, monkeypatch):
    with pytest.raises(CommandError, match="has an account already"):
        make(monkeypatch, "a much better phrase", email="developer@example.org")


def test_an_interrupted_run_is_finished(cast, monkeypatch):
    console = SystemActor("console", frozenset({"accounts.add_account"}))
    add_account(by=console, name="Fina Erst", email="first@example.org", password="a much better phrase")
    make(monkeypatch, "is not asked for")
    account = User.objects.get(email="first@example.org")
    assert account.roles_in(None) == {"platform_administrator"}
    assert account.check_password("a much better phrase")


def test_at_a_terminal_the_password_is_asked_for_twice_without_echo(cast, monkeypatch):
    """A real terminal, so that what is echoed can be seen."""
    import os
    import pty

    script = (
        "import getpass, sys; from accounts.management.commands.create_administrator import Command;"
        "print('got', len(Command().password()))"
    )
    main, side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", f"import django; django.setup(); {script}"],
        stdin=side, stdout=side, stderr=side, cwd=ROOT, start_new_session=True, env=dict(os.environ),
    )  # fmt: skip
    os.close(side)
    seen = b""
    for _ in range(2):
        while not seen.endswith(b": "):
            seen += os.read(main, 1000)
        os.write(main, b"a much better phrase\n")
        seen += os.read(main, 1000)
    while not re.search(rb"got \d+", seen):
        seen += os.read(main, 1000)
    process.wait(timeout=20)
    os.close(main)
    assert b"got 20" in seen
    assert b"phrase" not in seen


def test_two_different_passwords_are_refused(cast, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    answers = iter(["a much better phrase", "a much worse phrase"])
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(getpass, "getpass", lambda prompt: next(answers))
    with pytest.raises(CommandError, match="not the same"):
        call_command("create_administrator", "first@example.org", "Fina Erst")
