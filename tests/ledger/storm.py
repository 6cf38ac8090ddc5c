"""Writers and sequencers as processes of their own, killed and paused at random: `python -m tests.ledger.storm`.

One process that forks all of them and does nothing else, so that a new one is at work within milliseconds. A writer
notes what it has committed in a file after the commit, so that this is known without asking the log.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

IDLE = "2s"  # a leader that is silent for so long loses its session
PATIENCE = 240.0
LINE = 37  # bytes of an id in a note, with what stands behind it
AT_LEAST = {"writers killed": 20, "sequencers killed": 4, "sequencers paused": 2}
DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG


# In this order: what a killed writer has sent may still be committed, until its session ends.
SETTLED = (
    "SELECT count(*) = 1 FROM pg_stat_activity WHERE usename = current_user AND datname = current_database()",
    "SELECT NOT EXISTS (SELECT FROM ledger_pending)",
    "SELECT (SELECT max(size) FROM ledger_treehead) IS NOT DISTINCT FROM (SELECT max(size) FROM ledger_checkpoint)",
    "SELECT (SELECT count(*) FROM ledger_search) = (SELECT count(*) FROM ledger_event)",
)


class Note:
    """A file that several processes add lines to; a line is there whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def add(self, *words: str) -> None:
        os.write(self.handle, (" ".join(words) + "\n").encode())


class TakenBack(Exception):
    """Ends an act that is not to be."""


def write(folder: Path, enough: int, chance: random.Random) -> None:
    """Acts, each of one to four events that stand or fall together; some are taken back, some pass the door."""
    from django.db import transaction

    from accounts.services import add_team
    from ledger.actors import SystemActor
    from ledger.events import append

    writer = SystemActor("writer", frozenset({"accounts.add_team"}))
    committed, undone, teams = (Note(folder / name) for name in ("committed", "undone", "teams"))
    while (folder / "committed").stat().st_size < enough * LINE or not (folder / "raged").exists():
        act = f"{chance.getrandbits(64):016x}"
        if chance.random() < 0.05:
            add_team(by=writer, name=act, slug=act)
            teams.add(act)
            continue
        count, ids = chance.randrange(1, 5), []
        facts = {"act": act, "of": count}
        try:
            with transaction.atomic(durable=True):
                for _ in range(count):
                    ids.append(str(append("storm.written", by=writer, on=None, team=None, facts=facts).pk))
                if chance.random() < 0.1:
                    raise TakenBack
        except TakenBack:
            undone.add(*ids)
        else:
            committed.add(*ids)


def seal() -> None:
    """The sequencer's loop, until it is told to stop."""
    import psycopg2
    from django.conf import settings

    from ledger.keys import log_keys
    from ledger.sequencer import Sequencer
    from ledger.sequencer.loop import run

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())

    def connect() -> Any:
        connection = psycopg2.connect(settings.SEQUENCER_DATABASE_URL, application_name="storm")
        connection.autocommit = True
        return connection

    def make(connection: Any) -> Sequencer:
        return Sequencer(connection, settings.LOG_ROOT, list(log_keys()), settings.LOG_ORIGIN, fsync=False)

    run(connect, make, stop, idle=IDLE)


def forked(work: Callable[[], None]) -> int:
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        ctypes.CDLL(None).prctl(DIES_WITH_PARENT, signal.SIGKILL)
        work()
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status)


class Storm:
    """Keeps so many at work, and ends or pauses one of them every few moments."""

    def __init__(self, folder: Path, events: int, writers: int, seed: int) -> None:
        self.folder, self.events = folder, events
        self.chance = random.Random(seed)  # noqa: S311
        self.until = time.monotonic() + PATIENCE + events / 50
        self.writers = [self.writer() for _ in range(writers)]
        self.sequencers = [self.sequencer(), self.sequencer()]
        self.asleep: dict[int, float] = {}
        self.done = dict.fromkeys(AT_LEAST, 0)

    def writer(self) -> int:
        chance = random.Random(self.chance.getrandbits(64))  # noqa: S311
        return forked(lambda: write(self.folder, self.events, chance))

    def sequencer(self) -> int:
        return forked(seal)

    def rages(self) -> None:
        """Until enough is committed and enough was killed, and every writer has come to its end."""
        while self.writers:
            assert time.monotonic() < self.until, "the writers do not come to an end"
            time.sleep(self.chance.uniform(0, 0.06))
            for child, wakes in list(self.asleep.items()):
                if time.monotonic() > wakes:
                    self.wakes(child)
            what = self.chance.random()
            if what < 0.65:
                self.kills(self.writers, self.writer, "writers killed")
            elif what < 0.85:
                self.kills(self.sequencers, self.sequencer, "sequencers killed")
            else:
                self.pauses(self.chance.choice(self.sequencers))
            if all(self.done[what] >= least for what, least in AT_LEAST.items()):
                (self.folder / "raged").touch()
            self.writers = [child for child in self.writers if not ended(child)]
        for child in list(self.asleep):
            self.wakes(child)

    def kills(self, kind: list[int], another: Callable[[], int], what: str) -> None:
        place = self.chance.randrange(len(kind))
        self.asleep.pop(kind[place], None)
        os.kill(kind[place], signal.SIGKILL)
        _, status = os.waitpid(kind[place], 0)
        assert status in (0, signal.SIGKILL), f"one of the {what} had ended by itself, with {status}"
        kind[place] = another()
        self.done[what] += 1

    def pauses(self, child: int) -> None:
        if child not in self.asleep:
            os.kill(child, signal.SIGSTOP)
            self.asleep[child] = time.monotonic() + self.chance.uniform(0.1, 3)
            self.done["sequencers paused"] += 1

    def wakes(self, child: int) -> None:
        os.kill(child, signal.SIGCONT)
        del self.asleep[child]

    def settles(self) -> None:
        """Once no writer's session is left in the server, let the sequencers seal the rest, then stop them."""
        from django.db import connection

        with connection.cursor() as cursor:
            for question in SETTLED:
                while cursor.execute(question) or cursor.fetchone() != (True,):
                    assert time.monotonic() < self.until, f"this does not become true: {question}"
                    time.sleep(0.05)
        for child in self.sequencers:
            os.kill(child, signal.SIGTERM)
        for child in self.sequencers:
            assert os.waitpid(child, 0)[1] == 0, "a sequencer ended in disorder"


def ended(child: int) -> bool:
    """Whether it came to its end by itself."""
    found, status = os.waitpid(child, os.WNOHANG)
    assert status == 0, f"a writer ended by itself, with {status}"
    return found == child


def main() -> None:
    import django

    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--seed", type=int, required=True)
    given = parser.parse_args()
    django.setup()
    import accounts.services
    import ledger.sequencer.loop

    assert accounts.services, ledger.sequencer.loop  # read once, for all that are forked
    (given.folder / "committed").touch()
    storm = Storm(given.folder, given.events, given.writers, given.seed)
    storm.rages()
    storm.settles()
    print(json.dumps(storm.done))


if __name__ == "__main__":
    main()
