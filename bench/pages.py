"""How quick pages are in a large house: those of the audit log at a million events, and those on which people work
at a hundred thousand versions. `python -m bench.pages [--quick] [log|versions]`.

Each page is asked for through Django's test client: URL, session, permission, filter, queries and template, without
the network. Of the log, `ratio` is the page without filter over this one, opened in turn; of the others, the page in a
house of twenty versions over this one. Statements are counted in a small house too: they must not grow with it.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from psycopg2.extensions import make_dsn

from bench import emit
from bench.filling import Filling, fill, rows
from bench.gateway import database
from bench.versions import ASKED, an_approved_house, multiply

BENCH = "pages"
ROOT = Path(__file__).resolve().parents[1]
SMALL = 10_000
START = datetime(2026, 1, 1, tzinfo=UTC)
GOAL_MS = 100
REAL = 20


def cases(wide: int, thin: int) -> dict[str, str]:
    """Query strings by name. `wide` is the team with most events, `thin` the one with fewest."""
    said = Filling()
    span = "since=2026-01-01T06:00&until=2026-01-02T00:00"
    return {
        "no filter": "",
        "actor": "actor=Person+17",
        "actors by part of their name": "actor=Person",
        "actor nobody knows": "actor=Nobody",
        "event, frequent": "event=model",
        "event, rare": f"event={said.rare_event}",
        "object": "object_type=registry.model&object_id=17",
        "object id alone": "object_id=17",
        "team, most events": f"team={wide}",
        "team, fewest events": f"team={thin}",
        "time, long ago": span,
        "refused": "outcome=refused",
        "sealed": "seal=sealed",
        "pending": "seal=pending",
        "team, refused, event": f"team={thin}&outcome=refused&event=model",
        "actor and time": f"actor=Person+17&{span}",
        "word in every second entry": f"text={said.frequent}",
        "word in one of a hundred": f"text={said.usual}",
        "word in twelve entries": f"text={said.rare}",
        "word in none": "text=nowhere",
        "beginning of a word": "text=dis",
        "four words": f"text=model+registered+{said.frequent}+{said.usual}",
        "frequent word, team": f"text={said.frequent}&team={thin}",
        "frequent word, rare event": f"text={said.frequent}&event={said.rare_event}",
        "rare word, refused": f"text={said.rare}&outcome=refused",
        "word and actor": f"text={said.usual}&actor=Person+17",
        "words and time": f"text=model+{said.usual}&{span}",
        "word said often, but only long ago": f"text={said.old}",
    }


class Statements:
    """Counts statements; hand it to `connection.execute_wrapper`."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, execute: Any, sql: str, given: Any, many: bool, context: Any) -> Any:
        self.count += 1
        return execute(sql, given, many, context)


class Reader:
    """Somebody who is signed in and opens pages, those of the log by their query."""

    def __init__(self, account: Any) -> None:
        from django.test import Client

        self.browser = Client(headers={"Host": "localhost"})
        self.browser.force_login(account)
        self.browser.get("/healthz")  # loads what `portal.wsgi` has loaded before it does the same
        gc.freeze()

    def open(self, query: str) -> tuple[float, int, int]:
        """Milliseconds, statements and entries of one page."""
        from django.db import connection

        statements, start = Statements(), time.perf_counter()
        with connection.execute_wrapper(statements):
            answer = self.browser.get(query if query.startswith("/") else f"/audit/?{query}")
        taken = (time.perf_counter() - start) * 1000
        if answer.status_code != 200:
            raise SystemExit(f"{query} answered {answer.status_code}: the figures would mean nothing.")
        return taken, statements.count, answer.content.count(b"data-row")

    def queries(self, query: str) -> int:
        """Statements of a page that was opened before: what the frame keeps for a while is kept."""
        self.open(query)
        return min(self.open(query)[1] for _ in range(2))

    def times(self, path: str, times: int) -> list[float]:
        """Sorted milliseconds of a page, after it was opened once."""
        self.open(path)
        return sorted(self.open(path)[0] for _ in range(times))

    def beside_plain(self, query: str, times: int) -> tuple[list[float], list[float], int]:
        """Sorted milliseconds of this page and of the one without filter, opened in turn, and entries on this."""
        self.open(query)
        pairs = [(self.open(query), self.open("")) for _ in range(times)]
        own, plain = (sorted(one[side][0] for one in pairs) for side in (0, 1))
        return own, plain, pairs[-1][0][2]


def people(team: Any) -> list[tuple[str, str]]:
    """Opaque id and name of two hundred accounts; the outsider of the tests becomes auditor of one team."""
    from accounts.models import Role, User
    from accounts.services import grant_role
    from ledger.actors import SystemActor

    made = [User(name=f"Person {number}", email=f"person-{number}@example.org") for number in range(200)]
    User.objects.bulk_create(made)
    console = SystemActor("console", frozenset({"accounts.grant_role"}))
    account, role = User.objects.get(email="outsider@example.org"), Role.objects.get(slug="auditor")
    grant_role(by=console, account=account, role=role, team=team, reason="bench")
    return [(str(one.opaque_id), one.name) for one in made]


