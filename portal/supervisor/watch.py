"""Keeps a list of processes alive: starts them, restarts what dies, stops all of them in order."""

import contextlib
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from portal.supervisor.faults import SetupError
from portal.supervisor.frozen import Frozen
from portal.supervisor.spawn import end_all, end_group

WATCHDOG = Path(__file__).with_name("watchdog.py")
FIRST_DELAY, LONGEST_DELAY, STEADY_AFTER = 0.2, 5.0, 30.0  # seconds
TRIES_AT_THE_START = 3
REFUSES = 3  # the status of a process that will not work as things are, and has said why

Child = subprocess.Popen[bytes]


@dataclass(frozen=True)
class Unit:
    """One process to keep alive. `stop` is a list of (signal, seconds to wait); SIGKILL to its group always follows."""

    name: str
    start: Callable[[], Child]
    stop: Sequence[tuple[int, float]] = ((signal.SIGTERM, 10.0),)
    ready: Callable[[], bool] = lambda: True
    log: Path | None = None


@dataclass
class Running:
    """A unit's present process and when it may next be started again."""

    unit: Unit
    child: Child
    since: float
    delay: float = FIRST_DELAY
    again_at: float | None = None
    deaths: int = 0
    said: str = ""
    refusal: str = ""


class Watchdog:
    """Our end of the pipe to `watchdog.py`, started again should it die itself."""

    def __init__(self, lock: Path) -> None:
        self.lock = lock
        self.listed: dict[int, int] = {}
        self.process = self._start()

    def add(self, group: int, number: int) -> None:
        """Have this process group ended when we are gone."""
        self.listed[group] = number
        self._write(f"+{group} {number}\n")

    def remove(self, group: int) -> None:
        """The group is gone."""
        self.listed.pop(group, None)
        self._write(f"-{group}\n")

    def tick(self) -> None:
        """Start it again if it was killed."""
        if self.process.poll() is not None:
            self._hang_up()
            self.process = self._start()
            for group, number in self.listed.items():
                self._write(f"+{group} {number}\n")

    def close(self) -> None:
        """Let it end what is left and wait for it."""
        self._hang_up()
        self.process.wait()

    def _start(self) -> Child:
        command = [sys.executable, "-I", "-S", str(WATCHDOG), str(self.lock)]
        return subprocess.Popen(  # noqa: S603
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _hang_up(self) -> None:
        if self.process.stdin:
            with contextlib.suppress(OSError):
                self.process.stdin.close()

    def _write(self, line: str) -> None:
        if self.process.stdin:
            with contextlib.suppress(OSError):
                self.process.stdin.write(line.encode())


@dataclass
class Watcher:
    """Single-threaded: the caller calls `tick` often. `say` gets one line for each event a person should see."""

    watchdog: Watchdog
    say: Callable[[str], None]
    stopping: bool = False
    running: dict[str, Running] = field(default_factory=dict)
    frozen: Frozen = field(default_factory=Frozen)

    def start(self, unit: Unit) -> None:
        """Start a unit; from now on it is kept alive."""
        self.running[unit.name] = Running(unit, self._launch(unit), time.monotonic())

    def tick(self) -> None:
        """Notice deaths and start again what is due; end what was stopped and forgotten, so that it is replaced."""
        self.watchdog.tick()
        names = {entry.child.pid: name for name, entry in self.running.items() if entry.again_at is None}
        for pid, group in self.frozen.too_long(names).items():
            self.say(f"{names[group]}: process {pid} stands still since {self.frozen.patience:g} s; replacing it.")
            end_all([pid])
        now = time.monotonic()
        for entry in self.running.values():
            if entry.again_at is None and entry.child.poll() is not None:
                self._bury(entry, now)
            if entry.again_at is not None and now >= entry.again_at and not self.stopping:
                entry.child, entry.since, entry.again_at = self._launch(entry.unit), now, None
                if entry.said:
                    self.say(f"{entry.unit.name} is running again (process {entry.child.pid}).")

    def wait_ready(self, units: Sequence[Unit], timeout: float = 60.0) -> None:
        """Return once every unit is ready, or when stopping. SetupError with a log's last words otherwise."""
        deadline = time.monotonic() + timeout
        waiting = list(units)
        while waiting and not self.stopping:
            self.tick()
            waiting = [unit for unit in waiting if self.running[unit.name].again_at is not None or not unit.ready()]
            for unit in waiting:
                if self.running[unit.name].deaths >= TRIES_AT_THE_START:
                    raise SetupError(
                        f"{unit.name} ended {TRIES_AT_THE_START} times while starting: {last_words(unit.log)}"
                    )
                if time.monotonic() > deadline:
                    raise SetupError(f"{unit.name} was not ready within {timeout:.0f} s: {last_words(unit.log)}")
            time.sleep(0.1)

    def stop(self, *groups: Sequence[str]) -> None:
        """Stop the named units, one group after the other, the members of a group at the same time."""
        self.stopping = True
        for names in groups:
            entries = [self.running[name] for name in names if name in self.running]
            steps = {entry.unit.name: list(entry.unit.stop) for entry in entries}
            due = dict.fromkeys(steps, 0.0)
            while entries := [entry for entry in entries if entry.again_at is None and entry.child.poll() is None]:
                now = time.monotonic()
                for entry in entries:
                    name = entry.unit.name
                    if now < due[name]:
                        continue
                    if not steps[name]:
                        end_group(entry.child.pid, signal.SIGKILL)
                        continue
                    number, patience = steps[name].pop(0)
                    due[name] = now + patience
                    with contextlib.suppress(ProcessLookupError):
                        entry.child.send_signal(number)
                time.sleep(0.03)
            for name in names:
                if gone := self.running.pop(name, None):
                    end_group(gone.child.pid, signal.SIGKILL)
                    self.watchdog.remove(gone.child.pid)

    def _launch(self, unit: Unit) -> Child:
        child = unit.start()
        self.watchdog.add(child.pid, unit.stop[0][0] if unit.stop else signal.SIGKILL)
        return child

    def _bury(self, entry: Running, now: float) -> None:
        # The children of what died share its group: none of them may go on working for nobody.
        end_group(entry.child.pid, signal.SIGKILL)
        self.watchdog.remove(entry.child.pid)
        entry.deaths += 1
        entry.delay = FIRST_DELAY if now - entry.since > STEADY_AFTER else min(entry.delay * 2, LONGEST_DELAY)
        entry.again_at = now + entry.delay
        if not self.stopping:
            how = describe(entry.child.returncode)
            if entry.child.returncode == REFUSES:
                self._refused(entry)
                return
            entry.said = f"{entry.unit.name} {how}; starting it again in {entry.delay:.1f} s."
            self.say(entry.said)

    def _refused(self, entry: Running) -> None:
        """It said why it will not work: pass that on, once, while it is tried again and again."""
        why = f"{entry.unit.name} refuses to work and is tried again every few seconds: {last_words(entry.unit.log)}"
        if why != entry.refusal:
            self.say(why)
        entry.refusal, entry.said = why, ""


def describe(status: int) -> str:
    """How a process ended, in words."""
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def last_words(log: Path | None) -> str:
    """The last line of a log and where the rest is."""
    if log is None:
        return "it has no log."
    try:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    return f"{(lines or ['it left no words'])[-1].strip()} (its log: {log})"


def answers(url: str) -> Callable[[], bool]:
    """A readiness test: the address answers with a status below 400."""

    def ready() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=1) as response:  # noqa: S310 - our own address
                return bool(response.status < 400)
        except (urllib.error.URLError, OSError):
            return False

    return ready
