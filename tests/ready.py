"""Usual worlds that stand ready: most tests begin with one of a few, and building it takes longer than what they try.

Each is built once in each process of tests, through the services as ever, in a database of its own. A test with `db`
whose first act would be to build it goes on there instead, in a transaction that is rolled back like any other. One
that has written or sealed something before, or commits, builds its world itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

from tests.sealing import PRESENT, Sealer, present

UNWRITTEN = "SELECT pg_current_xact_id_if_assigned() IS NULL"


@dataclass
class Ready:
    """One world: where it is, and which object the builder gave."""

    connection: Any
    log: Path
    model: Any
    pk: int


READY: dict[str, Ready] = {}


def standing_ready(build: Callable[..., Any]) -> Callable[..., Any]:
    """For a builder: called with the cast alone as a test's first act, it gives what stands ready, loaded afresh."""

    @wraps(build)
    def found(cast: Any, *more: Any, **changes: Any) -> Any:
        if more or changes or not untouched():
            return build(cast, *more, **changes)
        name = f"{build.__module__}.{build.__name__}".removeprefix("tests.").replace(".", "_")
        if name not in READY:
            READY[name] = built(name, build)
        ready = READY[name]
        enter(ready)
        return ready.model.objects.get(pk=ready.pk)

    return found


def untouched() -> bool:
    """Whether the test that runs has done nothing yet that another database would not know of."""
    from django.db import connection

    sealer = PRESENT[-1] if PRESENT else None
    if sealer is None or sealer.database or sealer.sequencer or sealer.leaving or sealer.root.exists():
        return False
    blocks: list[Any] = connection.atomic_blocks
    if not blocks or not all(block._from_testcase for block in blocks) or connection.needs_rollback:
        return False
    with connection.cursor() as cursor:
        cursor.execute(UNWRITTEN)
        return bool(cursor.fetchone() == (True,))


def wrapper_of(database: str) -> Any:
    """Django's connection to another database of the same roles and tables."""
    from django.db import connections

    usual = connections["default"]
    return type(usual)({**usual.settings_dict, "NAME": database}, "default")


def built(name: str, build: Callable[..., Any]) -> Ready:
    from django.db import connections

    from tests.cast import Cast
    from tests.conftest import create_database

    database = f"ready_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{name}"
    create_database(database)
    usual, connection = connections["default"], wrapper_of(database)
    sealer = Sealer(Path(os.environ["CST_TEST_TOP"]) / f"log-{database}", database)
    connections["default"] = connection
    try:
        with present(sealer, keep=True):
            made = build(Cast())
    finally:
        connections["default"] = usual
    return Ready(connection, sealer.root, type(made), made.pk)


def enter(ready: Ready) -> None:
    """Go on in that world's database until the test's sealer is closed."""
    from django.db import connections, transaction

    usual, sealer = connections["default"], PRESENT[-1]
    leaving = ExitStack()
    leaving.callback(connections.__setitem__, "default", usual)
    connections["default"] = ready.connection
    block: Any = transaction.Atomic("default", True, False)
    block._from_testcase = True
    leaving.enter_context(block)
    leaving.callback(transaction.set_rollback, True)
    sealer.begins_with = ready.log
    sealer.leaving = leaving
