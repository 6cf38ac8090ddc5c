"""Permissions, roles, events and the documents about them say the same as the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from accounts.catalogue import EVERYBODY, PERMISSIONS, ROLES
from accounts.models import Role
from ledger.actors import ANONYMOUS
from ledger.door import ACTS
from portal import glossary
from portal.celery import app
from scripts.docs import PAGES, load, written
from tests.house import writes
from tests.house.routes import routes

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r"^(accounts|audits|jobs|registry|fairness|approvals|inference|notifications)\.[a-z]+(_[a-z]+)+$")


def strings(text: str) -> set[str]:
    return {
        node.value
        for node in writes.nodes(writes.parsed(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def named_in_code() -> dict[str, str]:
    """Whatever the code names in the form of a permission, with a module that does; tasks of Celery look alike."""
    app.loader.import_default_modules()
    return {
        text: module
        for module, source in writes.sources().items()
        if module != "accounts.catalogue"
        for text in strings(source)
        if NAME.match(text) and text not in app.tasks
    }


def test_every_permission_that_the_code_names_exists():
    unknown = {text: module for text, module in named_in_code().items() if text not in PERMISSIONS}
    assert unknown == {}


def test_every_permission_is_asked_for_somewhere():
    load()
    asked = set(named_in_code()) | {act.permission for act in ACTS.values()}
    asked |= {needed for route in routes() for needed in getattr(route.view, "permissions", {}).values() if needed}
    templates = " ".join(path.read_text(encoding="utf-8") for path in (ROOT / "templates").rglob("*.html"))
    assert {one for one in PERMISSIONS if one not in asked and one not in templates} == set()


def test_every_act_asks_for_a_permission_of_the_catalogue():
    load()
    assert {act.permission for act in ACTS.values() if not act.service.startswith("tests.")} <= set(PERMISSIONS)


def test_every_permission_can_be_had():
    granted = {one for _, given in ROLES.values() for one in given} | set(EVERYBODY)
    # The portal's own.
    granted |= {"fairness.publish_report", "ledger.report_clock", "audits.carry_out_erasure", "registry.delete_data"}
    granted |= {"inference.delete_predictions", "inference.report_loss"}
    assert {one for one in PERMISSIONS if one not in granted and not ANONYMOUS.has_perm(one)} == set()
    assert {one for one in granted if one not in PERMISSIONS} == set()


def test_events_are_objects_in_the_past_tense():
    load()
    shape = re.compile(r"^[a-z]+(_[a-z]+)*\.[a-z_]*(ed|made|set|bound|sent|begun|lost|drawn|carried_out|rolled_back)$")
    assert [
        act.event for act in ACTS.values() if not shape.match(act.event) and not act.service.startswith("tests.")
    ] == []


def test_an_auditor_writes_nothing_but_exports_and_an_administrator_approves_nothing():
    load()
    writing = {act.permission for act in ACTS.values()}
    assert set(ROLES["auditor"][1]) & writing <= {
        "audits.export_log", "approvals.export_pack", "registry.download_artifact"
    }  # fmt: skip
    assert not {one for one in ROLES["platform_administrator"][1] if one.startswith(("approvals.", "registry."))}
    assert not {
        one for one in ROLES["service_account"][1] if one in ("approvals.sign_decision", "approvals.reauthenticate")
    }


@pytest.mark.django_db
def test_roles_in_the_database_are_those_of_the_catalogue():
    stored = {role.slug: (role.name, set(role.permissions)) for role in Role.objects.all()}
    assert stored == {slug: (name, set(given)) for slug, (name, given) in ROLES.items()}


@pytest.mark.parametrize("name", PAGES)
def test_tables_of_the_documents_are_those_of_the_code(name):
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert "<!-- table: " in text
    assert written(text) == text, "run: .venv/bin/python -m scripts.docs"


def test_the_glossary_defines_each_term_once_in_order():
    headings = re.findall(r"^### (.+)$", (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == sorted(set(headings), key=str.lower)
    assert set(glossary.terms()) == {heading.lower() for heading in headings}
    assert all(len(meaning) > 20 for meaning in glossary.terms().values())


def test_tests_that_the_security_review_names_are_there():
    text = (ROOT / "docs" / "security.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    there = {file: (ROOT / file).read_text() for file, _ in named}
    assert [f"{file}::{test}" for file, test in named if test and f"def {test}(" not in there[file]] == []
    assert len(named) > 40
    items = re.findall(r"^### (API\d+) ", text, re.MULTILINE)
    assert items == [f"API{number}" for number in range(1, 11)]
    for part in text.split("### API")[1:]:
        assert "`tests/" in part, part[:40]


def test_links_between_documents_lead_somewhere():
    broken = []
    for page in (ROOT / "docs").rglob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert broken == []


def test_the_program_in_the_documents_checks_an_export(tmp_path, db, cast, settings):
    """The reader's program is run as it is printed, on a good export and on an altered one."""
    import subprocess
    import sys

    from audits.exports.copying import snapshot
    from audits.exports.lines import lines
    from audits.exports.rows import entries, head_of

    page = (ROOT / "docs" / "audit-log.md").read_text(encoding="utf-8")
    program = (
        re.search(r"^    import hashlib, json.*?(?=^\S)", page, re.MULTILINE | re.DOTALL)[0]
        .replace("\n    ", "\n")
        .lstrip()
    )
    (tmp_path / "check.py").write_text(program, encoding="utf-8")
    with snapshot() as cursor:
        good = b"".join(lines(entries(cursor, head_of(cursor, settings.LOG_ORIGIN), None)))
    reason = b'"reason","the cast"'
    for export, status in [
        (good, 0),
        (good.replace(reason, b'"reason","the past"', 1), 1),
        (good.replace(b"console", b"consola", 1), 1),
    ]:
        done = subprocess.run([sys.executable, tmp_path / "check.py"], input=export, capture_output=True, check=False)
        assert done.returncode == status, done.stderr
