"""Keeping processes alive and ending them, tried with stand-ins."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from portal.supervisor import watchdog
from portal.supervisor.faults import SetupError
from portal.supervisor.frozen import Frozen, members_stopped
from portal.supervisor.spawn import alive, end_all, spawn
from portal.supervisor.watch import Unit, Watchdog, Watcher, answers, describe

ROOT = Path(__file__).resolve().parents[2]
FAST = ((signal.SIGTERM, 0.3),)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def watcher(tmp_path: Path, said: list[str]) -> Iterator[Watcher]:
    watcher = Watcher(Watchdog(tmp_path / "lock"), said.append)
    yield watcher
    watcher.stop(list(watcher.running))
    watcher.watchdog.close()


def unit(folder: Path, *what: str) -> Unit:
    name = what[0] if what else "plain"
    log = folder / f"{name}.log"
    command = [sys.executable, "-m", "tests.portal.standin", *what]

    def ready() -> bool:
        return log.exists() and "ready" in log.read_text()

    return Unit(name, partial(spawn, command, log=log, cwd=ROOT), stop=FAST, ready=ready, log=log)


def until(what: Callable[[], object], watcher: Watcher | None = None, seconds: float = 10.0) -> float:
    started = time.monotonic()
    while not what():
        assert time.monotonic() - started < seconds, "took too long"
        if watcher is not None:
            watcher.tick()
        time.sleep(0.02)
    return time.monotonic() - started


def test_what_is_killed_comes_back_and_its_children_do_not_work_on(
    tmp_path: Path, watcher: Watcher, said: list[str]
) -> None:
    parent = unit(tmp_path, "children")
    watcher.start(parent)
    watcher.wait_ready([parent])
    (grandchild,) = re.findall(r"child (\d+)", (tmp_path / "children.log").read_text())
    first = watcher.running["children"].child
    first.kill()
    until(lambda: watcher.running["children"].child is not first, watcher)
    assert watcher.running["children"].child.poll() is None
    until(lambda: not alive(int(grandchild)))
    assert said[0] == "children was ended by SIGKILL; starting it again in 0.4 s."
    assert said[1].startswith("children is running again (process ")


def test_what_refuses_to_work_is_tried_again_and_quoted_once(tmp_path: Path, watcher: Watcher, said: list[str]) -> None:
    refuses = unit(tmp_path, "status", "3")
    assert refuses.log is not None
    watcher.start(refuses)
    tries = refuses.log
    until(lambda: tries.exists() and tries.read_text().count("shown") >= 3, watcher)
    assert said == [
        f"status refuses to work and is tried again every few seconds: shown None None (its log: {tmp_path}/status.log)"
    ]


def test_what_stands_still_is_replaced_but_not_at_once(tmp_path: Path, watcher: Watcher, said: list[str]) -> None:
    watcher.frozen = Frozen(patience=0.5, every=0.1)
    still, busy = unit(tmp_path, "children"), unit(tmp_path, "deaf")
    for one in (still, busy):
        watcher.start(one)
    watcher.wait_ready([still, busy])
    first, other = watcher.running["children"].child, watcher.running["deaf"].child
    first.send_signal(signal.SIGSTOP)
    seconds = until(lambda: watcher.running["children"].child is not first, watcher)
    assert seconds > 0.5
    assert said[0] == f"children: process {first.pid} stands still since 0.5 s; replacing it."
    assert watcher.running["deaf"].child is other
    assert other.poll() is None


def test_a_short_stop_is_forgiven(tmp_path: Path, watcher: Watcher, said: list[str]) -> None:
    watcher.frozen = Frozen(patience=5, every=0)
    watcher.start(unit(tmp_path))
    child = watcher.running["plain"].child
    for number in (signal.SIGSTOP, signal.SIGCONT, signal.SIGSTOP):
        child.send_signal(number)
        until(lambda stopped=number == signal.SIGSTOP: bool(members_stopped({child.pid})) == stopped)  # type: ignore[misc]
        now = time.monotonic()
        assert watcher.frozen.too_long({child.pid}, now) == {}
        assert bool(watcher.frozen.since) == (number == signal.SIGSTOP)
    assert watcher.frozen.too_long({child.pid}, now + 6) == {child.pid: child.pid}


def test_what_cannot_start_is_told_with_its_last_words(tmp_path: Path, watcher: Watcher, said: list[str]) -> None:
    hopeless = unit(tmp_path, "ends")
    watcher.start(hopeless)
    with pytest.raises(SetupError, match="ends ended 3 times while starting: I cannot work without my hat"):
        watcher.wait_ready([hopeless])
    delays = [float(delay) for delay in re.findall(r"again in ([\d.]+) s", " ".join(said))]
    assert delays == [0.4, 0.8, 1.6]


def test_what_is_never_ready_is_told(tmp_path: Path, watcher: Watcher) -> None:
    slow = Unit("slow", unit(tmp_path).start, stop=FAST, ready=lambda: False)
    watcher.start(slow)
    with pytest.raises(SetupError, match=r"slow was not ready within 0 s: it has no log\."):
        watcher.wait_ready([slow], timeout=0.2)


def test_the_deaf_are_stopped_too_and_in_order(tmp_path: Path, watcher: Watcher) -> None:
    units = [unit(tmp_path, "deaf"), unit(tmp_path, "children")]
    for one in units:
        watcher.start(one)
    watcher.wait_ready(units)
    deaf, polite = (watcher.running[one.name].child for one in units)
    started = time.monotonic()
    watcher.stop(["deaf"], ["children"])
    assert time.monotonic() - started < 5
    assert deaf.returncode == -signal.SIGKILL
    assert polite.returncode == -signal.SIGTERM
    assert watcher.running == {}


def test_nothing_is_started_again_while_stopping(tmp_path: Path, watcher: Watcher, said: list[str]) -> None:
    watcher.start(unit(tmp_path))
    watcher.stopping = True
    child = watcher.running["plain"].child
    child.kill()
    child.wait()
    for _ in range(3):
        watcher.tick()
        time.sleep(0.2)
    assert watcher.running["plain"].child is child
    assert said == []


def test_the_watchdog_is_started_again_and_knows_its_list(tmp_path: Path, watcher: Watcher) -> None:
    watcher.start(unit(tmp_path))
    child = watcher.running["plain"].child
    first = watcher.watchdog.process
    first.kill()
    first.wait()
    watcher.tick()
    assert watcher.watchdog.process is not first
    assert watcher.watchdog.process.stdin is not None
    watcher.watchdog.process.stdin.close()  # as if we were gone
    assert child.wait(5) == -signal.SIGTERM
    watcher.running.clear()


ABANDON = """
import os, signal, sys
from functools import partial
from pathlib import Path
from portal.supervisor.spawn import spawn
from portal.supervisor.watch import Unit, Watchdog, Watcher
folder = Path(sys.argv[1])
watcher = Watcher(Watchdog(folder / "lock"), print)
command = [sys.executable, "-m", "tests.portal.standin", "children"]
log = folder / "children.log"
unit = Unit("children", partial(spawn, command, log=log), ready=lambda: "ready" in log.read_text())
watcher.start(unit)
watcher.wait_ready([unit])
print(watcher.running["children"].child.pid, watcher.watchdog.process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_no_orphan_after_the_supervisor_itself_is_killed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ABANDON, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    child, dog = (int(part) for part in done.stdout.split())
    (grandchild,) = re.findall(r"child (\d+)", (tmp_path / "children.log").read_text())
    until(lambda: not any(alive(pid) for pid in (child, int(grandchild), dog)))


def test_the_watchdog_ends_what_was_not_reported_gone(tmp_path: Path) -> None:
    plain, deaf = (
        spawn([sys.executable, "-m", "tests.portal.standin", what], cwd=ROOT, log=tmp_path / what)
        for what in ("children", "deaf")
    )
    until(lambda: all((tmp_path / what).exists() and "ready" in (tmp_path / what).read_text()
                      for what in ("children", "deaf")))  # fmt: skip
    with open(os.devnull) as nothing:
        assert watchdog.listen(nothing) == {}
    lines = tmp_path / "lines"
    lines.write_text(f"+{plain.pid} 15\n+77 2\nnoise\n+{deaf.pid} 15\n-77\n-78\n")
    with lines.open() as stream:
        listed = watchdog.listen(stream)
    assert listed == {plain.pid: 15, deaf.pid: 15}
    watchdog.end(listed, patience=0.3)
    assert plain.wait(5) == -signal.SIGTERM
    assert deaf.wait(5) == -signal.SIGKILL


def test_a_child_whose_parent_died_before_the_leash_was_on_does_not_start(tmp_path: Path) -> None:
    leash = ROOT / "portal" / "supervisor" / "leash.py"
    done = subprocess.run([sys.executable, "-I", "-S", str(leash), "15", "1", "-", "touch", str(tmp_path / "made")])
    assert done.returncode == 1
    assert not (tmp_path / "made").exists()


def test_ending_what_is_gone_is_no_error() -> None:
    child = spawn(["true"])
    child.wait()
    end_all([child.pid])
    assert not alive(child.pid)


def test_readiness_needs_a_good_answer(tmp_path: Path) -> None:
    assert not answers("http://127.0.0.1:1/")()


def test_endings_in_words() -> None:
    assert describe(-9) == "was ended by SIGKILL"
    assert describe(3) == "ended with status 3"
