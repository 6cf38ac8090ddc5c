"""Each invariant's line is where the list says, the document has the same table, and breaking it breaks its test."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.approvals.invariants import INVARIANTS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "approvals.md"


def test_fifteen_invariants_each_with_its_line_and_test():
    assert [each.number for each in INVARIANTS] == list(range(1, 16))
    for each in INVARIANTS:
        assert (ROOT / each.file).read_text().count(each.line) == 1, each
        path, _, name = each.test.partition("::")
        assert not name or f"def {name}(" in (ROOT / path).read_text(), each


def test_the_document_has_the_same_table():
    rows = re.findall(r"^\| (\d+) \| (.+) \| `(.+)` \| `(.+)` \|$", DOCUMENT.read_text(), re.MULTILINE)
    assert rows == [(str(each.number), each.says, each.file, each.test.removeprefix("tests/")) for each in INVARIANTS]


@pytest.mark.long
@pytest.mark.parametrize("broken", INVARIANTS, ids=lambda each: str(each.number))
def test_without_its_line_its_test_fails(broken, tmp_path):
    left_out = shutil.ignore_patterns(".git", ".venv", ".countersign", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, tmp_path / "tree", ignore=left_out)
    file = tmp_path / "tree" / broken.file
    file.write_text(file.read_text().replace(broken.line, broken.broken))
    (tmp_path / "tree" / ".venv").symlink_to(sys.prefix)
    # Nothing of this run's worker: the inner run has a database of its own.
    ours = ("PYTEST_", "CST_", "DJANGO_SETTINGS_MODULE", "DATABASE_URL", "ADMIN_", "MIGRATION_", "SEQUENCER_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "1", "-p", "no:randomly", broken.test]
    ran = subprocess.run(command, cwd=tmp_path / "tree", env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 1, f"{broken.says}\n{ran.stdout[-2000:]}"
    assert f"FAILED {broken.test}" in ran.stdout, ran.stdout[-2000:]
