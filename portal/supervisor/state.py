"""Where one copy of the portal keeps what it needs to run: `.countersign/`, its runtime folder, its ports, its keys."""

import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import socket
import stat
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TextIO

from ledger import keys
from ledger.notes import SigningKey
from portal.supervisor.faults import SetupError

ROOT_DATA = Path("/var/lib/countersign")
FIRST_PORT, LAST_PORT = 8000, 8999
ADDRESS = "127.0.0.1"


class AlreadyRunning(Exception):
    """Another `./run` serves from this folder; the text says where."""


class State:
    """The folder `.countersign/` of a copy (or the one that COUNTERSIGN_DIR names)."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(os.path.abspath(folder))
        self.hash = hashlib.sha256(os.fsencode(os.path.realpath(self.folder))).hexdigest()[:12]
        self.logs = self.folder / "logs"
        self._lock: TextIO | None = None
        self._runtime: Path | None = None

    def open(self) -> None:
        """Make the folder with its parts and take its lock. Raises SetupError and AlreadyRunning."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            owner = self.folder.stat().st_uid
            if owner != os.geteuid():
                raise SetupError(
                    f"{self.folder} belongs to another account (user id {owner}); run as that account, or copy the "
                    "project without it."
                )
            for name in ("logs", "secrets", "artifacts", "uploads", "static", "log"):
                (self.folder / name).mkdir(mode=0o700, exist_ok=True)
            self._lock = open(self.folder / "run.lock", "a")  # noqa: SIM115 - held until the process ends
        except OSError as error:
            raise SetupError(self.explain(error)) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise AlreadyRunning(self._who_runs()) from None
        # The watchdog of a run that was killed may still be ending that run's processes.
        with open(self.watchdog_lock, "a") as watchdog:
            fcntl.flock(watchdog, fcntl.LOCK_EX)

    @property
    def watchdog_lock(self) -> Path:
        """Held by the watchdog as long as it lives."""
        return self.folder / "watchdog.lock"

    def announce(self, web: str, gateway: str) -> None:
        """Say for the next `./run` that we are running and where."""
        note = {"process": os.getpid(), "web": web, "gateway": gateway}
        (self.folder / "run.json").write_text(json.dumps(note), encoding="utf-8")

    def close(self) -> None:
        """Remove what only a running copy needs, and give the lock back."""
        if self._runtime is not None:
            shutil.rmtree(self._runtime, ignore_errors=True)
        (self.folder / "run.json").unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def secret(self, name: str) -> Path:
        """The file of a secret that is made once. Raises SetupError where it is damaged."""
        path = self.folder / "secrets" / name
        if not os.path.lexists(path):
            # Written aside and renamed: a run killed in between must not leave half a key.
            fresh = path.with_name(f"{name}.new")
            fresh.unlink(missing_ok=True)
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(64))
            fresh.rename(path)
        if not path.is_file() or len(path.read_text(errors="replace").strip()) < 40:
            raise SetupError(
                f"{path} is damaged: it should hold a key of 86 characters. Restore it from a backup; or remove it to "
                "get a new one, after which everybody signs in again and inference keys are issued anew."
            )
        return path

    def log_origin(self) -> str:
        """The log's name: that of its key, or of a log that has begun here, or one that no other copy has."""
        with suppress(OSError, ValueError):
            return SigningKey.from_text((self.folder / "secrets" / "log_key").read_text().partition("\n")[0]).name
        for checkpoint in self.folder.glob("log/*/checkpoint"):
            return checkpoint.read_text(errors="replace").partition("\n")[0]
        return f"countersign.local/{self.hash}"

    def signing_key(self, setting: str, name: str) -> Path:
        """The file of a signing key that is made once, for LOG_KEY or PORTAL_KEY. Raises KeyFault.

        A log that has begun never gets a new key by itself: somebody must say that the old one is lost.
        """
        path = self.folder / "secrets" / setting.lower()
        begun = setting == "LOG_KEY" and any(self.folder.glob("log/*/checkpoint"))
        if not os.path.lexists(path) and not begun:
            keys.write(path, [SigningKey.generate(name)])
        keys.load(setting, value="", file=str(path), name=name)
        return path

    def database_folder(self) -> Path:
        """Where the embedded cluster lives: here, or under /var/lib as root, whose home `nobody` cannot enter."""
        if os.geteuid() != 0:
            return self.folder / "postgres"
        data = ROOT_DATA / self.hash / "postgres"
        pointer = self.folder / "postgres.path"
        if pointer.exists():
            known = Path(pointer.read_text(errors="replace").strip())
            if known != data:
                raise SetupError(
                    f"{self.folder} was copied or moved: its database is {known}. Remove {pointer} to begin with an "
                    f"empty one, or, when it was moved: mv '{known.parent}' '{data.parent}' and then remove {pointer}."
                )
            if not data.exists():
                raise SetupError(
                    f"The database {data} of this copy is gone. Restore it from a backup, or remove {self.folder} to "
                    "begin empty."
                )
        try:
            data.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        except OSError as error:
            raise SetupError(self.explain(error)) from error
        return data

    def remember_database(self, data: Path) -> None:
        """Write the pointer once the cluster exists."""
        if data.parent != self.folder:
            (self.folder / "postgres.path").write_text(f"{data}\n", encoding="utf-8")

    def runtime(self) -> Path:
        """A short folder for sockets that only we can enter (as root: that others can only pass through)."""
        root = os.geteuid() == 0
        chosen = os.environ.get("COUNTERSIGN_RUNTIME_DIR")
        session = os.environ.get("XDG_RUNTIME_DIR", "")
        if chosen:
            parent = Path(chosen)
        elif root and os.access("/run", os.W_OK):
            parent = Path("/run")
        elif not root and 0 < len(session) < 40 and os.access(session, os.W_OK):
            parent = Path(session)
        else:
            parent = Path("/tmp")  # noqa: S108 - made with mode 0700 and its owner is checked
        folder = parent / f"countersign-{os.geteuid()}-{self.hash}"
        try:
            folder.mkdir(mode=0o700, parents=bool(chosen), exist_ok=True)
            found = folder.lstat()
        except OSError as error:
            raise SetupError(self.explain(error)) from error
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise SetupError(
                f"{folder} is not ours; remove it, or set COUNTERSIGN_RUNTIME_DIR to a folder of your own."
            )
        folder.chmod(0o711 if root else 0o700)
        self._runtime = folder
        return folder

    def sockets(self, web: str | None, gateway: str | None) -> tuple[socket.socket, socket.socket]:
        """Listening sockets for web and gateway: the wanted port, else the one of the last time, else a free one.

        They are held for as long as we run and handed down, so nobody can take a port while its process restarts.
        """
        path = self.folder / "ports.json"
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            last = {"web": int(known["web"]), "gateway": int(known["gateway"])}
        except (OSError, ValueError, KeyError, TypeError):
            last = {}
        with ExitStack() as stack:
            opened = [stack.enter_context(self._listen("WEB_PORT", web, last.get("web")))]
            opened.append(stack.enter_context(self._listen("GATEWAY_PORT", gateway, last.get("gateway"))))
            ports = [listener.getsockname()[1] for listener in opened]
            path.write_text(json.dumps({"web": ports[0], "gateway": ports[1]}), encoding="utf-8")
            stack.pop_all()
        return opened[0], opened[1]

    def _listen(self, name: str, wanted: str | None, last: int | None) -> socket.socket:
        if wanted is not None:
            if not wanted.isdigit() or not 0 < int(wanted) < 65536:
                raise SetupError(f"{name}={wanted} is no port; choose a number from 1 to 65535.")
            listener = listen(int(wanted))
            if listener is None:
                raise SetupError(
                    f"Port {wanted} is in use by another program, or needs more rights; choose another {name}, or "
                    "leave it out and a free one is found."
                )
            return listener
        for port in [*([last] if last else []), *range(FIRST_PORT, LAST_PORT)]:
            listener = listen(port)
            if listener is not None:
                return listener
        raise SetupError(f"No port from {FIRST_PORT} to {LAST_PORT} is free; set {name}.")

    def _who_runs(self) -> str:
        try:
            note = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
            where = f" at {note['web']} (process {note['process']})"
            stop = f" Press Ctrl-C there, or: kill {note['process']}"
        except (OSError, ValueError, KeyError, TypeError):
            where, stop = " and is still starting", " Press Ctrl-C there."
        return f"Countersign is already running from this folder{where}.{stop}"

    def explain(self, error: OSError) -> str:
        """One sentence for a folder or file that cannot be made or written."""
        if error.errno == errno.ENOSPC:
            return f"No disk space: {error.filename or self.folder} cannot be written. Free some, then run again."
        if isinstance(error, FileExistsError | NotADirectoryError):
            return (
                f"{error.filename or self.folder} is in the way: a folder belongs there. Move it away, then run again."
            )
        return (
            f"{error.filename or self.folder} cannot be written ({error.strerror}); make it writable for this account, "
            "or set COUNTERSIGN_DIR to a folder that is."
        )


def listen(port: int) -> socket.socket | None:
    """A listening socket on this machine's own address, or None where the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Uvicorn takes a socket it is given for a Unix one and leaves this out; without it each answer waits 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((ADDRESS, port))
        listener.listen(1024)
    except OSError:
        listener.close()
        return None
    return listener
