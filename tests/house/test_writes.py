"""Every write passes the governed door, or is machinery that says why it needs none. The rule is in `writes.py`."""

from __future__ import annotations

import importlib

import pytest

from ledger.door import ACTS, MECHANICAL
from tests.house import writes

GOOD = """
from ledger.door import governed, mechanical

@governed(permission="a.b", event="c.d", on=None)
def register(*, by, name):
    return Done(bare(name))

@mechanical("beats")
def beat(row):
    row.save()

def bare(name):
    seen = {}
    seen.update({"a": 1})
    row = Thing.objects.create(name=name)
    deeper(row)
    return row

def deeper(row):
    row.people.add(1)
    cursor.execute("SELECT 1")
    cursor.execute(LONG)

LONG = "SELECT 2"

class Model:
    people = models.ManyToManyField("x")
"""
BAD = {
    "a view that saves": ("a.views", "def page(request):\n    request.user.save()\n"),
    "a governed write in an API": ("a.api", "@governed()\ndef post(*, by):\n    row.delete()\n"),
    "a bare function that nobody calls": ("a.other", "def lonely():\n    Thing.objects.filter(x=1).update(x=2)\n"),
    "a view that calls a bare writer": ("a.views", "from a.services import bare\ndef page(request):\n    bare('x')\n"),
    "the same through the module": ("a.views", "from a import services\ndef page(request):\n    services.bare('x')\n"),
    "a command that hands a bare writer on": ("a.x", "from a.services import bare\ndef go():\n    on_commit(bare)\n"),
    "a write while importing": ("a.x", "Thing.objects.create(name='x')\n"),
    "a registered bare writer": ("a.x", "from a.services import bare\nHOOKS = [bare]\n"),
    "SQL": ("a.x", "def go():\n    cursor.execute('DELETE FROM a')\n"),
    "SQL put together": ("a.x", "def go(name):\n    cursor.execute(f'UPDATE {name} SET x = 1')\n"),
    "SQL with a name": ("a.x", "END = 'DELETE FROM a'\ndef go():\n    cursor.execute(END)\n"),
    "SQL from elsewhere": ("a.x", "def go():\n    cursor.execute(STATEMENT)\n"),
    "a many-to-many": ("a.x", "def go(row):\n    row.people.set([1])\n"),
    "a method": ("a.x", "class Rows:\n    def end(self):\n        self.delete()\ndef go():\n    Rows().end()\n"),
    "an async one": ("a.x", "async def go(row):\n    await row.asave()\n"),
    "DuckDB beside Django": (
        "a.x",
        "import duckdb, django.db\ndef go():\n    con.execute('INSERT INTO a VALUES (1)')\n",
    ),
    "a nested one": ("a.x", "def go():\n    def inner():\n        row.save()\n    return inner\n"),
}


def test_every_write_is_governed_or_mechanical():
    assert writes.violations(writes.sources()) == []


def test_what_the_rule_allows_is_let_through():
    assert writes.violations({"a.services": GOOD}) == []


@pytest.mark.parametrize("case", BAD)
def test_the_rule_can_be_broken(case):
    module, text = BAD[case]
    assert writes.violations({"a.services": GOOD, module: text}), case


def test_every_mark_in_the_code_is_known_at_run_time():
    """A decorator that the registry does not know would be another function of the same name."""
    functions, _ = writes.read(writes.sources())
    for module in writes.sources():
        if not module.startswith("portal.supervisor.__main__"):
            importlib.import_module(module)
    marked = {name for name, one in functions.items() if one.marked}
    assert marked == {name for name in ACTS | MECHANICAL if not name.startswith("tests.")}


def test_machinery_says_why():
    assert all(len(reason) > 10 for reason in MECHANICAL.values())
