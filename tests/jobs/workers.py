"""Real Celery workers as processes, on the test's own database and a real Valkey."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import celery
import psutil
import redis

from portal.supervisor.spawn import spawn

ROOT = Path(__file__).resolve().parents[2]


class Workers:
    """Starts workers of one child each, which die with this process; ends them all on `close`, paused ones too."""

    def __init__(self, environment: dict[str, str], url: str, stale: int, include: str = "") -> None:
        redis.Redis.from_url(url).flushall()  # what an earlier test has left in the queue
        self.broker = url.replace("unix://", "redis+socket://", 1)
        self.environment = {
            **environment, "REDIS_URL": url, "CELERY_BROKER_URL": self.broker, "JOB_STALE_SECONDS": str(stale)
        }  # fmt: skip
        self.include = ("--include", include) if include else ()
        self.next_tick = 0.0
        self.sender = celery.Celery(broker=self.broker, set_as_current=False)
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        process = spawn(
            [sys.executable, "-m", "celery", "-A", "portal", "worker", "--pool", "prefork", "--concurrency", "1",
             "--without-gossip", "--without-mingle", "--loglevel", "WARNING", *self.include],
            cwd=ROOT, env=self.environment, death_signal=signal.SIGKILL, show=True,
        )  # fmt: skip
        self.running.append(process)
        return process

    def tick(self) -> None:
        """What the scheduler does, but every half a second."""
        if time.monotonic() < self.next_tick:
            return
        self.next_tick = time.monotonic() + 0.5
        self.sender.send_task("jobs.reconcile")

    def close(self) -> None:
        self.sender.close()
        for process in self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def signal_all(process: subprocess.Popen[bytes], number: int) -> None:
    """To a worker and its children."""
    os.killpg(process.pid, number)


def children(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def wait_for(what: Callable[[], Any], seconds: float = 20, each: Callable[[], Any] | None = None) -> Any:
    """What the question answers once it is true; `each` is done between two askings. Fails when time is up."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if answer := what():
            return answer
        if each is not None:
            each()
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what}")
