"""An approved endpoint on the board of a gateway in this process."""

from __future__ import annotations

from dataclasses import replace

import pytest


@pytest.fixture(scope="module")
def prepared(django_db_setup, django_db_blocker, tmp_path_factory):
    """A world made once and rolled back; what the gateway has on its board outlives it."""
    from django.db import transaction

    from tests.cast import Cast
    from tests.inference.gateway import Inside, a_key, a_world
    from tests.sealing import Sealer, present

    with django_db_blocker.unblock():
        outermost = transaction.atomic()
        outermost._from_testcase = True  # as Django's own tests do: the door wants to be outermost itself
        with outermost, present(Sealer(tmp_path_factory.mktemp("sealed") / "log")):
            cast = Cast()
            world = a_world(cast)
            world.reader = a_key(cast, world.endpoint, actions=["metadata"])[1]
            world.slow = a_key(cast, world.endpoint, rate=1)[1]
            filled = Inside().renew()
            transaction.set_rollback(True)
    filled.close()
    return world, filled.board


@pytest.fixture
def world(prepared):
    return prepared[0]


@pytest.fixture
def inside(prepared):
    """The application with that board, its lease fresh."""
    from inference.gateway.board import clock
    from tests.inference.gateway import Inside

    found, board = Inside(), prepared[1]
    found.board.snapshot = replace(board.snapshot, until=clock() + 30)
    found.board.runners.update(board.runners)
    yield found
    found.close()


@pytest.fixture
def receiver():
    """Takes traces by OTLP over HTTP."""
    from tests.inference.receiving import Receiver

    found = Receiver()
    yield found
    found.close()
