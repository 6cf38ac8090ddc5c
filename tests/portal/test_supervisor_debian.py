"""Debian's own PostgreSQL in place of the embedded one, through the three database URLs and with passwords."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import psycopg2
import pytest

from portal.supervisor.processes import Process
from portal.supervisor.spawn import spawn
from portal.supervisor.state import State
from portal.supervisor.supervisor import Supervisor
from tests.portal.test_supervisor_run import DEMO, given

pytestmark = pytest.mark.slow
PASSWORD = secrets.token_hex(8)


def binaries() -> Path:
    """The newest of Debian's PostgreSQLs; installed first where we may."""

    def found() -> list[Path]:
        return sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))

    if not found() and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "postgresql"],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            check=False,
            capture_output=True,
        )
    if not found():
        pytest.skip("Debian's PostgreSQL is not installed, and only root may install it")
    return found()[-1]


@pytest.fixture
def server() -> Iterator[int]:
    """A server of Debian's on a TCP port, with scram passwords; yields the port."""
    programs = binaries()
    folder = Path(mkdtemp(prefix="cs-deb-", dir="/tmp"))
    user = "nobody" if os.geteuid() == 0 else None
    if user:
        account = pwd.getpwnam(user)
        os.chown(folder, account.pw_uid, account.pw_gid)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)
    made = [
        f"{programs}/initdb",
        "-D",
        f"{folder}/data",
        "-U",
        "boss",
        "-A",
        "scram-sha-256",
        "--no-sync",
        "-E",
        "UTF8",
    ]
    made += ["--locale=C.UTF-8", f"--pwfile={folder}/password"]
    log = folder / "log"
    assert spawn(made, log=log, cwd=folder, user=user).wait() == 0, log.read_text()
    options = {"port": str(port), "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
    settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    child = spawn([f"{programs}/postgres", "-D", f"{folder}/data", *settings], log=log, cwd=folder, user=user)
    try:
        wait(port)
        yield port
    finally:
        child.send_signal(2)
        child.wait(20)
        shutil.rmtree(folder)


def url(port: int, user: str, database: str = "governed") -> str:
    return f"postgres://{user}:{PASSWORD}@127.0.0.1:{port}/{database}"


def wait(port: int) -> None:
    for _ in range(200):
        try:
            psycopg2.connect(url(port, "boss", "postgres")).close()
            return
        except psycopg2.OperationalError:
            time.sleep(0.05)
    raise AssertionError("Debian's PostgreSQL did not start")


@pytest.mark.long
def test_three_urls_replace_the_embedded_database(server: int, capfd: pytest.CaptureFixture[str]) -> None:
    urls = {
        "ADMIN_DATABASE_URL": url(server, "boss", "postgres"),
        "DATABASE_URL": url(server, "countersign_portal"),
        "MIGRATION_DATABASE_URL": url(server, "countersign_migrate"),
        "SEQUENCER_DATABASE_URL": url(server, "countersign_sequencer"),
    }
    web = Process("web", ("gunicorn", "portal.wsgi:application", "--no-control-socket"), health="/healthz")
    with TemporaryDirectory(prefix="cs test ", dir="/tmp") as folder:
        state = State(Path(folder) / ".countersign")
        supervisor = Supervisor(state, given(**urls), processes=[web], demo=(*DEMO, "0"))
        assert supervisor.run(once=True) == 0
        assert "Making the database" not in capfd.readouterr().out
        assert not (state.folder / "postgres").exists()
        assert not (state.folder / "postgres.path").exists()
        shutil.rmtree(state.runtime())
    with closing(psycopg2.connect(url(server, "countersign_portal"))) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        print(f"tried with PostgreSQL {cursor.fetchone()}", file=sys.stderr)
        cursor.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'ledger_event'")
        assert cursor.fetchone() == ("countersign_owner",)
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("DELETE FROM ledger_event")
