"""docs/gateway.md lists the gateway's refusals, all of them and no others."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (\d{3}) \| `([a-z_]+)` \| \S", re.MULTILINE)
STATUS = {"wrong": "422", "unavailable": "503", "unusable": "503"}
# The code of a file that is gone comes from the store, and is handed on.
FROM_THE_STORE = {("503", "artifact_missing")}


def refusals():
    """(status, code) of each `Refused(…)`, `wrong(…)`, `unavailable(…)` and `unusable(…)` with the code in its text."""
    for path in (ROOT / "inference" / "gateway").glob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            given = [one.value for one in call.args if isinstance(one, ast.Constant)]
            if name == "Refused" and len(given) >= 2:
                yield str(given[0]), given[1]
            elif name in STATUS:
                codes = [one for one in given if isinstance(one, str) and re.fullmatch(r"[a-z]+(_[a-z]+)*", one)]
                yield from ((STATUS[name], code) for code in codes if code not in ("inputs", "outputs", "id", "params"))


def test_the_table_has_every_refusal_and_no_other():
    listed = ROW.findall((ROOT / "docs" / "gateway.md").read_text(encoding="utf-8"))
    assert len(listed) == len(set(listed)) > 30
    assert set(listed) == set(refusals()) | FROM_THE_STORE


def batch_codes():
    """The first text of each `Refusal(…)`, `BatchProblem(…)` and `Fault(…)` of batches."""
    for path in (ROOT / "inference" / "batch").glob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") in ("Refusal", "BatchProblem", "Fault"):
                yield from (one.value for one in call.args[:1] if isinstance(one, ast.Constant))


def test_the_table_of_batches_has_every_code():
    text = (ROOT / "docs" / "gateway.md").read_text(encoding="utf-8").partition("\n## Batches")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    listed = {code for row in rows for code in re.findall(r"`([a-z_0-9]+)`", row)}
    found = set(batch_codes())
    assert len(found) > 15
    assert found - {"unknown_dataset", "unknown_upload"} <= listed
