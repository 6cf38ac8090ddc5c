"""The memory of this process: how much it uses, and a wall that one run of a model meets before the machine does."""

from __future__ import annotations

import contextlib
import os
import resource
import sys

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
    """Refuse the process more data than the ceiling and some room, so that one run fails and not the machine.

    Linux alone holds to it (setrlimit(2), RLIMIT_DATA).
    """
    with contextlib.suppress(OSError, ValueError):
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = ceiling + ROOM
        resource.setrlimit(
            resource.RLIMIT_DATA, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most)
        )
