"""Makes a fresh process harmless before it touches a user's bytes. Linux; what a kernel lacks is left out and reported.

After `confine` the process has limits on memory, processor time and file size, dies with its parent, cannot gain
privileges, and cannot open sockets, start programs or trace others.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import struct

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# socket, socketpair, connect, bind, listen, execve, execveat, ptrace, process_vm_readv, process_vm_writev, mount, bpf,
# io_uring_setup
FORBIDDEN = {
    "x86_64": (41, 53, 42, 49, 50, 59, 322, 101, 310, 311, 165, 321, 425),
    "aarch64": (198, 199, 203, 200, 201, 221, 281, 117, 270, 271, 40, 280, 425),
}
X32_BIT = 0x40000000
EPERM = 1


def confine(memory_bytes: int, cpu_seconds: int, parent: int) -> list[str]:
    """Confine this process for good; returns the names of the protections that took effect."""
    libc = ctypes.CDLL(None, use_errno=True)
    held = ["memory", "cpu_time"]
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 1 << 20),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_AS, memory_bytes),
    ):
        _limit(kind, most, most)
    # The soft limit comes a second earlier, so that its signal tells a time-out from other deaths.
    _limit(resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + 1)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0:
        held.append("dies_with_parent")
    if os.getppid() != parent:
        os._exit(1)
    if libc.unshare(CLONE_NEWNET) == 0 or libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0:
        held.append("no_network")
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        held.append("no_new_privileges")
        if _filter_calls(libc):
            held.append("no_sockets_or_programs")
    return held


def _limit(kind: int, soft: int, hard: int) -> None:
    """Never above a limit that the process was started with."""
    _, given = resource.getrlimit(kind)
    if given != resource.RLIM_INFINITY:
        soft, hard = min(soft, given), min(hard, given)
    resource.setrlimit(kind, (soft, hard))


def _filter_calls(libc: ctypes.CDLL) -> bool:
    machine = platform.machine()
    if machine not in FORBIDDEN:
        return False
    load, equal, at_least, answer = 0x20, 0x15, 0x35, 0x06
    allow, deny, kill = 0x7FFF0000, 0x00050000 | EPERM, 0x80000000
    calls = FORBIDDEN[machine]
    code = [
        (load, 0, 0, 4),
        (equal, 1, 0, AUDIT_ARCH[machine]),
        (answer, 0, 0, kill),
        (load, 0, 0, 0),
        (at_least, len(calls) + 1, 0, X32_BIT),
        *((equal, len(calls) - i, 0, call) for i, call in enumerate(calls)),
        (answer, 0, 0, allow),
        (answer, 0, 0, deny),
    ]
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in code))

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]

    given = Program(len(code), ctypes.cast(program, ctypes.c_void_p))
    return bool(libc.prctl(PR_SET_SECCOMP, 2, ctypes.byref(given), 0, 0) == 0)
