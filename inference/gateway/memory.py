"""The memory of this process: how much it uses, and a wall that one run of a model meets before the machine does."""

from __future__ import annotations

import contextlib
import os
import resource
import sys

from jobs.memory import limit_data

PAGE = os.sysconf("SC_PAGE_SIZE")
# What one run may want on top of the ceiling before it is refused: the ceiling is looked at only now and then.
ROOM = 512 * 1024**2


def used() -> int:
    """Bytes that are resident; the most there have been where the system tells no more (macOS)."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * PAGE
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def wall(ceiling: int) -> None:
    """Refuse the process more data than the ceiling and some room, so that one run fails and not the machine."""
    with contextlib.suppress(OSError, ValueError):
        limit_data(ceiling + ROOM)
