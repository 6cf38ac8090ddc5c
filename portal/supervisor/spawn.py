"""Starting a child that cannot outlive us, and ending whatever is left of one."""

import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil

LEASH = Path(__file__).with_name("leash.py")


def spawn(
    command: Sequence[str],
    *,
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: str | None = None,
    death_signal: int = signal.SIGTERM,
    pass_fds: Sequence[int] = (),
    show: bool = False,
) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own, its output appended to `log` (or shown as ours with `show`).

    On Linux it gets `death_signal` when the *thread* that called this ends, so call from the main thread.
    """
    credentials = "-"
    if user is not None and os.geteuid() == 0:
        entry = pwd.getpwnam(user)
        credentials = f"{entry.pw_uid}:{entry.pw_gid}"
    wrapper = [sys.executable, "-I", "-S", str(LEASH), str(int(death_signal)), str(os.getpid()), credentials]
    output = None if show else subprocess.DEVNULL
    if log is not None:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(  # noqa: S603
            [*wrapper, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=None if show else subprocess.STDOUT,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,
            pass_fds=tuple(pass_fds),
        )
    finally:
        if log is not None and output is not None:
            os.close(output)


def end_group(group: int, number: int) -> None:
    """Signal a whole process group; a group that is gone is what was wanted."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return


def end_all(pids: Iterable[int], *, wait: float = 5.0) -> None:
    """Kill these processes and wait until they are gone (zombies of other parents count as gone)."""
    left = set(pids)
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    deadline = time.monotonic() + wait
    while left and time.monotonic() < deadline:
        left = {pid for pid in left if alive(pid)}
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def working_in(folder: Path) -> list[int]:
    """Processes whose working directory is `folder`: how a database's orphans are found."""
    found = []
    target = os.path.realpath(folder)
    for process in psutil.process_iter():
        try:
            if process.cwd() == target:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found
