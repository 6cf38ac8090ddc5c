"""`manage.py sequencer` as it is run: what it refuses, that it seals, publishes keys, and stops when told to."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.core.management import call_command

from accounts.services import add_team
from ledger.actors import SystemActor
from ledger.keys import portal_name
from ledger.models import Event, PublicKey
from ledger.notes import SigningKey
from ledger.reading import wait_for_seals

ROOT = Path(__file__).resolve().parents[2]
CONSOLE = SystemActor("console", frozenset({"accounts.add_team"}))
LOG = SigningKey.generate("a.example.org/log")
PORTAL = SigningKey.generate(portal_name(LOG.name))
SAME = SigningKey(PORTAL.name, LOG.kind, LOG.private)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"LOG_KEY": ""},
            "The log's key is missing. Make one with `python -m ledger.log_key new PATH --name a.example",
        ),
        ({"LOG_KEY": "", "LOG_KEY_FILE": "/nowhere/log_key"}, "The log's key /nowhere/log_key does not exist."),
        ({"LOG_KEY": LOG.text[:-9]}, "LOG_KEY does not hold the log's key"),
        ({"LOG_ORIGIN": "b.example.org/log"}, "is named a.example.org/log, but LOG_ORIGIN is b.example.org/log"),
        ({"PORTAL_VKEY": SAME.vkey}, "Log and portal have the same key"),
        ({"PORTAL_VKEY": "x"}, "PORTAL_VKEY is no list of public keys"),
        ({"SEQUENCER_DATABASE_URL": ""}, "Set SEQUENCER_DATABASE_URL"),
    ],
)
def test_what_is_unfit_ends_it_with_status_3_and_a_sentence(settings, capsys, changes, words):
    fit = {"LOG_KEY": LOG.text, "LOG_KEY_FILE": "", "LOG_ORIGIN": LOG.name, "PORTAL_VKEY": PORTAL.vkey}
    for name, value in (fit | changes).items():
        setattr(settings, name, value)
    with pytest.raises(SystemExit) as ended:
        call_command("sequencer")
    assert ended.value.code == 3
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert LOG.text[-30:-10] not in said


def test_it_seals_while_it_runs_publishes_keys_and_stops_when_told_to(process_environment, seal):
    seal.copy()
    told = process_environment | {"PORTAL_VKEY": PORTAL.vkey}
    command = [sys.executable, "-W", "ignore", "-m", "manage", "sequencer"]
    with subprocess.Popen(command, cwd=ROOT, env=told, stderr=subprocess.PIPE, text=True) as process:
        try:
            for number in range(3):
                add_team(by=CONSOLE, name=f"Team {number}", slug=f"team-{number}")
                event = Event.objects.latest("id").pk
                assert wait_for_seals([event], 30)[event] is not None
        finally:
            process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            _, said = process.communicate(timeout=20)
        assert (process.returncode, said) == (0, "")
        assert time.monotonic() - began < 5
    assert {PORTAL.vkey, SigningKey.from_text(told["LOG_KEY"]).vkey} <= set(
        PublicKey.objects.values_list("vkey", flat=True)
    )
    assert not Event.objects.filter(event__startswith="clock.").exists()


def test_once_seals_what_is_there_and_ends(process_environment, seal, settings):
    seal.copy()
    add_team(by=CONSOLE, name="Once", slug="once")
    settings.SEQUENCER_DATABASE_URL = process_environment["SEQUENCER_DATABASE_URL"]
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        call_command("sequencer", "--once")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    event = Event.objects.latest("id").pk
    assert wait_for_seals([event], 0)[event] is not None
