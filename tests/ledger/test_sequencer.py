"""The sequencer killed, paused, doubled and starved at any step: one tree, no gap, nothing signed too early."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import psycopg2
import pytest
from django.test import Client

from accounts.services import add_team
from ledger.actors import SystemActor
from ledger.merkle import Tile
from ledger.pledge import Pledge, PledgeHeld
from ledger.sequencer import STEPS, Sequencer
from ledger.sequencer.loop import advice
from portal import health
from tests.jobs.workers import wait_for
from tests.ledger.whole import Killed, Log, acts, administrating, looping, many, rows, sealed, terminate

ROOT = Path(__file__).resolve().parents[2]
TREES = "SELECT count(*) FROM ledger_treehead"
COMMITTED = STEPS.index("committed")


@pytest.fixture
def log(committing_db, seal) -> Log:
    seal.copy()
    return Log(committing_db, seal.root)


@pytest.fixture
def administrator(committing_db) -> Iterator[Any]:
    with administrating(os.environ["ADMIN_DATABASE_URL"]) as opened:
        yield opened


# Killed


def test_killed_at_any_step_it_is_resumed(log, tmp_path):
    """With a single act, and with so many that every other time a tile is filled."""
    for count, step in product((1, 130), STEPS):
        assert log.dies(step, lambda count=count: many(count)), step
        log.is_sound()
        waiting = len(rows("SELECT 1 FROM ledger_pending"))
        assert waiting == (count if STEPS.index(step) < COMMITTED else 0), step
        many(1)
        log.seal()
        log.is_whole()
    log.is_verified(tmp_path)


def test_killed_again_while_it_resumes(log, tmp_path):
    for number, first in enumerate(STEPS):
        for second in STEPS[number % 3 :: 3]:
            acts(1)
            assert log.dies(first)
            log.dies(second)
            log.is_sound()
    log.seal()
    log.is_whole()
    log.is_verified(tmp_path)


def test_one_that_failed_at_a_step_goes_on_by_itself(log):
    """An error, not the end: the same sequencer, on the same connection."""
    failing: list[str] = []

    def at(step: str) -> None:
        if step in failing:
            failing.remove(step)
            raise OSError("no")

    with log.leading(at) as sequencer:
        for step in STEPS:
            acts(2)
            failing.append(step)
            with pytest.raises(OSError, match="no"):
                sequencer.sequence_once()
            log.is_sound()
            while sequencer.sequence_once():
                continue
            log.is_whole()


def test_more_than_one_cycle_holds_is_sealed_by_several_trees(log, tmp_path):
    """And found a part at a time, so that the next seal does not wait for it."""
    many(5_100)
    with log.leading() as sequencer:
        ((before,),) = rows("SELECT count(*) FROM ledger_leaf")
        counts = [sequencer.sequence_once().count, sequencer.sequence_once().count]
        assert counts == [5_000, 100]
        assert sequencer.behind
        while sequencer.behind:
            assert sequencer.sequence_once() is None
        assert rows("SELECT count(*) FROM ledger_leaf") == [(before + 5_100,)]
    log.is_whole()
    log.is_verified(tmp_path)


def has_grown(before: list[Any]) -> Callable[[], bool]:
    return lambda: rows(TREES) != before


def killed_under_load(log: Log, environment: dict[str, str], seconds: float) -> int:
    """`manage.py sequencer`, killed without warning at some moment while acts are done, and started again."""
    random, until, rounds = Random(), time.monotonic() + seconds, 0  # noqa: S311
    command = [sys.executable, "-W", "ignore", "-m", "manage", "sequencer"]
    while not rounds or time.monotonic() < until:
        grown = has_grown(rows(TREES))
        with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
            try:
                acts(1)
                wait_for(grown, 60)
                over = time.monotonic() + random.uniform(0, 0.1)
                while time.monotonic() < over:
                    acts(random.randrange(1, 20))
            finally:
                process.send_signal(signal.SIGKILL)
        log.is_sound_after_a_kill()
        rounds += 1
    return rounds


def test_the_process_killed_under_load(log, process_environment, tmp_path):
    assert killed_under_load(log, process_environment, 4)
    assert health_now() == "stopped"
    began = time.monotonic()
    add_team(by=SystemActor("console", frozenset({"accounts.add_team"})), name="Later", slug="later")
    assert time.monotonic() - began < 2, "an act does not wait for a sequencer that is dead"
    log.seal()
    log.is_whole()
    log.is_verified(tmp_path)


@pytest.mark.long
def test_the_process_killed_under_load_for_longer(log, process_environment, tmp_path):
    assert killed_under_load(log, process_environment, 90) > 10
    log.seal()
    log.is_whole()
    log.is_verified(tmp_path)


def health_now() -> str:
    health.KNOWN.clear()
    return str(Client().get("/readyz").json()["log"]["state"])


# Paused and woken, and several at a time


def test_paused_and_woken_it_writes_nothing_more(log, administrator, tmp_path):
    """The server ended its session meanwhile, another led and sealed, and then it goes on where it stood."""
    seen: dict[str, Any] = {}
    paused: list[Sequencer] = []

    def at(here: str) -> None:
        if here == step and not seen:
            terminate(paused[-1], administrator)
            many(more)
            log.seal()
            log.is_whole()
            seen.update(log.kept())

    for step, more in product(STEPS, (0, 130)):  # noqa: B007
        acts(3)
        seen.clear()
        paused.append(log.sequencer(at))
        first = paused[-1]
        if step == "found":
            # By then its tree is published and shown; what is left is to say so.
            assert first.sequence_once()
        with pytest.raises(psycopg2.Error):
            first.sequence_once()
        assert seen, "it came to the step"
        assert log.kept() == seen, step
        log.is_whole()
        for _ in range(2):
            with pytest.raises(psycopg2.Error):
                first.sequence_once()
        assert log.kept() == seen, step
    files_are_of_the_tree(log)
    log.is_verified(tmp_path)


def files_are_of_the_tree(log: Log) -> None:
    """Whatever tile a slow hand left behind is one that the tree has or had."""
    leaves = b"".join(bytes(one) for (one,) in rows("SELECT hash FROM ledger_leaf ORDER BY index"))
    for path in (log.folder / "tile" / "0").rglob("*"):
        if path.is_file():
            number, _, part = str(path.relative_to(log.folder / "tile" / "0")).partition(".p/")
            tile = Tile(0, int(number), int(part or 256))
            assert path.read_bytes() == leaves[tile.number * 8192 :][: tile.width * 32], path


def test_of_two_one_works_and_the_other_takes_over(log, caplog):
    caplog.set_level(logging.INFO, "ledger.sequencer")
    with contextlib.ExitStack() as stack:
        with looping(log):
            wait_for(lambda: "leads the log" in caplog.text)
            stack.enter_context(looping(log))
            with looping(log):
                wait_for(lambda: caplog.text.count("Another sequencer is at work on this database.") == 2)
                acts(1)
                wait_for(lambda: sealed(log))
            acts(1)
            wait_for(lambda: sealed(log))
            assert caplog.text.count("leads the log") == 1
        acts(1)
        wait_for(lambda: sealed(log))
        assert caplog.text.count("leads the log") == 2
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]
    log.is_sound()


def test_a_leader_that_is_silent_loses_its_session(log):
    """Paused for longer than `idle` it finds its connection gone, and the loop connects anew."""
    woken, stand = threading.Event(), threading.Event()

    def at(step: str) -> None:
        if step == "stored" and not stand.is_set():
            stand.set()
            woken.wait(60)

    try:
        with looping(log, at, idle="200ms"):
            acts(1)
            assert stand.wait(30)
            acts(1)
            log.seal()
            log.is_whole()
            kept = log.kept()
            woken.set()
            wait_for(lambda: health_now() == "sealing")
            assert log.kept() == kept
            acts(1)
            wait_for(lambda: sealed(log))
    finally:
        woken.set()
    log.is_sound()


# No room, and a hand that does not let go


def test_no_room_for_tiles_and_nothing_is_signed_until_there_is(log, caplog, tmp_path):
    """The largest file that this process may write is set to less than a bundle, as a full disk would."""
    log.seal()
    before = log.kept()
    with no_room():
        many(50)
        with log.leading() as sequencer:
            with pytest.raises(OSError, match="File too large") as failure:
                sequencer.sequence_once()
            sentence = advice(failure.value)
            assert sentence.startswith("The log's folder cannot be written (File too large)")
            assert "Nothing is signed, acts go on. Free some space; it then goes on." in sentence
        log.is_sound()
        with looping(log) as stop:
            wait_for(lambda: sentence in caplog.text)
            acts(2)
            log.is_sound()
            assert {name: log.kept()[name] for name in ("pledge.json", "checkpoint", "ledger_checkpoint")} == {
                name: before[name] for name in ("pledge.json", "checkpoint", "ledger_checkpoint")
            }
            with room():
                wait_for(lambda: sealed(log), 60)
            stop.set()
    log.is_sound()
    log.seal()
    log.is_whole()
    log.is_verified(tmp_path)
    assert not list(log.folder.rglob(".*[0-9]")), "what was written aside and found no room is gone"


@contextlib.contextmanager
def no_room(most: int = 5_000) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def room() -> contextlib.AbstractContextManager[None]:
    return no_room(resource.RLIM_INFINITY)


@pytest.mark.long
def test_a_process_that_holds_the_promise_and_does_not_let_go(log):
    """Paused while it wrote its promise: another that leads says so, signs nothing, and goes on when it is let."""
    acts(1)
    with log.leading() as sequencer:
        with Pledge(log.folder, log.origin).held(), pytest.raises(PledgeHeld, match=r"may be paused\. End it"):
            sequencer.sequence_once()
        log.is_sound()
        assert sequencer.sequence_once()
    log.is_whole()


def test_killed_is_no_error_that_a_loop_would_handle():
    assert not issubclass(Killed, Exception)
