"""The portal's real processes under the supervisor, as `./run` starts them: killed, refused, abandoned."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import psycopg2
import pytest

from ledger.sequencer.lead import LOCK
from portal.supervisor.spawn import alive
from portal.supervisor.state import State, listen
from tests.portal.test_supervisor_run import given, remove_database

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "portal.supervisor"]
HEALTHY = {"web": "/healthz", "gateway": "/v2/health/live"}
# What tells each process's command line from the others'.
SIGNS = {
    "postgres": "/bin/postgres -D",
    "valkey": "/valkey-server ",
    "sequencer": "manage sequencer",
    "web": "gunicorn portal.wsgi",
    "worker": "celery -A portal worker",
    "scheduler": "celery -A portal beat",
    "gateway": "inference.gateway.serve",
}


@dataclass
class Supervised:
    """A supervisor that serves in a process of its own."""

    state: State
    process: subprocess.Popen[str]

    @property
    def note(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.state.folder / "run.json").read_text())
        return found

    def pid(self, name: str) -> int | None:
        """The process of this name, or None while it is away."""
        for child in psutil.Process(self.process.pid).children():
            try:
                if SIGNS[name] in " ".join(child.cmdline()) and child.status() != psutil.STATUS_ZOMBIE:
                    return child.pid
            except psutil.Error:
                continue
        return None

    def everything(self) -> list[int]:
        return [child.pid for child in psutil.Process(self.process.pid).children(recursive=True)]


def healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def until(what: Callable[[], object], seconds: float) -> float:
    started = time.monotonic()
    while not what():
        assert time.monotonic() - started < seconds, f"not within {seconds} s"
        time.sleep(0.05)
    return time.monotonic() - started


def start(state: State, environment: dict[str, str]) -> Supervised:
    process = subprocess.Popen(
        [*COMMAND, "--no-demo"],
        cwd=ROOT,
        env=environment | {"COUNTERSIGN_DIR": str(state.folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Serving at"):
            return Supervised(state, process)
    process.wait()
    process.stdout.close()
    raise AssertionError("".join(lines))


def end(supervised: Supervised) -> None:
    if supervised.process.poll() is None:
        supervised.process.send_signal(signal.SIGTERM)
    supervised.process.wait(60)
    assert supervised.process.stdout is not None
    supervised.process.stdout.close()


@pytest.fixture(scope="module")
def supervised() -> Iterator[Supervised]:
    with TemporaryDirectory(prefix="cs test ", dir="/tmp") as folder:
        state = State(Path(folder) / "a folder with a rather long name, and spaces" / ".countersign")
        # Ports that tests beside this one do not take while we are away for a moment.
        with listen(0) as web, listen(0) as gateway:  # type: ignore[union-attr]
            ports = {"web": web.getsockname()[1], "gateway": gateway.getsockname()[1]}
        state.folder.mkdir(mode=0o700, parents=True)
        (state.folder / "ports.json").write_text(json.dumps(ports))
        supervised = start(state, given())
        yield supervised
        pids = supervised.everything()
        end(supervised)
        assert supervised.process.returncode == 0
        assert [pid for pid in pids if alive(pid)] == []
        remove_database(state)


def admin(supervised: Supervised, statement: str) -> list[tuple[object, ...]]:
    runtime = supervised.state.runtime()
    with closing(psycopg2.connect(host=str(runtime / "pg"), user="postgres", dbname="countersign")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []


def accepts(supervised: Supervised) -> bool:
    try:
        return admin(supervised, "SELECT 1") == [(1,)]
    except psycopg2.OperationalError:
        return False


def leads(supervised: Supervised) -> bool:
    """Whether a sequencer is at work: the health check's answer may be two seconds old."""
    held = admin(supervised, "SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND granted")
    return (LOCK,) in held


