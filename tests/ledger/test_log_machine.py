"""The log against a simple model of it: any order of acts, seals, deaths and lost files leaves one tree with all in it.

All examples go on with the same log, because what is appended stays: each takes over what it finds.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any, ClassVar

import psycopg2
import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ledger.events import EVENT, PENDING, append, compose, values_of
from ledger.merkle import Frontier, leaf_hash
from ledger.notes import parse_checkpoint, split_note
from ledger.sequencer import STEPS, Sequencer
from ledger.tiles import TileStore, needed
from tests.ledger.whole import WRITER, Killed, Log, acts, many, rows


class TakenBack(Exception):
    """Ends an act that is not to be."""


class Machine(RuleBasedStateMachine):
    """The model: what is committed, what of it has which place, and every checkpoint that was ever seen."""

    log: ClassVar[Log]
    folder: ClassVar[Path]
    verifications: ClassVar[int]
    failures: ClassVar[list[Exception]]

    def __init__(self) -> None:
        super().__init__()
        self.dies_at = ""
        self.other: Any = None  # an act of another's, not committed yet
        self.sequencer: Sequencer | None = None
        self.lost = False  # whether files are missing that a sequencer has not looked for since

    @initialize()
    def take_over(self) -> None:
        self.events = {str(event): leaf_hash(bytes(raw)) for event, raw in rows("SELECT id, bytes FROM ledger_event")}
        self.places = [str(event) for (event,) in rows("SELECT event_id FROM ledger_leaf ORDER BY index")]
        self.seen: dict[int, bytes] = {}
        self.tree = Frontier()
        self.started()

    # Acts

    def noted(self, *ids: str) -> None:
        found = rows("SELECT id, bytes FROM ledger_event WHERE id = ANY(%s::uuid[])", list(ids))
        assert len(found) == len(ids)
        self.events |= {str(event): leaf_hash(bytes(raw)) for event, raw in found}

    @rule(count=st.integers(1, 4))
    def act(self, count: int) -> None:
        self.noted(*acts(count))

    @rule(count=st.integers(50, 300))
    def many_acts(self, count: int) -> None:
        self.noted(*many(count))

    @rule()
    def act_that_is_rolled_back(self) -> None:
        with contextlib.suppress(TakenBack), transaction.atomic():
            append("test.undone", by=WRITER, on=None, team=None, facts={})
            raise TakenBack

    @precondition(lambda self: self.other is None)
    @rule()
    def another_begins_an_act(self) -> None:
        """Its event has an earlier id than those that are committed before it."""
        row, salted, _ = compose("test.slow", by=WRITER, on=None, team=None, facts={})
        self.other = (psycopg2.connect(os.environ["DATABASE_URL"], dbname=self.log.database), str(row.pk))
        with self.other[0].cursor() as cursor:
            cursor.execute(EVENT + PENDING, [*values_of(row, salted), row.id])

    @precondition(lambda self: self.other is not None)
    @rule(stands=st.booleans())
    def the_other_ends_it(self, stands: bool) -> None:
        opened, event = self.other
        if stands:
            opened.commit()
            self.noted(event)
        opened.close()
        self.other = None

    # The sequencer

    def started(self) -> None:
        def at(step: str) -> None:
            if step == self.dies_at:
                sequencer.connection.close()
                raise Killed(step)

        if self.sequencer is not None:
            self.sequencer.connection.close()
        self.dies_at = ""
        self.sequencer = sequencer = self.log.sequencer(at)

    @rule()
    def restart(self) -> None:
        self.started()

    @rule()
    def cycle(self) -> None:
        assert self.sequencer
        self.sequencer.sequence_once()
        self.lost = False

    @rule()
    def seal(self) -> None:
        assert self.sequencer
        while self.sequencer.sequence_once() or self.sequencer.behind:
            continue
        self.everything_is_sealed()

    @rule(step=st.sampled_from(STEPS))
    def crash(self, step: str) -> None:
        """Killed at this step, if its work takes it there, and started again."""
        assert self.sequencer
        self.dies_at = step
        try:
            while self.sequencer.sequence_once() or self.sequencer.behind:
                continue
        except Killed:
            self.started()
        self.dies_at = ""

    @rule()
    def connection_lost(self) -> None:
        """And noticed only at the next cycle."""
        assert self.sequencer
        self.sequencer.connection.close()
        with pytest.raises(psycopg2.Error):
            self.sequencer.sequence_once()
        self.started()

    # Files

    @rule(which=st.integers(0))
    def remove_a_file(self, which: int) -> None:
        """And the sequencer starts anew, as it looks for what is missing then."""
        files = sorted(path for path in (self.log.folder / "tile").rglob("*") if path.is_file())
        if files:
            files[which % len(files)].unlink()
        self.started()
        self.lost = True

    @rule()
    def remove_the_promise(self) -> None:
        (self.log.folder / "pledge.json").unlink(missing_ok=True)
        self.started()
        self.lost = True

    @precondition(lambda self: not self.lost)
    @rule()
    def verify(self) -> None:
        """Now and then only, as it takes long."""
        if type(self).verifications > 0:
            type(self).verifications -= 1
            self.log.is_verified(self.folder)

    # What must be true

    @invariant()
    def nothing_is_taken_back(self) -> None:
        self.places_stay()
        self.each_checkpoint_is_the_beginning_of_the_next()

    def places_stay(self) -> None:
        """Whatever has a place keeps it; whatever gets one was committed and had none."""
        first = len(self.places)
        fresh = rows("SELECT event_id, index, hash FROM ledger_leaf WHERE index >= %s ORDER BY index", first)
        for number, (event, index, digest) in enumerate(fresh, first):
            assert index == number
            assert self.events[str(event)] == bytes(digest)
            self.places.append(str(event))
        assert rows("SELECT count(*) FROM ledger_leaf") == [(len(self.places),)]
        if fresh:
            assert len(set(self.places)) == len(self.places)

    def each_checkpoint_is_the_beginning_of_the_next(self) -> None:
        newest = self.tree.size
        for size, note in rows("SELECT size, note FROM ledger_checkpoint WHERE size > %s ORDER BY size", newest):
            body = parse_checkpoint(split_note(bytes(note))[0])
            assert body.size == size <= len(self.places)
            self.tree.extend(self.events[event] for event in self.places[self.tree.size : size])
            self.seen[size] = self.tree.root()
            assert body.root == self.seen[size]
        assert rows("SELECT count(*) FROM ledger_checkpoint") == [(len(self.seen),)]
        shown = parse_checkpoint(split_note((self.log.folder / "checkpoint").read_bytes())[0])
        assert self.seen[shown.size] == shown.root, "what is shown was published"
        assert shown.size <= self.log.pledged() <= len(self.places)

    def everything_is_sealed(self) -> None:
        self.nothing_is_taken_back()
        assert sorted(self.places) == sorted(self.events)
        assert max(self.seen) == self.log.shown() == self.log.pledged() == len(self.places)
        assert rows("SELECT count(*) FROM ledger_search") == [(len(self.places),)]
        store = TileStore(self.log.folder)
        assert all(store.has(tile) for tile in needed(len(self.places)))

    def teardown(self) -> None:
        if isinstance(failure := sys.exception(), Exception):
            self.failures.append(failure)
        if self.other is not None:
            self.other[0].close()
        if self.sequencer is not None:
            try:
                self.seal()
            finally:
                self.sequencer.connection.close()


def played(log: Log, folder: Path, examples: int, steps: int, verifications: int) -> None:
    class OnThisLog(Machine):
        pass

    log.seal()
    OnThisLog.log, OnThisLog.folder, OnThisLog.verifications, OnThisLog.failures = log, folder, verifications, []
    # Examples go on with the same log, so that none can be played again in a smaller form.
    phases = (Phase.explicit, Phase.generate)
    chosen = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, database=None, phases=phases,
        suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
    )  # fmt: skip
    try:
        run_state_machine_as_test(OnThisLog, settings=chosen)
    except Flaky:
        raise OnThisLog.failures[0] from None  # it happened once, which is enough
    log.is_whole()
    log.is_verified(folder)


@pytest.fixture
def log(committing_db, seal) -> Log:
    seal.copy()
    return Log(committing_db, seal.root)


def test_any_order_of_things_leaves_one_tree_with_all_in_it(log, tmp_path):
    played(log, tmp_path, examples=12, steps=20, verifications=4)


@pytest.mark.long
def test_any_order_of_things_for_longer(log, tmp_path):
    played(log, tmp_path, examples=30, steps=40, verifications=20)
