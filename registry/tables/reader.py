"""The portal's side of the confined process that reads tables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from registry.tables.problems import TableProblem

ROOT = Path(__file__).resolve().parents[2]
START = "import sys; sys.path.append(sys.argv.pop(1)); from registry.tables.child import main; main()"
MEMORY_BYTES = 1 << 30
ADDRESS_BYTES = 4 << 30
SECONDS = 60


def profile(path: Path, groups: Sequence[str] = ()) -> dict[str, Any]:
    """Format, number of rows and columns of a table, confined.

    Each column has name, type, missing, about how many distinct values, for numbers lowest and highest, and sizes of
    its groups: of the columns named in `groups`, or where none is, of those with few values. Raises TableProblem.
    """
    return read(path, do="profile", groups=list(groups))


def first_rows(path: Path, limit: int) -> tuple[list[str], list[list[str | None]]]:
    """Names of the columns and the first rows as text, confined. Raises TableProblem."""
    found = read(path, do="rows", limit=limit)
    return found["columns"], found["rows"]


def read(path: Path, **asked: Any) -> dict[str, Any]:
    limits = {"memory_bytes": MEMORY_BYTES, "address_bytes": ADDRESS_BYTES, "cpu_seconds": SECONDS}
    given = {"path": str(path.resolve()), "parent": os.getpid(), **limits, **asked}
    try:
        # Nothing of the portal's environment, which holds secrets, goes with it.
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-I", "-c", START, str(ROOT), json.dumps(given)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            cwd="/",
            start_new_session=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TableProblem(
            "too_slow",
            f"The table could not be read within {SECONDS} s. Register a sample of it, or write it as Parquet.",
        ) from None
    try:
        said: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise TableProblem(
            "unreadable",
            f"The table could not be read ({last[:200]}). Write it as UTF-8 CSV or Parquet and upload it again.",
        ) from None
    if "problem" in said:
        raise TableProblem(said["problem"], said["sentence"])
    return said
