"""One throw-away PostgreSQL a run, one migrated template database, a copy for each worker, and the cast.

Tests connect as the portal's own role, which owns nothing: what the database refuses in production it refuses here.
Use `db` where a rollback at the end will do, `committing_db` where the test must really commit (threads, workers,
browsers): it is a database of its own, made from the template and dropped afterwards.
What most tests begin with stands ready: see `tests.ready`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import hypothesis
import psycopg2
import pytest

from tests.cast import Cast
from tests.leaks import no_secret_in_any_log_file as no_secret_in_any_log_file
from tests.leaks import pytest_runtest_makereport as pytest_runtest_makereport
from tests.sealing import GRANTS, Sealer, log_key, present, running

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = "countersign_template"
CONTROLLER: dict[str, Any] = {}
NUMBERS = itertools.count(1)
# How fast a busy machine makes up examples says nothing about the code. `--long` tries seven times as many.
for profile, examples in (("countersign", 30), ("long", 200)):
    hypothesis.settings.register_profile(
        profile, deadline=None, max_examples=examples, suppress_health_check=[hypothesis.HealthCheck.too_slow]
    )

os.environ.update(
    COUNTERSIGN_MODE="test",
    SECRET_KEY="only-for-tests-and-long-enough-to-pass-every-check-0123456789",
    # Live servers and Playwright's event loop share the test's process.
    DJANGO_ALLOW_ASYNC_UNSAFE="true",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests marked long too")


# Files that take ten seconds and more, the longest first: one begun last would keep a worker at it while others wait.
LONGEST = (
    "tests/house/test_pages.py", "tests/portal/test_supervisor_portal.py", "tests/journeys/test_demo.py",
    "tests/fairness/test_report_jobs.py", "tests/house/test_matrix.py", "tests/journeys/test_review.py",
    "tests/inference/test_batch_tables.py", "tests/inference/test_gateway.py", "tests/ledger/test_sequencer.py",
    "tests/portal/test_look.py", "tests/fairness/test_own_outcomes.py", "tests/approvals/test_pages.py",
    "tests/approvals/test_state_machine.py", "tests/portal/test_supervisor_run.py", "tests/portal/test_checks.py",
    "tests/registry/test_onnx_sandbox.py", "tests/fairness/test_explain.py", "tests/registry/test_pages.py",
    "tests/portal/test_supervisor_watch.py", "tests/fairness/test_bias.py", "tests/journeys/test_passkeys.py",
    "tests/inference/test_batch.py", "tests/portal/test_embedded_postgres.py", "tests/inference/test_serving.py",
)  # fmt: skip


def length(item: pytest.Item) -> int:
    file = item.nodeid.partition("::")[0]
    return LONGEST.index(file) if file in LONGEST else len(LONGEST)


@pytest.hookimpl(trylast=True)  # after they were shuffled
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=length)
    if not config.getoption("--long"):
        chosen = [item for item in items if "long" not in item.keywords]
        config.hook.pytest_deselected(items=[item for item in items if "long" in item.keywords])
        items[:] = chosen


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    hypothesis.settings.load_profile("long" if config.getoption("--long") else "countersign")
    worker = getattr(config, "workerinput", None)
    if worker is None:
        start_cluster()
    name = f"test_{worker['workerid']}" if worker else "test_main"
    create_database(name)
    os.environ.update(
        urls(name),
        # The tests' own cluster also plays the databases elsewhere that datasets are connected to.
        CONNECTION_INTERNAL_HOSTS=parse_qs(urlsplit(os.environ["ADMIN_DATABASE_URL"]).query)["host"][0],
        ARTIFACT_ROOT=str(Path(os.environ["CST_TEST_TOP"]) / f"artifacts-{name}"),
        GATEWAY_ROOT=str(Path(os.environ["CST_TEST_TOP"]) / f"gateway-{name}"),
        STATIC_ROOT=str(Path(os.environ["CST_TEST_TOP"]) / "static"),
        LOG_ROOT=str(Path(os.environ["CST_TEST_TOP"]) / "log-template"),
        DJANGO_SETTINGS_MODULE="portal.settings",
    )
    Path(os.environ["STATIC_ROOT"]).mkdir(exist_ok=True)  # WhiteNoise warns about a missing folder
    from django.conf import settings

    assert settings.TESTING  # loads the settings, so that pytest-django finds them
    if worker is None and getattr(config.option, "numprocesses", None):
        # A worker that inherits the name would load the settings before this, with the controller's database.
        del os.environ["DJANGO_SETTINGS_MODULE"]
    assert settings.DATABASES["default"]["NAME"] == name


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Every other worker imports all tests from the end: what one has compiled, another only reads."""
    every_other = os.environ.get("PYTEST_XDIST_WORKER", "")[-1:] in set("13579")
    if every_other and session.config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        for path in sorted(ROOT.glob("tests/**/test_*.py"), reverse=True):
            with contextlib.suppress(Exception):  # pytest says it when it comes to that file
                importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


