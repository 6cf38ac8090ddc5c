"""Ends process groups when the supervisor dies without doing so: `python -I -S watchdog.py LOCK < pipe`.

The supervisor writes `+GROUP SIGNAL` when it starts a child and `-GROUP` when the child is gone. End of file means that
the supervisor is gone, however it died; what is still listed then gets its signal, and SIGKILL a little later. The lock
is held until all is quiet, so that the next run can wait for it. Standard library only: this must not need the venv.
"""

import contextlib
import fcntl
import os
import signal
import sys
import time
from typing import TextIO

PATIENCE = 5.0


def listen(stream: TextIO) -> dict[int, int]:
    """Read until end of file; the groups that were started and not reported gone, each with its signal."""
    listed: dict[int, int] = {}
    for line in stream:
        if line.startswith("+"):
            group, number = line[1:].split()
            listed[int(group)] = int(number)
        elif line.startswith("-"):
            listed.pop(int(line[1:]), None)
    return listed


def end(listed: dict[int, int], patience: float = PATIENCE) -> None:
    """Signal each group, wait, then kill what is left."""
    for group, number in listed.items():
        with contextlib.suppress(OSError):
            os.killpg(group, number)
    deadline = time.monotonic() + patience
    left = set(listed)
    while left and time.monotonic() < deadline:
        left = {group for group in left if exists(group)}
        time.sleep(0.05)
    for group in left:
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)


def exists(group: int) -> bool:
    """Whether the group has a member."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def main() -> None:
    """Hold the lock, listen, end what is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with open(sys.argv[1], "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        end(listen(sys.stdin))


if __name__ == "__main__":
    main()
