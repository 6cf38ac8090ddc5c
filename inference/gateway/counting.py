"""Counting what a process of the gateway does, and telling the database every two seconds."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from django.db import connection

from inference.gateway.lease import PATIENCE
from inference.traffic.rules import CLASSES, class_of

log = logging.getLogger("inference.gateway")
TELL_SECONDS = 2.0
STATEMENT_MILLISECONDS = 5_000
Kind = tuple[int | None, int | None, str, str]


class Counter:
    """Requests count without a lock: what is told is what they left alone since the telling before."""

    def __init__(
        self, state: Callable[[], Mapping[str, Any]], compared: Callable[[], Mapping[int, Mapping[str, int]]] = dict
    ) -> None:
        """`state` says of the process what its page shows, `compared` how shadows did since it was asked last."""
        self.state, self.compared = state, compared
        self.id, self.began = uuid.uuid4(), time.monotonic()
        self.now: dict[Kind, list[Any]] = {}
        self.before: dict[Kind, list[Any]] = {}
        self.untold: dict[Kind, list[Any]] = {}
        self.failing = False
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.keep, name="counter", daemon=True)

    def count(self, kind: Kind, rows: int, positives: int, micros: int) -> None:
        """Called by the event loop alone."""
        counts = self.now.get(kind)
        if counts is None:
            counts = self.now[kind] = [0, 0, 0, 0, [0] * CLASSES]
        counts[0] += 1
        counts[1] += rows
        counts[2] += positives
        counts[3] += micros
        counts[4][class_of(micros)] += 1

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self.stopping.set()
        if self.thread.is_alive():
            self.thread.join(timeout=5)

    def keep(self) -> None:
        options = connection.settings_dict["OPTIONS"]
        connection.settings_dict["OPTIONS"] = {**PATIENCE, **options}
        while not self.stopping.wait(TELL_SECONDS):
            self.tell()
        self.tell()
        self.tell()
        with contextlib.suppress(Exception):
            from inference.traffic.writing import leave

            leave(self.id)
        connection.close()

    def tell(self) -> None:
        """Add what was counted until the telling before this one: nothing is being added to that any more."""
        from inference.rollouts.services import add_compared
        from inference.traffic import writing

        merge(self.untold, self.before)
        self.before, self.now = self.now, {}
        try:
            if connection.connection is None:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT set_config('statement_timeout', %s, false)", [str(STATEMENT_MILLISECONDS)])
            writing.add(self.untold)
            self.untold = {}
            add_compared(self.compared())
            seconds = time.monotonic() - self.began
            writing.appear(self.id, socket.gethostname(), os.getpid(), seconds, self.state())
            self.failing = False
        except Exception as error:
            if not self.failing:
                log.error("the gateway's counts cannot be written: %s", type(error).__name__, exc_info=error)
            self.failing = True
            with contextlib.suppress(Exception):
                connection.close()


def merge(into: dict[Kind, list[Any]], found: Mapping[Kind, list[Any]]) -> None:
    for kind, counts in found.items():
        if kind in into:
            there = into[kind]
            there[:4] = [a + b for a, b in zip(there[:4], counts[:4], strict=True)]
            there[4] = [a + b for a, b in zip(there[4], counts[4], strict=True)]
        else:
            into[kind] = counts