def pytest_collection_finish(session: pytest.Session) -> None:
    """What was imported stays: the collector need not look through a million objects again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(200000, 20, 50)


def pytest_unconfigure(config: pytest.Config) -> None:
    gc.collect()
    gc.freeze()  # pytest would look through all that is left five times more
    if cluster := CONTROLLER.get("cluster"):
        cluster.stop()
        shutil.rmtree(CONTROLLER["top"], ignore_errors=True)


def urls(database: str) -> dict[str, str]:
    def url(role: str) -> str:
        return os.environ["CST_TEST_URL"].replace("ROLE", role).replace("DATABASE", database)

    return {
        "DATABASE_URL": url("countersign_portal"),
        "MIGRATION_DATABASE_URL": url("countersign_migrate"),
        "SEQUENCER_DATABASE_URL": url("countersign_sequencer"),
    }


def start_cluster() -> None:
    from portal.supervisor.postgres import Postgres

    top = Path(tempfile.mkdtemp(prefix="cst-"))
    top.chmod(0o755)
    (top / "pg").mkdir()
    (top / "pg").chmod(0o777)
    cluster = Postgres(top / "pg" / "data", runtime=top / "pg" / "run", durable=False)
    cluster.prepare()
    cluster.start()
    CONTROLLER.update(top=top, cluster=cluster)
    cluster.wait_ready()
    os.environ.update(
        CST_TEST_TOP=str(top), CST_TEST_URL=cluster.url("ROLE", "DATABASE"), ADMIN_DATABASE_URL=cluster.admin_url()
    )
    environment = {**os.environ, **urls(TEMPLATE), "DJANGO_SETTINGS_MODULE": "portal.settings"}
    subprocess.run([sys.executable, "-m", "tests.cast"], cwd=ROOT, check=True, env=environment)
    for statement in GRANTS:
        administrate(statement)


def administrate(statement: str) -> None:
    with administrator().cursor() as cursor:
        cursor.execute(statement)


@cache
def administrator() -> Any:
    """One connection for hundreds of databases."""
    connection = psycopg2.connect(os.environ["ADMIN_DATABASE_URL"])
    connection.autocommit = True
    return connection


def create_database(name: str) -> None:
    administrate(f'CREATE DATABASE "{name}" TEMPLATE {TEMPLATE} OWNER countersign_owner STRATEGY file_copy')
    # Rights on the database itself are not copied with a template.
    administrate(f'GRANT CONNECT, TEMPORARY ON DATABASE "{name}" TO countersign_portal, countersign_migrate')


@pytest.fixture(scope="session")
def django_db_setup() -> None:
    """The worker's database is there already."""


@pytest.fixture(scope="session", autouse=True)
def plain_templates(django_test_environment: None) -> None:
    """Django's tests keep a copy of what each template and part was rendered with: nothing here looks at it."""
    from django.template.base import Template
    from django.test import utils

    kept: Any = utils._TestState
    setattr(Template, "_render", kept.saved_data.template_render)  # noqa: B010


