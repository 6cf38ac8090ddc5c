"""The sequencer: gives events their places in the log and signs its checkpoints. One works, further ones wait."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from typing import Any

import psycopg2
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from audits.erasing.carrying import Eraser
from ledger.clock import ClockWatch
from ledger.keys import KeyFault, log_keys, portal_vkeys, refuse_same
from ledger.sequencer import Sequencer
from ledger.sequencer.lead import lead
from ledger.sequencer.loop import run

REFUSES = 3
log = logging.getLogger("ledger.sequencer")


class Command(BaseCommand):
    help = "Seal what is pending, until told to stop; --once stops when nothing is pending."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            keys, portal = log_keys(), portal_vkeys()
            refuse_same(keys, portal)
        except KeyFault as fault:
            refuse(str(fault))
        if not settings.SEQUENCER_DATABASE_URL:
            refuse("Set SEQUENCER_DATABASE_URL to a connection as the role that `manage.py provision_roles` makes.")

        def make(connection: Any) -> Sequencer:
            published = [key.vkey for key in portal]
            return Sequencer(connection, settings.LOG_ROOT, list(keys), settings.LOG_ORIGIN, portal=published)

        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        if options["once"]:
            seal(make, stop)
        else:
            watch, eraser = ClockWatch(log.error), Eraser(connect)

            def each() -> None:
                watch.tick()
                eraser()

            run(connect, make, stop, each=each)
            eraser.close()


def connect() -> Any:
    connection = psycopg2.connect(settings.SEQUENCER_DATABASE_URL, application_name="sequencer")
    connection.autocommit = True
    return connection


def seal(make: Any, stop: threading.Event) -> None:
    connection = connect()
    if lead(connection, stop.is_set, log.warning):
        sequencer = make(connection)
        while sequencer.sequence_once() or sequencer.behind:
            continue
    connection.close()


def refuse(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
    raise SystemExit(REFUSES)
