"""The portal's side of the confined process that reads tables."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.tables.problems import TableProblem

ROOT = Path(__file__).resolve().parents[2]
START = "import sys; sys.path.append(sys.argv.pop(1)); from registry.tables.child import main; main()"


@dataclass(frozen=True)
class Limits:
    """What reading a table may use: DuckDB's memory and the whole address space in bytes, and seconds."""

    memory_bytes: int = 1 << 30
    address_bytes: int = 4 << 30
    seconds: float = 60


USUAL = Limits()


def profile(path: Path, groups: Sequence[str] = (), limits: Limits = USUAL) -> dict[str, Any]:
    """Format, number of rows and columns of a table, confined.

    Each column has name, type, missing, about how many distinct values, for numbers lowest and highest, and sizes of
    its groups: of the columns named in `groups`, or where none is, of those with few values. Raises TableProblem.
    """
    return read(path, limits, do="profile", groups=list(groups))


def first_rows(path: Path, limit: int) -> tuple[list[str], list[list[str | None]]]:
    """Names of the columns and the first rows as text, confined. Raises TableProblem."""
    found = read(path, USUAL, do="rows", limit=limit)
    return found["columns"], found["rows"]


def values(path: Path, column: str, limit: int) -> list[Any]:
    """The first values of a column (of the only one with ""), confined; None where one is missing.

    Numbers where all values are numbers, else text. Raises TableProblem, `column_missing` and `column_unclear` among
    them.
    """
    found: list[Any] = read(path, USUAL, do="values", column=column, limit=limit)["values"]
    return found


def read(path: Path, limits: Limits, **asked: Any) -> dict[str, Any]:
    given = {"path": str(path.resolve()), "parent": os.getpid(), **asked}
    given |= {"cpu_seconds": 2 * math.ceil(limits.seconds)}
    given |= {"memory_bytes": limits.memory_bytes, "address_bytes": limits.address_bytes}
    try:
        # Nothing of the portal's environment, which holds secrets, goes with it.
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-I", "-c", START, str(ROOT), json.dumps(given)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            cwd="/",
            start_new_session=True,
            timeout=limits.seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TableProblem(
            "too_slow",
            f"The table could not be read within {limits.seconds:g} s. Register a sample, or write it as Parquet.",
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