@pytest.fixture
def committing_db(django_db_blocker: Any, worker_id: str) -> Iterator[str]:
    """A database of this test's own, really committed to, with the cast in it. Yields its name."""
    from django.db import connections

    name = f"test_{worker_id}_{next(NUMBERS)}"
    create_database(name)
    settings_dict = connections["default"].settings_dict
    before = settings_dict["NAME"]
    with django_db_blocker.unblock():
        connections["default"].close()
        settings_dict["NAME"] = name
        try:
            yield name
        finally:
            connections["default"].close()
            settings_dict["NAME"] = before
            administrate(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def process_environment(committing_db: str, seal: Sealer, settings: Any) -> dict[str, str]:
    """The environment for a real process (worker, gateway, command) beside the test, on the test's own database."""
    seal.copy()
    return {
        **os.environ, "DJANGO_SETTINGS_MODULE": "portal.settings", **urls(committing_db), "LOG_ROOT": str(seal.root),
        "LOG_ORIGIN": settings.LOG_ORIGIN, "LOG_KEY": log_key(settings.LOG_ORIGIN).text,
        "GATEWAY_ROOT": str(Path(os.environ["CST_TEST_TOP"]) / f"gateway-{committing_db}"),
    }  # fmt: skip


@pytest.fixture
def seal(request: pytest.FixtureRequest, worker_id: str, settings: Any) -> Iterator[Sealer]:
    """`seal()` seals all that is pending, in either kind of test, into a folder of this test's own (`LOG_ROOT`)."""
    if "committing_db" in request.fixturenames:
        database = request.getfixturevalue("committing_db")
    else:
        request.getfixturevalue("db")
        database = ""
    sealer = Sealer(Path(os.environ["CST_TEST_TOP"]) / f"log-{worker_id}-{next(NUMBERS)}", database)
    settings.LOG_ROOT, settings.LOG_KEY = str(sealer.root), log_key(settings.LOG_ORIGIN).text
    with present(sealer):
        yield sealer


@pytest.fixture
def sealing(committing_db: str, seal: Sealer) -> Iterator[Sealer]:
    """The sequencer at work in a thread while the test runs; `seal()` then waits for it."""
    with running(seal):
        yield seal


@pytest.fixture
def owner_cursor(committing_db: str) -> Iterator[Any]:
    """A cursor as the owner of the tables, for trying what even the owner must not be able to do."""
    connection = psycopg2.connect(urls(committing_db)["MIGRATION_DATABASE_URL"])
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


@pytest.fixture
def cast(request: pytest.FixtureRequest) -> Cast:
    """The ten people and the bot. Works with `db` (the default) and with `committing_db`."""
    if "committing_db" not in request.fixturenames:
        request.getfixturevalue("db")
    request.getfixturevalue("seal")
    return Cast()


@pytest.fixture
def signed_in(cast: Cast) -> Callable[..., Any]:
    """`signed_in(cast.developer)` is Django's test client with that person's session."""
    from django.test import Client

    def client(user: Any) -> Client:
        browser = Client()
        browser.force_login(user)
        return browser

    return client


@pytest.fixture
def api(cast: Cast) -> Callable[..., Any]:
    """`api(cast.developer)` is a client that sends a token with all scopes; `api(None)` is nobody."""
    from django.test import Client

    from accounts.catalogue import PERMISSIONS
    from accounts.services import create_own_token

    def client(user: Any, scopes: Any = None) -> Client:
        if user is None:
            return Client()
        name, wanted = f"test {next(NUMBERS)}", list(PERMISSIONS if scopes is None else scopes)
        _, text = create_own_token(by=user, account=user, name=name, scopes=wanted, days=1)
        return Client(headers={"Authorization": f"Bearer {text}"})

    return client


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    """Rate limits of one test must not refuse another."""
    from django.core.cache import cache

    cache.clear()


@pytest.fixture(scope="session")
def valkey() -> Iterator[str]:
    """A real Valkey; yields its URL for redis-py."""
    from portal.supervisor.valkey import Valkey

    top = Path(tempfile.mkdtemp(prefix="csv-"))
    server = Valkey(top / "data", runtime=top / "run")
    server.prepare()
    server.start()
    server.wait_ready()
    try:
        yield server.url()
    finally:
        server.stop()
        shutil.rmtree(top, ignore_errors=True)


@pytest.fixture
def live_portal(committing_db: str, sealing: Sealer) -> Iterator[str]:
    """The portal on a real port, in threads of this process, on the test's own database. Yields its address."""
    from django.contrib.staticfiles.handlers import StaticFilesHandler
    from django.test.testcases import LiveServerThread

    thread = LiveServerThread("127.0.0.1", StaticFilesHandler, connections_override={})
    thread.daemon = True
    thread.start()
    thread.is_ready.wait()
    if thread.error:
        raise thread.error
    try:
        yield f"http://127.0.0.1:{thread.port}"
    finally:
        thread.terminate()
        for left in threading.enumerate():
            if left.name.startswith("Thread-") and left.daemon and left is not thread:
                left.join(timeout=0.5)
