"""Becomes another program that dies with its parent: `python -I -S leash.py SIGNAL PARENT UID:GID COMMAND…`.

An exec wrapper instead of `preexec_fn`, which is unsafe in a threaded parent. The credentials change here, after the
interpreter has started, because an unprivileged user may not be able to read the interpreter; and before the parent
death signal is set, because the kernel clears that signal whenever the credentials change. `-` keeps the user.
Outside Linux only the watchdog (`watchdog.py`) sees to it that nothing is left.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Drop privileges, ask for the parent death signal, then exec."""
    signal_number, parent, credentials, *command = sys.argv[1:]
    if credentials != "-":
        uid, gid = (int(part) for part in credentials.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0)
        if os.getppid() != int(parent):
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main()
