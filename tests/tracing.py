"""Branch coverage by SlipCover, whose probes take themselves out once they have seen their line.

`./test` loads this as a plug-in (`-p tests.tracing`), so before anything is imported that it should see. Each of
pytest's workers leaves what it saw in the folder `COVERAGE_ROOT`; `scripts/coverage_gate` puts it together.
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
OPTIONS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["slipcover"]
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")  # the process that only hands out the tests sees none of the code


def tracer(source: list[str] | None) -> Any:
    """With `source`, a tracer that also counts the files that nothing has imported."""
    return slipcover.Slipcover(
        branch=True, immediate=True, source=source, omit=OPTIONS["omit"], exclude_also=OPTIONS["exclude-also"]
    )


if WORKER:
    TRACER = tracer(None)
    FILES = slipcover.FileMatcher(sources=OPTIONS["source"], omit=OPTIONS["omit"], default_dir=ROOT)
    slipcover.ImportManager(TRACER, FILES).__enter__()


def pytest_sessionfinish(session: pytest.Session) -> None:
    if WORKER:
        Path(os.environ["COVERAGE_ROOT"], f"{WORKER}.json").write_text(json.dumps(TRACER.get_coverage()))
