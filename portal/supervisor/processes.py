"""The processes of the portal and what they are told through the environment, the same here and in `docker/`."""

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ledger import keys
from ledger.notes import VerifierKey
from portal.supervisor.faults import SetupError
from portal.supervisor.state import State

DATABASE = "countersign"
DATABASE_URLS = ("DATABASE_URL", "MIGRATION_DATABASE_URL", "SEQUENCER_DATABASE_URL")
# What only those are told who need it: connections that own tables or number the log, and the private keys.
OWNERS = frozenset({"ADMIN_DATABASE_URL", "MIGRATION_DATABASE_URL"})
SEALS = frozenset({"SEQUENCER_DATABASE_URL", "LOG_KEY", "LOG_KEY_FILE"})
SIGNS_RECEIPTS = frozenset({"PORTAL_KEY", "PORTAL_KEY_FILE"})


@dataclass(frozen=True)
class Process:
    """`command` is run as `python -m …`; where it listens is added by whoever starts it. `knows` names its secrets."""

    name: str
    command: tuple[str, ...]
    health: str = ""
    stop: tuple[tuple[int, float], ...] = ((signal.SIGTERM, 8.0),)
    knows: frozenset[str] = frozenset()


SEQUENCER = Process("sequencer", ("manage", "sequencer"), knows=SEALS)
WEB = Process(
    "web",
    (
        *("gunicorn", "portal.wsgi:application", "--worker-class", "gthread", "--workers", "2", "--threads", "4"),
        *("--timeout", "120", "--graceful-timeout", "5", "--no-control-socket", "--preload"),
        *("--access-logfile", "-", "--logger-class", "portal.access_log.AccessLog"),
    ),
    health="/healthz",
    knows=SIGNS_RECEIPTS,
)
WORKER = Process(
    "worker",
    (
        *("celery", "-A", "portal", "worker", "--pool", "prefork", "--concurrency", "1"),
        *("--without-gossip", "--without-mingle", "--loglevel", "WARNING"),
    ),
    # A job that is cut off is claimed again, so nobody waits for a long one.
    stop=((signal.SIGTERM, 4.0), (signal.SIGQUIT, 3.0)),
    # It signs the evidence packs that it makes.
    knows=SIGNS_RECEIPTS,
)
SCHEDULER = Process("scheduler", ("celery", "-A", "portal", "beat", "--pidfile=", "--loglevel", "WARNING"))
GATEWAY = Process(
    "gateway",
    ("inference.gateway.serve",),
    health="/v2/health/live",
)
PROCESSES = (SEQUENCER, WEB, WORKER, SCHEDULER, GATEWAY)

MOST_GATEWAYS = 64

PREPARE = ("manage.py", "prepare_database")
DEMO = ("manage.py", "demo")


def several(processes: Sequence[Process], given: Mapping[str, str]) -> list[Process]:
    """The same with as many gateways as GATEWAY_PROCESSES says, `gateway-2` and so on. Raises SetupError."""
    wanted = given.get("GATEWAY_PROCESSES") or "1"
    if not wanted.isdecimal() or not 1 <= int(wanted) <= MOST_GATEWAYS:
        raise SetupError(f"GATEWAY_PROCESSES={wanted} is no number of processes; choose one from 1 to {MOST_GATEWAYS}.")
    found = []
    for process in processes:
        more = range(2, int(wanted) + 1) if process.name == "gateway" else ()
        found += [process, *(replace(process, name=f"{process.name}-{number}") for number in more)]
    return found


def external_databases(given: Mapping[str, str]) -> dict[str, str]:
    """The three database URLs of the environment, or nothing. Raises SetupError for one or two of them."""
    found = {name: given[name] for name in DATABASE_URLS if given.get(name)}
    if found and len(found) < len(DATABASE_URLS):
        missing = " and ".join(name for name in DATABASE_URLS if name not in found)
        raise SetupError(
            f"{' and '.join(found)} is set but not {missing}; set all three to use a PostgreSQL of your own, or none "
            "to use the embedded one."
        )
    return found


def environment(state: State, *, web: str, gateway: str, databases: Mapping[str, str], redis: str, broker: str,
                given: Mapping[str, str]) -> dict[str, str]:  # fmt: skip
    """What this copy knows. What the operator has set himself stays. Raises SetupError for keys that are unfit."""
    own = {
        "COUNTERSIGN_MODE": "embedded",
        "SECRET_KEY_FILE": str(state.secret("secret_key")),
        "KEY_PEPPER_FILE": str(state.secret("key_pepper")),
        "ARTIFACT_ROOT": str(state.folder / "artifacts"),
        "UPLOAD_TEMP_DIR": str(state.folder / "uploads"),
        "STATIC_ROOT": str(state.folder / "static"),
        "GATEWAY_ROOT": str(state.folder / "gateway"),
        "LOG_ROOT": str(state.folder / "log"),
        "CELERY_BEAT_SCHEDULE_FILENAME": str(state.folder / "celerybeat-schedule"),
        "PUBLIC_URL": web,
        "GATEWAY_URL": gateway,
        "SESSION_COOKIE_NAME": f"countersign_{state.hash}",
    }
    fixed = {
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "PYTHONUNBUFFERED": "1",
        "REDIS_URL": redis,
        "CELERY_BROKER_URL": broker,
        **databases,
    }
    # A secret given as a value must not be overruled by the file of ours.
    for name in ("SECRET_KEY", "KEY_PEPPER"):
        if given.get(name):
            del own[f"{name}_FILE"]
    try:
        own |= signing(state, given)
    except keys.KeyFault as fault:
        raise SetupError(str(fault)) from fault
    return {**own, **given, **fixed}


def signing(state: State, given: Mapping[str, str]) -> dict[str, str]:
    """Names of the log and of the files of its key and the portal's, made the first time. Raises KeyFault."""
    origin = given.get("LOG_ORIGIN") or state.log_origin()
    own = {"LOG_ORIGIN": origin}
    found = {}
    for setting, name in (("LOG_KEY", origin), ("PORTAL_KEY", keys.portal_name(origin))):
        value, file = given.get(setting, ""), given.get(f"{setting}_FILE", "")
        if not value and not file:
            own[f"{setting}_FILE"] = file = str(state.signing_key(setting, name))
        found[setting] = keys.load(setting, value=value, file=file)
    keys.named(found["LOG_KEY"], origin)
    others: list[VerifierKey] = [key.verifier for key in found["PORTAL_KEY"]]
    keys.refuse_same(found["LOG_KEY"], others)
    own["PORTAL_VKEY"] = " ".join(other.vkey for other in others)
    return own


def serving(told: Mapping[str, str], process: Process | None = None) -> dict[str, str]:
    """The environment of a process: without the secrets and connections of the others."""
    withheld = (OWNERS | SEALS | SIGNS_RECEIPTS) - (process.knows if process else frozenset())
    return {name: value for name, value in told.items() if name not in withheld}


def preparing(told: Mapping[str, str]) -> dict[str, str]:
    """The environment of what makes roles and tables: every connection, no signing key."""
    withheld = {"LOG_KEY", "LOG_KEY_FILE", *SIGNS_RECEIPTS}
    return {name: value for name, value in told.items() if name not in withheld}


def rotate(log: Path, limit: int = 10 * 2**20) -> None:
    """Put a log that has grown large aside, once."""
    try:
        if log.stat().st_size > limit:
            os.replace(log, log.with_name(log.name + ".1"))
    except FileNotFoundError:
        return
