"""Sealing in tests: the real sequencer, on a folder of each test's own."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.notes import ED25519, SigningKey

SEALER = "test_sealer"
# The portal's role may put on the sequencer's rights here, for tests that are rolled back, but not the eraser's.
GRANTS = (
    f"CREATE ROLE {SEALER} NOLOGIN",
    f"GRANT countersign_sequencer TO {SEALER} WITH INHERIT TRUE, SET FALSE",
    f"GRANT {SEALER} TO countersign_portal WITH INHERIT FALSE, SET TRUE",
)


# The sealer of the test that runs, for worlds that are built up to where the gate says yes.
PRESENT: list[Sealer] = []


def seal_now() -> Any:
    """Seal what the test has done so far; the newest tree of this call, or None."""
    return PRESENT[-1]()


@contextlib.contextmanager
def present(sealer: Sealer, keep: bool = False) -> Iterator[None]:
    """Within it, `seal_now` means this one. Afterwards its folder is removed, unless it is kept."""
    PRESENT.append(sealer)
    try:
        yield
    finally:
        PRESENT.remove(sealer)
        sealer.close(keep)


def log_key(origin: str) -> SigningKey:
    """The log's key in tests, the same in every process."""
    return SigningKey(origin, ED25519, Ed25519PrivateKey.from_private_bytes(sha256(b"a key for tests only").digest()))


def template_root() -> Path:
    """The folder of the log that the template database begins with."""
    return Path(os.environ["CST_TEST_TOP"]) / "log-template"


def connect(database: str) -> Any:
    connection = psycopg2.connect(os.environ["SEQUENCER_DATABASE_URL"], dbname=database)
    connection.autocommit = True
    return connection


class Sealer:
    """Seals whatever is pending when it is called. Without the name of a database, in Django's open transaction."""

    def __init__(self, root: Path, database: str = "") -> None:
        self.root, self.database = root, database
        self.connection: Any = None
        self.sequencer: Any = None
        self.begins_with = template_root()
        self.leaving: contextlib.ExitStack | None = None  # what ends when the test leaves a world that stood ready

    def copy(self) -> None:
        if not self.root.exists():
            if self.begins_with.exists():
                shutil.copytree(self.begins_with, self.root)
            else:
                self.root.mkdir()

    def __call__(self) -> Any:
        """The newest tree that this call has sealed (`Sealed`), or None when nothing was pending."""
        if self.sequencer is None:
            self._start()
        if not self.database:
            return self._seal()
        from ledger.sequencer.lead import give_up, try_lead

        if not try_lead(self.connection):
            return self._wait()
        try:
            self.sequencer.tree = None  # another may have led meanwhile
            return self._seal()
        finally:
            give_up(self.connection)

    def _start(self) -> None:
        from django.conf import settings
        from django.db import connection

        from ledger.keys import portal_key
        from ledger.sequencer import Sequencer

        self.copy()
        if self.database:
            self.connection = connect(self.database)
        else:
            connection.ensure_connection()
            self.connection = connection.connection
        within = "" if self.database else SEALER
        keys = [log_key(settings.LOG_ORIGIN)]
        self.sequencer = Sequencer(
            self.connection, self.root, keys, settings.LOG_ORIGIN, portal=[portal_key().vkey], fsync=False,
            within=within,
        )  # fmt: skip

    def _seal(self) -> Any:
        newest = None
        while sealed := self.sequencer.sequence_once():
            newest = sealed
        while self.sequencer.behind:
            self.sequencer.sequence_once()
        return newest

    def _wait(self) -> None:
        """Another leads (a process, `sealing`): wait until it has sealed what is committed."""
        until = time.monotonic() + 20
        with self.connection.cursor() as cursor:
            while time.monotonic() < until:
                cursor.execute(
                    "SELECT NOT EXISTS (SELECT FROM ledger_pending) AND (SELECT max(size) FROM ledger_treehead)"
                    " IS NOT DISTINCT FROM (SELECT max(size) FROM ledger_checkpoint)"
                )
                if cursor.fetchone() == (True,):
                    return
                time.sleep(0.01)
        raise AssertionError("the sequencer that leads has not sealed within 20 s")

    def close(self, keep: bool = False) -> None:
        if self.leaving is not None:
            self.leaving.close()
        if self.database and self.connection is not None:
            self.connection.close()
        if not keep:
            shutil.rmtree(self.root, ignore_errors=True)


def seal_template(database: str) -> None:
    """Seal what made the template database, once for all tests."""
    sealer = Sealer(template_root(), database)
    sealer()
    sealer.connection.close()


@contextlib.contextmanager
def running(sealer: Sealer) -> Iterator[None]:
    """The sequencer's loop in a thread of this process, for a database that is committed to."""
    from django.conf import settings

    from ledger.keys import portal_key
    from ledger.sequencer import Sequencer
    from ledger.sequencer.loop import run

    sealer.copy()
    stop = threading.Event()
    keys, origin = [log_key(settings.LOG_ORIGIN)], settings.LOG_ORIGIN

    def make(connection: Any) -> Sequencer:
        return Sequencer(connection, sealer.root, keys, origin, portal=[portal_key().vkey], fsync=False)

    thread = threading.Thread(target=run, args=(lambda: connect(sealer.database), make, stop), name="sequencer")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
