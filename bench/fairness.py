"""How much faster cells are than rows, and how long a report takes. `python -m bench.fairness [--quick]`.

With `--coverage` instead: how often the intervals that decide a rule hold the truth (see `bench.coverage`).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench import coverage, emit
from fairness import bootstrap, metrics
from fairness.bias import bias_report, canonical_bytes
from fairness.cells import column_cells
from fairness.dataset import opened
from fairness.metrics import Cells
from fairness.roles import Roles

BENCH = "fairness"
GROUPS = 30
REPLICATES = 1000
METRICS = (
    "selection_rate", "accuracy", "true_positive_rate", "false_positive_rate", "positive_predictive_value", "base_rate",
)  # fmt: skip
ROLES = Roles("y", ("g",), prediction="p")


def made(rows: int) -> dict[str, Any]:
    """Labels, decisions and 30 groups; fixed seed."""
    rng = np.random.default_rng(1)
    g = rng.integers(0, GROUPS, rows)
    y = rng.random(rows) < 0.3 + g / 100
    p = np.where(rng.random(rows) < 0.8, y, rng.random(rows) < 0.4)
    return {"y": y.astype(np.int8), "p": p.astype(np.int8), "g": g.astype(np.int16)}


def stored(folder: Path, rows: int) -> Path:
    """Parquet with one row group a million rows, written piecewise so that making it needs little memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / f"{rows}.parquet"
    table = pa.table(made(min(rows, 1_000_000)))
    with pq.ParquetWriter(path, table.schema) as writer:
        for _ in range(max(1, rows // 1_000_000)):
            writer.write_table(table)
    return path


def timed(act: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    found = act()
    return time.perf_counter() - start, found


def frame(data: dict[str, Any], replicates: int | None) -> Any:
    """The same question asked of fairlearn."""
    import fairlearn.metrics as fl
    import sklearn.metrics as sk

    functions = {
        "selection_rate": fl.selection_rate,
        "accuracy": sk.accuracy_score,
        "true_positive_rate": fl.true_positive_rate,
        "false_positive_rate": fl.false_positive_rate,
        "positive_predictive_value": sk.precision_score,
        "base_rate": lambda t, p: fl.selection_rate(t, t),
    }
    more = {"n_boot": replicates, "ci_quantiles": [0.025, 0.975], "random_state": 1} if replicates else {}
    return fl.MetricFrame(metrics=functions, y_true=data["y"], y_pred=data["p"], sensitive_features=data["g"], **more)


def from_rows(data: dict[str, Any]) -> Cells:
    """Cells of arrays in memory: one pass."""
    index = (data["g"].astype(np.int64) * 4) + data["y"] * 2 + data["p"]
    n = np.bincount(index, minlength=GROUPS * 4).reshape(GROUPS, 2, 2)
    w = n.astype(np.float64)
    return Cells(("g",), tuple((str(i),) for i in range(GROUPS)), n, w, w)


def intervals(cells: Cells) -> dict[str, Any]:
    sample = bootstrap.replicates(cells, REPLICATES, seed=1)
    return {name: bootstrap.spread(name, sample, 0.95) for name in METRICS}


def against_metric_frame(rows: int, frame_replicates: int, turns: int) -> None:
    """Cells and 1000 replicates against MetricFrame with a few, extrapolated; A B A B."""
    data = made(rows)
    cells = from_rows(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Imports are not what is compared.
        frame(made(500), 1)
        first, plain = timed(lambda: frame(data, None))
        for name in METRICS:
            difference = np.abs(metrics.values(name, cells.w) - plain.by_group[name].to_numpy()).max()
            if difference > 1e-12:
                raise SystemExit(f"{name} differs from MetricFrame by {difference}")
        ours, theirs, points = [], [], [first]
        for turn in range(turns):
            ours.append(timed(lambda: intervals(from_rows(data)))[0])
            if turn:
                points.append(timed(lambda: frame(data, None))[0])
            theirs.append(timed(lambda: frame(data, frame_replicates))[0])
    each = (median(theirs) - median(points)) / frame_replicates
    extrapolated = median(points) + each * REPLICATES
    emit(
        BENCH,
        f"{rows:,} rows × {GROUPS} groups × {REPLICATES} replicates × {len(METRICS)} metrics",
        ratio=extrapolated / median(ours),
        goal=1000,
        baseline=f"fairlearn MetricFrame, n_boot={frame_replicates}, extrapolated to {REPLICATES}",
        detail={
            "seconds": round(median(ours), 4),
            "baseline_seconds_measured": round(median(theirs), 2),
            "baseline_seconds_extrapolated": round(extrapolated, 1),
            "points_differ_at_most": 1e-12,
        },
    )


def to_cells(path: Path, rows: int, turns: int) -> None:
    """Parquet to cells against reading the same columns with pyarrow and counting with numpy."""
    import pyarrow.parquet as pq

    def whole() -> Cells:
        table = pq.read_table(path, columns=["y", "p", "g"])
        return from_rows({name: table.column(name).to_numpy() for name in ("y", "p", "g")})

    def ours() -> Cells:
        with opened(path) as source:
            return column_cells(source, ROLES, 1)

    seconds, others = [], []
    for _ in range(turns):
        taken, found = timed(ours)
        seconds.append(taken)
        taken, expected = timed(whole)
        others.append(taken)
        order = [expected.groups.index(group) for group in found.groups]
        if not np.array_equal(found.n, expected.n[order]):
            raise SystemExit("cells differ from a count with numpy")
    emit(
        BENCH,
        f"{rows:,} Parquet rows to cells",
        ratio=median(others) / median(seconds),
        goal=None,
        baseline="pyarrow read_table and numpy bincount, all rows in memory",
        detail={"seconds": round(median(seconds), 3), "baseline_seconds": round(median(others), 3)},
    )


def whole_report(path: Path, rows: int) -> None:
    """A bias report from Parquet to canonical bytes in a fresh process: seconds of processor time and peak memory."""
    ran = subprocess.run(
        [sys.executable, "-m", "bench.fairness", "--report", str(path)], capture_output=True, text=True, check=True
    )
    emit(BENCH, f"report on {rows:,} rows, Parquet to stored bytes", detail=json.loads(ran.stdout))


def report_here(path: Path) -> None:
    start = time.perf_counter()
    report = canonical_bytes(bias_report(path, ROLES, positive=1, source="submitted"))
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "wall_seconds": round(time.perf_counter() - start, 2),
                "cpu_seconds": round(used.ru_utime + used.ru_stime, 2),
                "peak_mib": used.ru_maxrss // 1024,
                "report_bytes": len(report),
                "goal": "under 10 s of processor time and under 1024 MiB at 1 M rows",
            }
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller sizes, under 50 s on two cores")
    parser.add_argument("--coverage", action="store_true", help="how often intervals hold the truth")
    parser.add_argument("--report", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.report:
        report_here(given.report)
        return
    if given.coverage:
        coverage.main(given.quick)
        return
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
        if given.quick:
            against_metric_frame(50_000, frame_replicates=3, turns=1)
            sizes = [1_000_000]
        else:
            against_metric_frame(100_000, frame_replicates=3, turns=3)
            against_metric_frame(1_000_000, frame_replicates=1, turns=2)
            sizes = [1_000_000, 3_000_000, 10_000_000, 30_000_000]
        for rows in sizes:
            path = stored(Path(folder), rows)
            to_cells(path, rows, turns=3)
            whole_report(path, rows)


if __name__ == "__main__":
    main()
