"""A whole run inside this process: the real database and Valkey, stand-ins for the portal's own processes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pytest

from portal.supervisor.faults import SetupError
from portal.supervisor.processes import Process
from portal.supervisor.spawn import alive
from portal.supervisor.state import AlreadyRunning, State
from portal.supervisor.supervisor import Supervisor

ROOT = Path(__file__).resolve().parents[2]
STANDIN = "tests.portal.standin"
WEB = Process("web", (STANDIN, "children"), health="/healthz")
WORKER = Process("worker", (STANDIN,))
GATEWAY = Process("gateway", (STANDIN,), health="/v2/health/live")
DEMO = ("-m", STANDIN, "status")


@pytest.fixture
def state() -> Iterator[State]:
    with TemporaryDirectory(prefix="cs test ", dir="/tmp") as folder:
        state = State(Path(folder) / ".countersign")
        yield state
        remove_database(state)


def remove_database(state: State) -> None:
    import shutil

    if os.geteuid() == 0:
        shutil.rmtree(state.database_folder().parent, ignore_errors=True)
    shutil.rmtree(state.runtime(), ignore_errors=True)


def given(**more: str) -> dict[str, str]:
    """This process's environment without what the tests themselves are told."""
    told = ("DATABASE", "SECRET", "COUNTERSIGN", "DJANGO", "REDIS", "CELERY", "ARTIFACT", "STATIC", "_PORT", "_URL")
    return {name: value for name, value in os.environ.items() if not any(part in name for part in told)} | more


def with_tests_database() -> dict[str, str]:
    """The same with the database the tests have, which saves making another."""
    names = ("DATABASE_URL", "MIGRATION_DATABASE_URL", "SEQUENCER_DATABASE_URL")
    return given(**{name: os.environ[name] for name in names})