def test_each_process_knows_its_own_secrets_only(supervised: Supervised) -> None:
    """The log's connection and key for the sequencer, the portal's key for web and worker, no owner's connection."""
    owned = {
        "sequencer": {"SEQUENCER_DATABASE_URL", "LOG_KEY_FILE"}, "web": {"PORTAL_KEY_FILE"},
        "worker": {"PORTAL_KEY_FILE"}, "scheduler": set(), "gateway": set(),
    }  # fmt: skip
    secrets = {*owned["sequencer"], *owned["web"], "ADMIN_DATABASE_URL", "MIGRATION_DATABASE_URL"}
    for name, wanted in owned.items():
        pid = supervised.pid(name)
        assert pid is not None, name
        told = psutil.Process(pid).environ()
        assert set(told) & secrets == wanted, name
        assert {"DATABASE_URL", "LOG_ROOT", "LOG_ORIGIN", "PORTAL_VKEY"} <= set(told), name
    for name in ("log_key", "portal_key"):
        assert (supervised.state.folder / "secrets" / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=pytest.mark.long) if one in ("scheduler", "sequencer") else one for one in SIGNS]
)
def test_what_is_killed_is_back(supervised: Supervised, name: str) -> None:
    before = supervised.pid(name)
    assert before is not None
    if name == "postgres":
        admin(supervised, "CREATE TABLE IF NOT EXISTS kept (n int)")
        admin(supervised, "INSERT INTO kept VALUES (7)")
    os.kill(before, signal.SIGKILL)

    def back() -> bool:
        now = supervised.pid(name)
        if now is None or now == before:
            return False
        if name == "postgres":
            return accepts(supervised)
        if name == "sequencer":
            return leads(supervised)
        if name in HEALTHY:
            return healthy(supervised.note[name] + HEALTHY[name])
        return True

    until(back, 40)  # usually one to three seconds; here the machine is busy with other tests
    if name == "postgres":
        until(lambda: healthy(supervised.note["web"] + "/healthz"), 10)
        assert admin(supervised, "SELECT count(*) FROM kept WHERE n = 7") == [(1,)]
        admin(supervised, "DROP TABLE kept")


def test_a_second_run_says_where_the_first_is(supervised: Supervised) -> None:
    environment = given() | {"COUNTERSIGN_DIR": str(supervised.state.folder)}
    done = subprocess.run([*COMMAND, "--once"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"already running from this folder at {supervised.note['web']}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: folder.write_text("x"), "is in the way: a folder belongs there"),
        (lambda folder: ((folder / "secrets").mkdir(parents=True), (folder / "secrets/secret_key").write_text("")),
         "secret_key is damaged"),
        (lambda folder: ((folder / "secrets").mkdir(parents=True), (folder / "secrets/log_key").write_text("x")),
         "log_key is open to others"),
    ],
    ids=["a file", "an empty key", "a key for all to read"],
)  # fmt: skip
def test_a_corrupt_folder_is_a_sentence(tmp_path: Path, damage: Callable[[Path], object], words: str) -> None:
    folder = tmp_path / ".countersign"
    damage(folder)
    names = ("DATABASE_URL", "MIGRATION_DATABASE_URL", "SEQUENCER_DATABASE_URL")
    environment = given(**{name: os.environ[name] for name in names}) | {"COUNTERSIGN_DIR": str(folder)}
    done = subprocess.run([*COMMAND, "--once"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_a_sentence(supervised: Supervised, tmp_path: Path) -> None:
    port = supervised.note["web"].rsplit(":", 1)[1]
    environment = given(WEB_PORT=port) | {"COUNTERSIGN_DIR": str(tmp_path / "state")}
    done = subprocess.run([*COMMAND, "--once"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"Port {port} is in use")
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_two_copies_on_one_machine_do_not_collide(supervised: Supervised, tmp_path: Path) -> None:
    state = State(tmp_path / "second copy" / ".countersign")
    second = start(state, given())
    try:
        assert second.note["web"] != supervised.note["web"]
        assert second.note["gateway"] != supervised.note["gateway"]
        assert all(healthy(one.note["web"] + "/healthz") for one in (supervised, second))
    finally:
        end(second)
        remove_database(state)


@pytest.mark.long
def test_killed_itself_it_leaves_no_orphan_and_the_next_run_serves_at_the_same_address(supervised: Supervised) -> None:
    pids, address = supervised.everything(), supervised.note["web"]
    assert len(pids) > len(SIGNS)
    supervised.process.kill()
    supervised.process.wait()
    assert supervised.process.stdout is not None
    supervised.process.stdout.close()
    supervised.process = start(supervised.state, given()).process
    assert [pid for pid in pids if alive(pid)] == []
    assert supervised.note["web"] == address
    assert healthy(address + "/healthz")
