"""The first tables are those that Django alone makes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from django.db import connections, migrations, models

from ledger.first_tables import adds, make_first_tables
from portal.supervisor.postgres import NEWEST, binaries
from tests.conftest import ROOT, administrate, urls

SQL = migrations.RunSQL("SELECT 1")
MADE = migrations.CreateModel("One", [("id", models.BigAutoField(primary_key=True))])
DROPPED = migrations.DeleteModel("One")


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (MADE, True),
        (SQL, True),
        (migrations.AddField("one", "two", models.TextField()), True),
        (migrations.AlterField("one", "two", models.TextField(blank=True)), True),
        (migrations.AlterField("one", "two", models.TextField(unique=True)), False),
        (migrations.AlterField("one", "id", models.UUIDField(primary_key=True)), False),
        (migrations.RenameField("one", "two", "three"), False),
        (DROPPED, False),
        (migrations.SeparateDatabaseAndState([SQL], [MADE]), True),
        (migrations.SeparateDatabaseAndState([SQL], [DROPPED]), False),
        (migrations.SeparateDatabaseAndState([MADE], [MADE]), False),
    ],
    ids=str,
)
def test_what_others_rest_on_is_left_to_django(operation, expected):
    assert adds(operation) is expected


def test_a_database_that_has_tables_is_left_to_django(db, monkeypatch):
    monkeypatch.setattr("ledger.first_tables.FirstTables.migrate", None)
    make_first_tables(connections["default"])


# The three ways by which a database may have got its tables; the last was cut off and went on.
WAYS = {
    "whole": "call_command('prepare_database')",
    "django": """
        ledger.management.commands.prepare_database.make_first_tables = lambda connection: None
        call_command('prepare_database')""",
    "cut off": """
        call_command('provision_roles')
        executor = ledger.first_tables.FirstTables(connections['migration'])
        last = executor.loader.graph.leaf_nodes()
        executor.migrate(last, plan=executor.migration_plan(last)[:60])
        call_command('prepare_database')""",
}


@pytest.fixture
def databases(worker_id: str) -> Iterator[dict[str, str]]:
    names = {way: f"first_{worker_id}_{number}" for number, way in enumerate(WAYS)}
    yield names
    for name in names.values():
        administrate(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def content(name: str, way: str) -> list[str]:
    """What pg_dump says of a database that was made in this way, without the times at which rows were made."""
    program = (
        "import django; django.setup()\n"
        "import ledger.management.commands.prepare_database, ledger.first_tables\n"
        "from django.core.management import call_command\n"
        "from django.db import connections\n" + re.sub("^ +", "", way, flags=re.MULTILINE)
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, env={**os.environ, **urls(name)})
    address = os.environ["ADMIN_DATABASE_URL"].replace("/postgres?", f"/{name}?")
    dump = subprocess.run([binaries(NEWEST) / "pg_dump", address], check=True, capture_output=True, text=True).stdout
    lines = (line for line in dump.splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))
    return [re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.\d]*\+00", "TIME", line) for line in lines]


@pytest.mark.long
def test_they_are_the_same_as_djangos(databases):
    made = {way: content(databases[way], program) for way, program in WAYS.items()}
    assert len(made["django"]) > 5000
    assert made["whole"] == made["django"]
    assert made["cut off"] == made["django"]
