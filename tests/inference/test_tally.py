"""What a gateway took and did not write is known after it was killed, and said once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from inference.gateway.logbook import Logbook
from inference.gateway.tally import Missing, Tally, left_behind
from inference.models import PredictionLoss
from ledger.models import Event
from tests.inference.test_predictions import an_entry
from tests.inference.world import an_endpoint

ROOT = Path(__file__).resolve().parents[2]
KILLED = """
import os, signal, sys
from pathlib import Path
from inference.gateway.tally import Tally
tally = Tally(Path(sys.argv[1]))
for milliseconds in range(1_000, 1_007):
    tally.handed_over(int(sys.argv[2]), milliseconds)
    tally.handed_over(7_000_000, milliseconds)
for milliseconds in range(1_000, 1_004):
    tally.written(int(sys.argv[2]), milliseconds)
os.kill(os.getpid(), signal.SIGKILL)
"""


def kill_one(folder, endpoint):
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(endpoint)], cwd=ROOT, env={**os.environ})
    assert done.returncode == -signal.SIGKILL


ID = str(uuid.UUID(int=1 << 100 | 7))
STEP = st.tuples(st.sampled_from(["over", "write", "cut", "fail"]), st.integers(1, 4))


@given(st.lists(STEP), st.integers(1, 5))
def test_what_is_missing_is_what_was_handed_over_and_not_written(steps, places):
    """Whatever happens in between: a batch that was not counted yet counts where its row is there."""
    tally = Tally(places=places)
    waiting, known, uncounted = [], [], []
    for at, (step, endpoint) in enumerate(steps):
        if step == "over":
            tally.handed_over(endpoint, at)
            known = known if endpoint in known or len(known) == places else [*known, endpoint]
            waiting += [endpoint] * (endpoint in known)
            continue
        batch, waiting = waiting[:3], waiting[3:]
        tally.writing(ID, batch)
        if step == "cut":  # committed, and killed before it was counted
            uncounted = batch
            break
        if step == "fail":
            tally.writing("", [])
            waiting = [*batch, *waiting]
        else:
            for each in batch:
                tally.written(each, at)
    assert missing(tally, True) == Counter(waiting)
    assert missing(tally, False) == Counter(waiting + uncounted)
    tally.close(keep=False)


def missing(tally, there):
    def is_there(row):
        assert str(row) == ID
        return there

    return Counter({each.endpoint: each.rows for each in tally.missing(is_there)})


def nothing(row):
    raise AssertionError(row)


def test_of_a_killed_gateway_is_told_what_it_left_and_of_a_living_one_nothing(tmp_path):
    alive, folder = Tally(tmp_path), tmp_path
    alive.handed_over(5, 2_000)
    kill_one(folder, 5)
    (folder / "no-process.tally").write_bytes(b"x" * 7)
    (folder / f"{uuid.uuid4()}.tally").write_bytes(b"")
    with left_behind(folder, nothing) as found, left_behind(folder, nothing) as others:
        told = [each for each in found.values() if each]
        assert told == [[Missing(5, 3, 1_003, 1_006), Missing(7_000_000, 7, 1_000, 1_006)]]
        assert others == {}, "of several that look, one tells"
    assert sorted(each.name for each in folder.iterdir()) == sorted([f"{alive.process}.tally", "no-process.tally"])
    alive.close(keep=True)
    with left_behind(folder, nothing) as found:
        assert found == {alive.process: [Missing(5, 1, 2_000, 2_000)]}
    Tally(folder).close(keep=False)
    assert [each.name for each in folder.iterdir()] == ["no-process.tally"]


def test_losses_are_events_each_said_once(db, cast, tmp_path, caplog):
    """Of a gateway that was killed, and rows that this one had no room for."""
    endpoint = an_endpoint(cast)
    kill_one(tmp_path, endpoint.pk)
    book = Logbook(rows=2)
    book.folder, book.tally = tmp_path, Tally(tmp_path)
    for _ in range(5):
        book.put(an_entry(pk=endpoint.pk))
    kept = tmp_path / "kept"  # the files, as if both had been killed here
    kept.mkdir()
    for path in tmp_path.glob("*.tally"):
        (kept / path.name).write_bytes(path.read_bytes())
    book.flush()
    assert book.state() == {"dropped": 3, "waiting": 0, "writable": True, "trouble": None}
    losses = {each.why: each for each in PredictionLoss.objects.filter(endpoint=endpoint)}
    assert {why: each.rows for why, each in losses.items()} == {"full": 3, "ended": 3}
    assert losses["ended"].since == datetime.fromtimestamp(1.003, UTC)
    assert losses["ended"].until == datetime.fromtimestamp(1.006, UTC)
    assert losses["full"].process == book.tally.process
    book.told, book.folder = float("-inf"), kept
    book.flush()
    own = PredictionLoss.objects.get(process=book.tally.process, why="ended")
    assert own.rows == 2, "of five handed over three were known"
    book.told = float("-inf")
    book.flush()
    assert PredictionLoss.objects.count() == 3
    facts = Event.objects.filter(event="endpoint.predictions_lost").earliest("id").content["facts"]
    assert (facts["endpoint"], facts["why"], facts["rows"]) == (endpoint.name, "full", 3)
    book.tally.close(keep=False)
    assert [*tmp_path.glob("*.tally")] == [*kept.glob("*.tally")] == []