def measure(count: int, times: int, url: str) -> None:
    import django

    django.setup()
    from django.conf import settings

    from accounts.models import Team, User
    from ledger.models import Event

    settings.SESSION_COOKIE_SECURE = False
    Team.objects.bulk_create(Team(name=f"Team {number}", slug=f"team-{number}") for number in range(20))
    teams = list(Team.objects.filter(slug__startswith="team-").order_by("pk"))
    actors, keys = people(teams[3]), [team.pk for team in teams]
    events = rows(count, actors, keys, START)
    auditor, local = (User.objects.get(email=f"{name}@example.org") for name in ("auditor", "outsider"))
    asked = cases(keys[0], keys[-1])
    fill(url, events, settings.LOG_ORIGIN, SMALL)
    small = {name: Reader(auditor).queries(query) for name, query in asked.items()}
    start = time.perf_counter()
    fill(url, events, settings.LOG_ORIGIN)
    emit(BENCH, "fill", detail={"events": count, "seconds": round(time.perf_counter() - start)})
    middle = Event.objects.order_by("pk").values_list("pk", flat=True)[count // 2]
    deep = {"page from the middle on": f"before={middle}", "page back to the middle": f"after={middle}"}
    chosen = ("no filter", "refused", "word in every second entry", "word in twelve entries", "word in none")
    everything: list[float] = []
    for who, account, queries in (
        ("", auditor, asked | deep),
        (", auditor of one team", local, {name: asked[name] for name in chosen}),
    ):
        reader = Reader(account)
        for name, query in queries.items():
            own, plain, entries = reader.beside_plain(query, times)
            everything += own
            told: dict[str, Any] = {"median_ms": at(own, 0.5), "p95_ms": at(own, 0.95), "entries": entries}
            told |= {"queries": reader.queries(query), "events": count}
            if not who and name in small:
                told["queries_at_10k"] = small[name]
            emit(BENCH, name + who, at(plain, 0.5) / at(own, 0.5), None, "the page without filter, in turn", told)
    everything.sort()
    told = {"events": count, "requests": len(everything), "goal_p95_ms": GOAL_MS}
    emit(BENCH, "all cases", detail={"median_ms": at(everything, 0.5), "p95_ms": at(everything, 0.95), **told})


def at(taken: list[float], part: float) -> float:
    return round(taken[min(len(taken) - 1, int(len(taken) * part))], 1)


def measure_versions(count: int, times: int, top: Path) -> None:
    """Inbox, request and inventory, before and after the house has grown."""
    import django

    django.setup()
    from django.conf import settings

    from tests.cast import Cast

    settings.SESSION_COOKIE_SECURE = False
    requests = an_approved_house(top, REAL)
    approver, owner = Reader(Cast().approver), Reader(Cast().model_owner)
    asked = {
        "inbox": (approver, "/"),
        "requests": (approver, "/requests/"),
        "request": (approver, f"/requests/{requests[0].pk}/"),
        "inventory": (owner, "/models/"),
        "inventory, searched": (owner, "/models/?q=screening"),
        "version": (owner, f"/versions/{requests[0].version_id}/"),
    }
    small = {name: (who.times(path, times), who.queries(path)) for name, (who, path) in asked.items()}
    multiply(requests[0], count)
    everything: list[float] = []
    for name, (who, path) in asked.items():
        everything += (taken := who.times(path, times))
        told = {"median_ms": at(taken, 0.5), "p95_ms": at(taken, 0.95), "queries": who.queries(path)}
        told |= {"versions": count + REAL, "queries_at_20": small[name][1]}
        emit(BENCH, name, at(small[name][0], 0.5) / at(taken, 0.5), None, f"the page among {REAL} versions", told)
    everything.sort()
    told = {"versions": count + REAL, "requests": len(everything), "goal_p95_ms": GOAL_MS}
    emit(
        BENCH,
        "all pages of versions",
        detail={"median_ms": at(everything, 0.5), "p95_ms": at(everything, 0.95), **told},
    )
    dry_runs(count // ASKED + REAL)


def dry_runs(requests: int) -> None:
    """The policy in force tried on every request of the last year, as the editor does."""
    from approvals.dryrun import dry_run
    from approvals.models import ReviewRequest
    from tests.cast import Cast

    policy, viewer = ReviewRequest.objects.latest("pk").policy_version.rules, Cast().policy_admin
    taken: list[float] = []
    for _ in range(3):
        start = time.perf_counter()
        found = dry_run(policy, viewer)
        taken.append(time.perf_counter() - start)
    if found.looked_at < requests:
        raise SystemExit(f"The dry run looked at {found.looked_at} requests of {requests}.")
    each = sorted(taken)[1] / found.looked_at
    told = {"requests": found.looked_at, "seconds": round(sorted(taken)[1], 2), "goal_seconds_for_10000": 5}
    emit(BENCH, "dry run", detail={**told, "seconds_for_10000": round(each * 10_000, 2)})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description="How quick pages are.")
    parser.add_argument("--quick", action="store_true", help="under 50 s each: 100,000 events, 20,000 versions")
    parser.add_argument("which", nargs="?", choices=["log", "versions"], help="only these")
    given = parser.parse_args()
    if not given.which:
        for which in ("log", "versions"):  # each with settings of its own
            subprocess.run([sys.executable, "-m", "bench.pages", which, *sys.argv[1:]], cwd=ROOT, check=True)
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as top, database(Path(top)) as environment:
        os.environ["LOG_ROOT"] = f"{top}/log"
        os.mkdir(f"{top}/static")
        if given.which == "log":
            url = make_dsn(environment["ADMIN_DATABASE_URL"], dbname="bench")
            measure(*((100_000, 6) if given.quick else (1_000_000, 40)), url)
        else:
            measure_versions(*((20_000, 10) if given.quick else (100_000, 40)), Path(top))


if __name__ == "__main__":
    main()
