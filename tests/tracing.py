"""Branch coverage by SlipCover, whose probes take themselves out once they have seen their line.

`./test` loads this as a plug-in (`-p tests.tracing`), so before anything is imported that it should see. Each of
pytest's workers leaves what it saw in the folder `COVERAGE_ROOT`; `scripts/coverage_gate` puts it together. Only the
pure rules are watched, unless `COVER_ALL` is set: watching everything makes all tests a quarter slower.
"""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
import slipcover

ROOT = Path(__file__).resolve().parents[1]
TOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
OPTIONS: dict[str, list[str]] = TOOLS["slipcover"]
ALL = bool(os.environ.get("COVER_ALL"))
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")  # the process that only hands out the tests sees none of the code


def pure_rules() -> list[str]:
    """The files that the import contract "Pure rules know no framework" names."""
    contracts = TOOLS["importlinter"]["contracts"]
    (names,) = (contract["source_modules"] for contract in contracts if contract["name"].startswith("Pure rules"))
    found: set[str] = set()
    for name in names:
        path = ROOT.joinpath(*name.split("."))
        files = path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")]
        found |= {str(file.relative_to(ROOT)) for file in files}
    return sorted(found)


def tracer(source: list[str] | None) -> Any:
    """With `source`, a tracer that also counts the files that nothing has imported."""
    return slipcover.Slipcover(
        branch=True, immediate=True, source=source, omit=OPTIONS["omit"], exclude_also=OPTIONS["exclude-also"]
    )


if WORKER:
    TRACER = tracer(None)
    WATCHED = OPTIONS["source"] if ALL else [str(ROOT / file) for file in pure_rules()]
    FILES = slipcover.FileMatcher(sources=WATCHED, omit=OPTIONS["omit"], default_dir=ROOT)
    slipcover.ImportManager(TRACER, FILES).__enter__()


def pytest_sessionfinish(session: pytest.Session) -> None:
    if WORKER:
        Path(os.environ["COVERAGE_ROOT"], f"{WORKER}.json").write_text(json.dumps(TRACER.get_coverage()))