def get(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(address, timeout=10) as response:
        answer: dict[str, Any] = json.load(response)
        return answer


class Visitor(threading.Thread):
    """Visits while the supervisor runs in the main thread, then tells it to stop. `result` or `failure` says how."""

    def __init__(self, state: State, visit: Callable[[dict[str, Any]], object]) -> None:
        super().__init__()
        self.state, self.visit = state, visit
        self.result: object = None
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            note = self.wait_for_note()
            self.result = self.visit(note)
        except BaseException as failure:
            self.failure = failure
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    def wait_for_note(self) -> dict[str, Any]:
        for _ in range(600):
            if (self.state.folder / "serving").exists():
                note: dict[str, Any] = json.loads((self.state.folder / "run.json").read_text())
                return note
            time.sleep(0.1)
        raise AssertionError("never served")


def serve(supervisor: Supervisor, visit: Callable[[dict[str, Any]], object]) -> object:
    """Run until `visit` has returned; what it returned."""
    visitor = Visitor(supervisor.state, visit)
    visitor.start()
    try:
        status = supervisor.run(once=False)
    finally:
        visitor.join()
    if visitor.failure:
        raise visitor.failure
    assert status in (0, 130)  # 130 where a quick visit ended while the last process was still starting
    return visitor.result


def left_of(pids: set[int]) -> set[int]:
    return {pid for pid in pids if alive(pid)}


def descendants() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def marker(state: State) -> Process:
    """A process that is started last and leaves a mark, so that a visitor knows when everything is up."""
    return Process("marker", (STANDIN, "mark", str(state.folder / "serving")))


@pytest.mark.long  # whoever clones the project runs it first of all
def test_once_shows_the_demo_and_gives_its_status(state: State, capfd: pytest.CaptureFixture[str]) -> None:
    for status, environment in ((0, given()), (7, with_tests_database())):
        before = descendants()
        supervisor = Supervisor(state, environment, processes=[WEB, WORKER, GATEWAY], demo=(*DEMO, str(status)))
        assert supervisor.run(once=True) == status
        assert descendants() == before
        shown = capfd.readouterr().out
        ports = json.loads((state.folder / "ports.json").read_text())
        web, gateway = (f"http://127.0.0.1:{ports[name]}" for name in ("web", "gateway"))
        assert f"Countersign is at {web} and its gateway at {gateway}." in shown
        assert f"shown {web} {gateway}" in shown
        assert ("Making the database" in shown) == (status == 0)
    assert not (state.folder / "run.json").exists()


@pytest.mark.long  # test_supervisor_portal.py kills the real ones
def test_serves_restarts_what_is_killed_and_stops_cleanly(state: State, capfd: pytest.CaptureFixture[str]) -> None:
    before = descendants()
    seen: set[int] = set()

    def visit(note: dict[str, Any]) -> dict[str, float]:
        seen.update(descendants())
        told = get(note["web"])
        assert told["COUNTERSIGN_MODE"] == "embedded"
        assert told["PUBLIC_URL"] == note["web"]
        assert told["CELERY_BROKER_URL"].startswith("redis+socket://")
        assert "ADMIN_DATABASE_URL" not in told
        back = {}
        for name, wanted in (("postgres", "postgres"), ("valkey", "valkey-server")):
            (server,) = mine(state, wanted)
            os.kill(server, signal.SIGKILL)
            back[name] = seconds_until_back(state, wanted, server)
        os.kill(int(told["pid"]), signal.SIGKILL)
        started = time.monotonic()
        assert get(note["web"])["pid"] != told["pid"]  # the connection waits meanwhile: the socket is ours
        back["web"] = time.monotonic() - started
        gateways = {get(note["gateway"])["pid"] for _ in range(100)}
        assert len(gateways) == 2
        os.kill(int(gateways.pop()), signal.SIGKILL)
        started = time.monotonic()
        while len({get(note["gateway"])["pid"] for _ in range(20)} - gateways) < 1:
            assert time.monotonic() - started < 20
        back["gateway"] = time.monotonic() - started
        seen.update(descendants())
        return back

    processes = [WEB, WORKER, GATEWAY, marker(state)]
    wanted = given(GATEWAY_PROCESSES="2")
    back = serve(Supervisor(state, wanted, processes=processes, demo=(*DEMO, "3")), visit)
    assert isinstance(back, dict)
    assert max(back.values()) < 10, back
    assert left_of(seen - before) == set()
    shown = capfd.readouterr().out
    assert "The demo ended with status 3; the portal goes on serving." in shown
    assert "postgres was ended by SIGKILL; starting it again" in shown
    assert "web is running again" in shown


def mine(state: State, program: str) -> set[int]:
    """Our children that run this program for this copy: the tests' own database is another of our children."""
    found = set()
    for child in psutil.Process().children():
        try:
            line = " ".join(child.cmdline())
        except psutil.Error:
            continue
        if f"/{program} " in line and (state.hash in line or str(state.folder) in line):
            found.add(child.pid)
    return found


def seconds_until_back(state: State, program: str, former: int) -> float:
    started = time.monotonic()
    while time.monotonic() - started < 20:
        if mine(state, program) - {former}:
            return time.monotonic() - started
        time.sleep(0.05)
    raise AssertionError(f"{program} did not come back")


def test_a_second_run_is_refused_while_the_first_serves(state: State) -> None:
    def visit(note: dict[str, Any]) -> str:
        with pytest.raises(AlreadyRunning) as caught:
            Supervisor(State(state.folder), given(), demo=None).run(once=True)
        return f"{note['web']} {caught.value}"

    said = str(serve(Supervisor(state, with_tests_database(), processes=[marker(state)], demo=None), visit))
    address, refusal = said.split(" ", 1)
    assert address in refusal


SECOND = """
import os, sys
from pathlib import Path
from portal.supervisor.processes import Process
from portal.supervisor.state import State
from portal.supervisor.supervisor import Supervisor
web = Process("web", ("tests.portal.standin",), health="/")
sys.exit(Supervisor(State(Path(sys.argv[1])), os.environ, processes=[web], demo=None).run(once=True))
"""


@pytest.mark.long
def test_another_copy_runs_beside_at_another_address(state: State, tmp_path: Path) -> None:
    def visit(note: dict[str, Any]) -> str:
        command = [sys.executable, "-c", SECOND, str(tmp_path / "copy" / ".countersign")]
        done = subprocess.run(command, cwd=ROOT, env=with_tests_database(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert note["web"] not in done.stdout
        assert note["gateway"] not in done.stdout
        return done.stdout

    processes = [WEB, GATEWAY, marker(state)]
    said = serve(Supervisor(state, with_tests_database(), processes=processes, demo=None), visit)
    assert str(said).startswith("Countersign is at http://127.0.0.1:")
    remove_database(State(tmp_path / "copy" / ".countersign"))


def test_stops_in_the_middle_of_the_demo_when_told_to(state: State) -> None:
    before = descendants()
    supervisor = Supervisor(state, with_tests_database(), processes=[marker(state)], demo=("-m", STANDIN, "deaf"))
    visitor = Visitor(state, lambda note: time.sleep(1))
    visitor.start()
    assert supervisor.run(once=True) == 130
    visitor.join()
    assert descendants() == before


def test_a_migration_that_fails_is_a_sentence(state: State) -> None:
    urls = dict.fromkeys(
        ("DATABASE_URL", "MIGRATION_DATABASE_URL", "SEQUENCER_DATABASE_URL"), "postgres://x@/x?host=/no"
    )
    before = descendants()
    with pytest.raises(SetupError, match=r"Preparing the database failed: .*setup\.log"):
        Supervisor(state, given(**urls, REDIS_URL="redis://127.0.0.1:1"), processes=[], demo=None).run(once=True)
    assert descendants() == before


def test_a_process_that_cannot_start_is_a_sentence_and_all_is_stopped(state: State) -> None:
    before = descendants()
    hopeless = Process("web", (STANDIN, "ends"), health="/healthz")
    with pytest.raises(SetupError, match="web ended 3 times while starting: I cannot work without my hat"):
        Supervisor(state, with_tests_database(), processes=[hopeless], demo=None).run(once=True)
    assert descendants() == before
