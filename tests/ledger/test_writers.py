"""Eight writers at once and two sequencers, all of them killed at random: what is committed has one place.

What the writers committed is known from what they noted after each commit, outside the database.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from django.db import connections

from accounts.models import Team
from tests.ledger.whole import Log, rows

ROOT = Path(__file__).resolve().parents[2]
BY_ACT = (
    "SELECT body ->> 'act', (body ->> 'of')::int, array_agg(id::text) FROM (SELECT id,"
    " convert_from(bytes, 'UTF8')::jsonb -> 'facts' AS body FROM ledger_event WHERE event = 'storm.written') AS e"
    " GROUP BY 1, 2"
)
TEAMS = (
    "SELECT convert_from(bytes, 'UTF8')::jsonb #>> '{facts,slug}' FROM ledger_event"
    " WHERE event = 'team.added' AND actor_id = 'writer'"
)


def noted(folder: Path, name: str) -> list[list[str]]:
    path = folder / name
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def stormed(log: Log, environment: dict[str, str], folder: Path, events: int) -> None:
    seed, before = random.randrange(2**32), set(Team.objects.values_list("slug", flat=True))  # noqa: S311
    connections.close_all()
    command = [sys.executable, "-W", "ignore", "-m", "tests.ledger.storm", str(folder)]
    done = subprocess.run(
        [*command, "--events", str(events), "--seed", str(seed)], cwd=ROOT, env=environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"seed {seed}: {done.stderr[-3000:]}"
    print(f"seed {seed}:", json.loads(done.stdout), rows("SELECT count(*) FROM ledger_treehead"))

    log.is_whole()
    log.is_verified(folder)
    present = {}
    for act, of, ids in rows(BY_ACT):
        assert len(ids) == of, f"{act} is there by half"
        present[act] = ids
    leaves = Counter(str(event) for (event,) in rows("SELECT event_id FROM ledger_leaf"))
    assert all(leaves[event] == 1 for ids in present.values() for event in ids)
    committed = noted(folder, "committed")
    assert sum(map(len, committed)) >= events
    assert {tuple(sorted(ids)) for ids in committed} <= {tuple(sorted(ids)) for ids in present.values()}
    assert not leaves.keys() & {event for ids in noted(folder, "undone") for event in ids}, "what was taken back"
    added = set(Team.objects.values_list("slug", flat=True)) - before
    assert {act for (act,) in noted(folder, "teams")} <= added
    assert Counter(slug for (slug,) in rows(TEAMS)) == Counter(added), "an act and its entry are there or not there"


@pytest.fixture
def log(committing_db, seal) -> Log:
    seal.copy()
    return Log(committing_db, seal.root)


def test_whatever_is_killed_each_committed_act_is_one_leaf(log, process_environment, tmp_path):
    stormed(log, process_environment, tmp_path, 3_000)


@pytest.mark.long
def test_whatever_is_killed_for_longer(log, process_environment, tmp_path):
    stormed(log, process_environment, tmp_path, 80_000)
