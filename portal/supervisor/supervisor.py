"""One run: databases, roles, migrations, processes, the demo, and the orderly end of all of them."""

import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from time import sleep
from types import FrameType

from portal.supervisor.faults import SetupError
from portal.supervisor.postgres import Postgres
from portal.supervisor.processes import (
    DATABASE,
    DEMO,
    GATEWAY,
    PREPARE,
    PROCESSES,
    Process,
    environment,
    external_databases,
    preparing,
    rotate,
    serving,
    several,
)
from portal.supervisor.spawn import end_group, spawn
from portal.supervisor.state import State
from portal.supervisor.valkey import Valkey
from portal.supervisor.watch import Child, Unit, Watchdog, Watcher, answers, last_words

PROJECT = Path(__file__).resolve().parents[2]


def say(line: str) -> None:
    """One line for the person who started us; one who no longer listens is no reason to stop."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        return


class Supervisor:
    """`run` does everything and returns the exit status. Raises SetupError and AlreadyRunning."""

    def __init__(
        self,
        state: State,
        given: Mapping[str, str],
        *,
        processes: Sequence[Process] = PROCESSES,
        demo: Sequence[str] | None = DEMO,
    ) -> None:
        self.state = state
        self.given = given
        self.processes = several(processes, given)
        self.demo = demo

    def run(self, *, once: bool) -> int:
        """Start, show the demo, serve until told to stop (or not, with `once`), stop."""
        self.state.open()
        try:
            databases = external_databases(self.given)
            self.listeners = self.state.sockets(self.given.get("WEB_PORT"), self.given.get("GATEWAY_PORT"))
            try:
                return self._watched(databases, once)
            finally:
                for listener in self.listeners:
                    listener.close()
        finally:
            self.state.close()

    def _watched(self, databases: dict[str, str], once: bool) -> int:
        web, gateway = (f"http://127.0.0.1:{listener.getsockname()[1]}" for listener in self.listeners)
        self.addresses = {"web": web, "gateway": gateway}
        self.state.announce(web, gateway)
        self.watcher = Watcher(Watchdog(self.state.watchdog_lock), say)
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = [signal.signal(number, self._told_to_stop) for number in signals]
        try:
            return self._run(databases, once)
        finally:
            self._stop()
            for number, handler in zip(signals, before, strict=True):
                signal.signal(number, handler)

    def _run(self, databases: dict[str, str], once: bool) -> int:
        runtime = self.state.runtime()
        if not databases:
            databases = self._start_postgres(runtime)
        redis, broker = self._start_valkey(runtime)
        told = environment(
            self.state,
            web=self.addresses["web"],
            gateway=self.addresses["gateway"],
            databases=databases,
            redis=redis,
            broker=broker,
            given=self.given,
        )
        self._must("Preparing the database", PREPARE, preparing(told))
        self._start_processes(told)
        if self._stopping():
            return 130
        say(f"Countersign is at {self.addresses['web']} and its gateway at {self.addresses['gateway']}.")
        status = self._show_demo(serving(told))
        if once or self._stopping():
            return status
        if status != 0:
            say(f"The demo ended with status {status}; the portal goes on serving.")
        say(f"Serving at {self.addresses['web']}. Press Ctrl-C to stop.")
        while not self._stopping():
            self.watcher.tick()
            sleep(0.1)
        return 0

    def _start_postgres(self, runtime: Path) -> dict[str, str]:
        data = self.state.database_folder()
        cluster = Postgres(data, runtime=runtime / "pg")
        if not data.exists():
            say("Making the database (the first time only).")
        rotate(cluster.log)
        cluster.prepare()
        self.state.remember_database(data)
        stop = ((signal.SIGINT, 15.0), (signal.SIGQUIT, 5.0))
        self.watcher.start(Unit("postgres", cluster.start, stop=stop, ready=cluster.answers, log=cluster.log))
        cluster.wait_ready(60.0)
        prefix = self.given.get("DB_ROLE_PREFIX", "countersign")
        return {
            "ADMIN_DATABASE_URL": cluster.admin_url(),
            "DATABASE_URL": cluster.url(f"{prefix}_portal", DATABASE),
            "MIGRATION_DATABASE_URL": cluster.url(f"{prefix}_migrate", DATABASE),
            "SEQUENCER_DATABASE_URL": cluster.url(f"{prefix}_sequencer", DATABASE),
        }

    def _start_valkey(self, runtime: Path) -> tuple[str, str]:
        if redis := self.given.get("REDIS_URL"):
            broker = redis.replace("unix://", "redis+socket://", 1).replace("?db=", "?virtual_host=", 1)
            return redis, self.given.get("CELERY_BROKER_URL") or (broker if redis.startswith("unix:") else redis)
        valkey = Valkey(self.state.folder / "valkey", runtime=runtime / "valkey")
        rotate(valkey.log)
        valkey.prepare()
        self.watcher.start(Unit("valkey", valkey.start, ready=valkey.answers, log=valkey.log))
        valkey.wait_ready()
        return valkey.url(), valkey.broker_url()

    def _start_processes(self, told: Mapping[str, str]) -> None:
        units = []
        listeners = dict(zip(("web", "gateway"), self.listeners, strict=True))
        for process in self.processes:
            log = self.state.logs / f"{process.name}.log"
            rotate(log)
            # Gateways accept from one socket: whichever is free takes the next connection.
            place = process.name.partition("-")[0]
            listener = listeners.get(place)
            start = partial(self._launch, process, listener, log, told)
            ready = answers(self.addresses[place] + process.health) if process.health else lambda: True
            unit = Unit(process.name, start, stop=process.stop, ready=ready, log=log)
            units.append(unit)
            self.watcher.start(unit)
        self.watcher.wait_ready(units, 90.0)

    def _launch(self, process: Process, listener: socket.socket | None, log: Path, told: Mapping[str, str]) -> Child:
        command = [sys.executable, "-m", *process.command]
        if listener is not None:
            number = str(listener.fileno())
            # Nothing but this machine hears the gateway here, so it shows no certificate.
            here = ["--plain", "--fd", number] if process.command == GATEWAY.command else ["--bind", f"fd://{number}"]
            command += here
        handed = [] if listener is None else [listener.fileno()]
        return spawn(command, log=log, env=serving(told, process), cwd=PROJECT, pass_fds=handed)

    def _show_demo(self, told: Mapping[str, str]) -> int:
        if self.demo is None:
            return 0
        places = ("--web", self.addresses["web"], "--gateway", self.addresses["gateway"])
        return self._finish(spawn([sys.executable, *self.demo, *places], env=told, cwd=PROJECT, show=True))

    def _must(self, what: str, command: Sequence[str], told: Mapping[str, str]) -> None:
        if self._stopping():
            return
        log = self.state.logs / "setup.log"
        rotate(log)
        status = self._finish(spawn([sys.executable, *command], log=log, env=told, cwd=PROJECT))
        if status != 0 and not self._stopping():
            raise SetupError(f"{what} failed: {last_words(log)}")

    def _finish(self, child: Child) -> int:
        """Wait for a child that ends by itself, keeping the others alive meanwhile; its status, 130 when stopped."""
        self.watcher.watchdog.add(child.pid, signal.SIGTERM)
        while child.poll() is None and not self._stopping():
            self.watcher.tick()
            sleep(0.05)
        told_to_stop = child.poll() is None
        end_group(child.pid, signal.SIGKILL)
        status = child.wait()
        self.watcher.watchdog.remove(child.pid)
        return 130 if told_to_stop else status

    def _stop(self) -> None:
        self.watcher.stop([process.name for process in self.processes], ["valkey", "postgres"])
        self.watcher.watchdog.close()

    def _stopping(self) -> bool:
        return self.watcher.stopping

    def _told_to_stop(self, number: int, frame: FrameType | None) -> None:
        if self._stopping():
            os._exit(130)  # asked twice: the watchdog ends what is left
        self.watcher.stopping = True
