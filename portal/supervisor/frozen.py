"""Processes that were stopped (SIGSTOP) and forgotten: alive to their parent, but nothing gets done."""

import os
import time
from collections.abc import Collection

import psutil

PATIENCE = 10.0  # seconds; a job of a frozen worker is given up on after twice that
EVERY = 1.0


class Frozen:
    """Remembers since when a member of a process group is stopped."""

    def __init__(self, patience: float = PATIENCE, every: float = EVERY) -> None:
        self.patience = patience
        self.every = every
        self.since: dict[int, float] = {}
        self.looked = 0.0

    def too_long(self, groups: Collection[int], now: float | None = None) -> dict[int, int]:
        """Members of these groups that have been stopped for longer than our patience, each with its group."""
        now = time.monotonic() if now is None else now
        if now - self.looked < self.every:
            return {}
        self.looked = now
        stopped = members_stopped(groups)
        self.since = {pid: self.since.get(pid, now) for pid in stopped}
        return {pid: stopped[pid] for pid, since in self.since.items() if now - since >= self.patience}


def members_stopped(groups: Collection[int]) -> dict[int, int]:
    """Stopped processes in these groups, each with its group."""
    found = {}
    for pid in psutil.pids():
        try:
            group = os.getpgid(pid)
            if group in groups and psutil.Process(pid).status() == psutil.STATUS_STOPPED:
                found[pid] = group
        except (OSError, psutil.Error):
            continue
    return found
