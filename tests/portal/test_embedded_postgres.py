"""The embedded PostgreSQL, with the real binaries."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import environ
import psycopg2
import pytest

from portal.supervisor.faults import SetupError
from portal.supervisor.postgres import NEWEST, Postgres, binaries, throwaway
from portal.supervisor.spawn import alive, working_in

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def place() -> Iterator[Path]:
    """A short folder that the account running the server can enter."""
    folder = Path(tempfile.mkdtemp(prefix="cs-test-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def prepared() -> Iterator[Path]:
    """A cluster's folder as `prepare` makes it, to be copied: making one takes a second."""
    with tempfile.TemporaryDirectory(prefix="cs-test-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        Postgres(Path(folder, "data"), runtime=Path(folder, "run"), durable=False).prepare()
        yield Path(folder, "data")


@pytest.fixture(params=[False], ids=["fast"])
def cluster(place: Path, prepared: Path, request: pytest.FixtureRequest) -> Iterator[Postgres]:
    subprocess.run(["cp", "-a", prepared, place / "data"], check=True)
    cluster = Postgres(place / "data", runtime=place / "run", durable=request.param)
    cluster.prepare()
    cluster.start()
    cluster.wait_ready()
    yield cluster
    cluster.stop()


def run(cluster: Postgres, statement: str) -> list[tuple[object, ...]]:
    with closing(cluster.connect()) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []


def test_listens_on_a_private_socket_only_and_not_as_root(cluster: Postgres) -> None:
    assert run(cluster, "SHOW listen_addresses") == [("",)]
    assert run(cluster, "SHOW max_connections") == [("200",)]
    assert cluster.runtime.stat().st_mode & 0o777 == 0o700
    assert cluster.process is not None
    owner = Path(f"/proc/{cluster.process.pid}").stat().st_uid
    assert owner != 0
    assert owner == cluster.data.stat().st_uid


def test_sorts_and_folds_unicode_the_same_on_every_machine(cluster: Postgres) -> None:
    assert run(cluster, "SELECT lower('ÄÖÉ'), current_setting('server_encoding')") == [("äöé", "UTF8")]


def test_the_url_is_understood_by_django_environ_and_libpq(cluster: Postgres) -> None:
    run(cluster, 'CREATE ROLE "odd name" LOGIN')
    url = cluster.url("odd name", "postgres")
    parsed = environ.Env.db_url_config(url)
    assert parsed["OPTIONS"] == {"host": str(cluster.runtime)}
    assert parsed["HOST"] == ""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("odd name",)


@pytest.mark.parametrize("cluster", [True], ids=["durable"], indirect=True)
def test_comes_back_after_kill_9_with_what_was_committed(cluster: Postgres) -> None:
    run(cluster, "CREATE TABLE kept (n int)")
    run(cluster, "INSERT INTO kept VALUES (1)")
    # A busy backend does not notice by itself that its postmaster is gone.
    busy = cluster.connect()
    with closing(busy), busy.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone()
        os.kill(backend, signal.SIGSTOP)
        assert cluster.process is not None
        cluster.process.kill()
        cluster.process.wait()
        assert alive(backend)
        started = time.monotonic()
        cluster.start()
        cluster.wait_ready()
        assert time.monotonic() - started < 10
        assert not alive(backend)
        assert run(cluster, "SELECT n FROM kept") == [(1,)]


def test_a_recycled_process_id_in_the_lock_file_is_no_obstacle(place: Path, cluster: Postgres) -> None:
    cluster.stop()
    (cluster.data / "postmaster.pid").write_text("1\n")
    cluster.start()
    cluster.wait_ready()
    assert cluster.answers()


def test_stop_leaves_nothing(cluster: Postgres) -> None:
    cluster.stop()
    assert working_in(cluster.data) == []
    assert not cluster.socket.exists()
    assert not cluster.answers()
    cluster.stop()


def test_stop_ends_a_server_that_does_not_listen(cluster: Postgres) -> None:
    assert cluster.process is not None
    process = cluster.process
    process.send_signal(signal.SIGSTOP)
    cluster.stop(patience=(0.2, 0.2, 5.0))
    assert process.poll() == -signal.SIGKILL


ABANDON = """
import os, signal, sys
from pathlib import Path
from portal.supervisor.postgres import Postgres
place = Path(sys.argv[1])
cluster = Postgres(place / "data", runtime=place / "run", durable=False)
cluster.prepare()
process = cluster.start()
cluster.wait_ready()
print(process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_dies_with_the_process_that_started_it(place: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ABANDON, str(place)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    server = int(done.stdout)
    deadline = time.monotonic() + 5
    while alive(server) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(server)


def test_throwaway_cleans_up_after_itself() -> None:
    with throwaway() as cluster:
        folder = cluster.data.parent
        assert run(cluster, "SHOW fsync") == [("off",)]
    assert not folder.exists()


ORDINARY = """
import os, sys
from contextlib import closing
from portal.supervisor.postgres import throwaway
with throwaway() as cluster, closing(cluster.connect()) as connection, connection.cursor() as cursor:
    cursor.execute("SHOW data_directory")
    print(os.geteuid(), os.stat(cursor.fetchone()[0]).st_uid, cluster.command()[0])
"""


def python_for_everybody() -> str | None:
    """A Python of our version that other accounts can run; ours may be in root's home."""
    for candidate in (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"):
        real = Path(os.path.realpath(candidate))
        if real.exists() and all(part.stat().st_mode & 0o005 == 0o005 for part in (real, *real.parents)):
            return candidate
    return None


@pytest.mark.skipif(os.geteuid() != 0, reason="as an ordinary user every test here is this test")
def test_runs_as_an_ordinary_user_too() -> None:
    python = python_for_everybody()
    if python is None or not os.access(Path(psycopg2.__file__).parent, os.R_OK):
        pytest.skip("no Python of this version that an ordinary user could run")
    packages = Path(psycopg2.__file__).resolve().parents[1]
    account = pwd.getpwnam("nobody")
    done = subprocess.run(
        [python, "-c", ORDINARY],
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
        env={"PYTHONPATH": f"{ROOT}:{packages}", "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"]},
        cwd="/tmp",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    runs_as, owner, program = done.stdout.split(maxsplit=2)
    assert runs_as == owner == str(account.pw_uid)
    assert program.startswith(str(packages))


def refusal(cluster: Postgres) -> str:
    with pytest.raises(SetupError) as caught:
        cluster.prepare()
    return str(caught.value)


def test_no_disk_space_is_a_sentence_and_leaves_nothing(place: Path) -> None:
    text = refusal(Postgres(place / "data", runtime=place / "run", needed_bytes=2**60))
    assert text.startswith("No disk space for the embedded database")
    assert "Free some space" in text
    assert not (place / "data").exists()


def test_space_that_ends_while_the_cluster_is_made_is_a_sentence(place: Path) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        text = refusal(Postgres(place / "data", runtime=place / "run"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert text.startswith("The embedded database cannot be made")
    assert not (place / "data").exists()
    assert not (place / "data.new").exists()


def test_a_file_where_a_folder_belongs(place: Path) -> None:
    (place / "taken").write_text("")
    text = refusal(Postgres(place / "taken" / "data", runtime=place / "run"))
    assert "cannot be made" in text


@pytest.mark.parametrize("missing", ["PG_VERSION", "global/pg_control"])
def test_a_damaged_folder_is_a_sentence_and_is_not_touched(place: Path, missing: str) -> None:
    (place / "data" / "global").mkdir(parents=True)
    (place / "data" / "PG_VERSION").write_text(f"{NEWEST}\n")
    (place / "data" / "global" / "pg_control").write_text("x")
    (place / "data" / missing).unlink()
    text = refusal(Postgres(place / "data", runtime=place / "run"))
    assert "is not a complete database folder" in text
    assert "mv '" in text


def test_a_folder_of_another_version(place: Path) -> None:
    (place / "data" / "global").mkdir(parents=True)
    (place / "data" / "PG_VERSION").write_text("9.6\n")
    (place / "data" / "global" / "pg_control").write_text("x")
    assert "was made by PostgreSQL '9.6'" in refusal(Postgres(place / "data", runtime=place / "run"))


def test_damaged_data_is_told_with_the_servers_last_words(cluster: Postgres) -> None:
    cluster.stop()
    (cluster.data / "global" / "pg_control").write_bytes(b"\0" * 100)
    cluster.start()
    with pytest.raises(SetupError, match=r"ended while starting: .*restore it from a backup"):
        cluster.wait_ready()


def test_a_server_that_never_gets_ready_is_a_sentence(place: Path) -> None:
    cluster = Postgres(place / "data", runtime=place / "run", durable=False)
    with pytest.raises(SetupError, match=r"did not start within 0 s: it left no log"):
        cluster.wait_ready(timeout=0.1)


def test_a_runtime_folder_too_long_for_a_socket(place: Path) -> None:
    assert "COUNTERSIGN_RUNTIME_DIR" in refusal(Postgres(place / "data", runtime=place / ("x" * 100)))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs a copy that others can read")
def test_as_root_the_programs_are_where_everybody_can_read_them() -> None:
    folder = binaries(NEWEST)
    assert str(folder).startswith("/var/lib/countersign/postgres/")
    for part in (folder, *folder.parents):
        assert part.stat().st_mode & 0o005 == 0o005, part
