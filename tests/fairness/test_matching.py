"""The same report on two machines: what may differ, what may not, and that a difference is found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairness import matching
from fairness.bias import bias_report, canonical_bytes
from fairness.explain import explain_report
from fairness.matching import compare, digest, main, outline
from fairness.roles import Roles
from tests import worlds
from tests.fairness.files import uncounted, xor_bytes

ROOT = Path(__file__).resolve().parents[2]
ROLES = Roles("approved", ("group",), worlds.FEATURES)
# What numpy, its linear algebra and the C library take for a processor without AVX2 and FMA. Others pass over it.
OTHER = {
    "NPY_DISABLE_CPU_FEATURES": "X86_V3", "OPENBLAS_CORETYPE": "Prescott",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX,-FMA4", "PYTHONHASHSEED": "7", "OPENBLAS_NUM_THREADS": "1",
}  # fmt: skip
CHILD = (
    "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
    "from tests.fairness.test_matching import computed; computed(Path(sys.argv[1]), 'there')"
)


def computed(folder: Path, where: str) -> None:
    """Reports of the kinds that rest on floating point most, as files in a folder with data and models."""
    data, tiny, trees = folder / "loans.csv", folder / "tiny.onnx", folder / "trees.onnx"
    rule = {"kind": "threshold", "output": "y", "class": 0, "at_least": 0.5}
    made = {
        "bias": bias_report(data, ROLES, positive=1, source="model", model=tiny, decision=worlds.RULE),
        "errors": bias_report(
            data, Roles("income", ("group",), prediction="debt"), positive="at least 0.5", source="submitted",
            task="regression", at_least=0.5,
        ),
        "explanation": explain_report(data, ROLES, model=trees, decision=rule, rows=60, background=30),
    }  # fmt: skip
    for name, report in made.items():
        (folder / f"{name}-{where}.json").write_bytes(canonical_bytes(report))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Path:
    made: Path = tmp_path_factory.mktemp("machines")
    (made / "loans.csv").write_bytes(worlds.csv_bytes(400))
    (made / "tiny.onnx").write_bytes(worlds.onnx_bytes())
    (made / "trees.onnx").write_bytes(xor_bytes((0.5, -0.2)))
    computed(made, "here")
    return made


@pytest.fixture(scope="module")
def report(folder: Path) -> dict[str, Any]:
    """A bias report on a model, as it is read from its bytes."""
    found: dict[str, Any] = json.loads((folder / "bias-here.json").read_bytes())
    return found


def changed(report: dict[str, Any], change: Callable[[dict[str, Any]], Any]) -> tuple[bytes, bytes]:
    """The bytes of a report, and those of one in which something else was found."""
    copy = json.loads(json.dumps(report))
    change(copy)
    return canonical_bytes(report), canonical_bytes(copy)


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    *way, last = path.split(".")

    def change(at: Any) -> None:
        for step in way:
            at = at[int(step)] if isinstance(at, list) else at[step]
        at[last] = value(at[last]) if callable(value) else value

    return change


def test_another_processor_finds_the_same_but_for_last_digits(folder: Path) -> None:
    environment = {**os.environ, **OTHER}
    subprocess.run([sys.executable, "-W", "ignore", "-c", CHILD, folder, ROOT], check=True, cwd="/", env=environment)
    for name in ("bias", "errors", "explanation"):
        here, there = ((folder / f"{name}-{where}.json").read_bytes() for where in ("here", "there"))
        found = compare(here, there)
        assert found.holds, str(found)
        assert digest(here) == digest(there)


def test_every_number_with_a_fraction_is_a_figure_or_was_asked(folder: Path) -> None:
    """A figure that the list lacks would be held to be a count: its last digits would make reports different."""
    for each in folder.glob("*-here.json"):
        assert uncounted(json.loads(each.read_bytes())) == set()


RATE = "attributes.0.groups.0.metrics.selection_rate.value"
COUNT = "attributes.0.groups.0.count"
NUDGED: list[tuple[str, Any]] = [
    (RATE, lambda rate: rate + 5e-6),
    ("scores.lowest", lambda score: score * (1 - 1e-7)),
    ("attributes.0.groups.0.metrics.selection_rate.effective_size", lambda size: size + 1e-6),
    ("result.sentence", lambda text: text.replace("0.800", "0.801")),
]
FAR: list[tuple[str, Any]] = [
    (RATE, lambda rate: rate + 2e-5),
    ("scores.lowest", lambda score: score + 1e-4),
    ("result.sentence", lambda text: text.replace("0.800", "0.802")),
]
BROKEN: list[tuple[str, Any]] = [
    (COUNT, lambda count: count + 1),
    (RATE, None),
    (RATE, "0.5"),
    ("result.verdict", "outside" if "within" else ""),
    ("result.rule.bound", 0.8 + 1e-12),
    ("result.sentence", lambda text: text.replace("rate", "share")),
    ("result.sentence", 0.5),
    ("result.attributes", []),
    ("attributes.0.groups.0.name", "group = 0.5"),
    ("attributes.0.groups.0.unknown", 0),
    ("provenance.seed", "0" * 64),
    ("provenance.parameters.at_least", 0.5),
    ("provenance.parameters", lambda given: {**given, "depth": 3}),
    ("provenance.libraries", lambda given: {**given, "numpy": "1.0.0"}),
    ("warnings", lambda given: [*given, {"code": "odd", "sentence": "Odd."}]),
]


@pytest.mark.parametrize(("path", "value"), NUDGED)
def test_last_digits_may_differ_and_the_outline_does_not(report: dict[str, Any], path: str, value: Any) -> None:
    one, other = changed(report, put(path, value))
    found = compare(one, other)
    assert (found.holds, found.same_bytes, len(found.figures)) == (True, False, 1)
    assert "The same but for last digits of 1 figure" in str(found)
    assert outline(one) == outline(other)


@pytest.mark.parametrize(("path", "value"), FAR)
def test_figures_that_lie_farther_apart_are_different_whatever_the_outline(
    report: dict[str, Any], path: str, value: Any
) -> None:
    one, other = changed(report, put(path, value))
    (found,) = compare(one, other).different
    assert found.path.endswith(path.rpartition(".")[2])
    assert digest(one) == digest(other)
    assert compare(one, other, tolerance=0.01).holds is (path != "result.sentence")


@pytest.mark.parametrize(("path", "value"), BROKEN)
def test_whatever_else_differs_is_found_and_named_and_changes_the_outline(
    report: dict[str, Any], path: str, value: Any
) -> None:
    one, other = changed(report, put(path, value))
    found = compare(one, other, tolerance=1.0)
    assert path.split(".")[-1] in found.different[0].path.replace("[", ".")
    assert digest(one) != digest(other)


def test_without_scores_of_a_model_figures_are_held_closer(folder: Path) -> None:
    report = json.loads((folder / "errors-here.json").read_bytes())
    for step, holds in ((1e-10, True), (1e-7, False)):
        one, other = changed(report, put(RATE, lambda rate, step=step: rate + step))
        assert compare(one, other).holds is holds
    assert compare(one, other, tolerance=1e-6).holds
    one, other = (each.replace(b'"inputs":', b'"put_in":') for each in (one, other))
    assert compare(one, other).holds, "whether a model scored rows it does not say"


def test_a_report_in_another_spelling_is_the_same(report: dict[str, Any]) -> None:
    one = canonical_bytes(report)
    turned = json.dumps(dict(reversed(report.items())), indent=1).encode()
    found = compare(one, turned)
    assert (found.holds, found.same_bytes) == (True, False)
    assert str(found) == "The same, written in another way."
    assert str(compare(one, one)) == "The same in every byte."
    assert outline(one).decode().startswith('{"attributes":[{"attributes":["group"]')


def test_names_that_one_report_lacks_are_found_either_way(report: dict[str, Any]) -> None:
    one, other = changed(report, lambda copy: copy.pop("scores"))
    for pair in ((one, other), (other, one)):
        (found,) = compare(*pair).different
        assert (found.path, {found.one, found.other}) == ("scores", {"an object", '"nothing"'})


def test_the_command_says_what_differs(report: dict[str, Any], tmp_path: Path, capsys: Any) -> None:
    one, other = (tmp_path / name for name in ("one.json", "other.json"))
    for value, code, words in (
        (lambda rate: rate, 0, "The same in every byte."),
        (lambda rate: rate + 1e-8, 0, "The same but for last digits of 1 figure; the most: attributes[0].groups[0]."),
        (lambda rate: rate + 1e-3, 1, "Different: 1 value.\n  attributes[0].groups[0].metrics.selection_rate.value: "),
    ):
        first, second = changed(report, put(RATE, value))
        one.write_bytes(first)
        other.write_bytes(second)
        assert main([str(one), str(other)]) == code
        said = capsys.readouterr().out
        assert words in said
        assert said.count(f"outline {digest(first)}") == 2
    assert main([str(one)]) == 0
    other.write_bytes(one.read_bytes().replace(b'"size":', b'"sizes":'))
    assert main([str(one), str(other)]) == 1
    assert " more" in capsys.readouterr().out.splitlines()[-1]


UNREADABLE = [
    (b"", "it is no JSON"),
    (b"\xff", "it is no JSON"),
    (b"[" * 100_000, "it is no JSON"),
    (b'{"schema":"countersign.bias/1","a":NaN}', "it holds NaN"),
    (b'{"schema":"countersign.bias/1","a":1,"a":2}', "it holds a name twice"),
    (b"[1]", "no report"),
    (b'{"schema":"other/1"}', "no report"),
]


@pytest.mark.parametrize(("data", "words"), UNREADABLE)
def test_what_is_no_report_is_refused(data: bytes, words: str, report: dict[str, Any], tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_bytes(canonical_bytes(report))
    bad.write_bytes(data)
    for given in ((good, bad), (bad, good), (bad,)):
        assert main([str(path) for path in given]) == 2
    with pytest.raises(matching.Unreadable, match=words):
        compare(good.read_bytes(), data)
    assert main([str(good), str(tmp_path / "none.json")]) == 2


def test_one_file_is_all_it_takes(report: dict[str, Any], tmp_path: Path) -> None:
    copy, one = tmp_path / "matching.py", tmp_path / "one.json"
    copy.write_bytes((ROOT / "fairness" / "matching.py").read_bytes())
    one.write_bytes(canonical_bytes(report))
    ran = subprocess.run([sys.executable, "-I", "-S", copy, one, one], capture_output=True, text=True, cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines()[-1] == "The same in every byte."


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [("0.800", "0.801", True), ("0.800", "0.802", False), ("1,234.5", "1,234.6", True), ("1e-05", "2e-05", True),
     ("1e-05", "3e-05", False), ("33", "34", True), ("2.5e-07", "2.6e-07", True)],
)  # fmt: skip
def test_decimals_of_sentences_may_turn_by_one_in_their_last_digit(one: str, other: str, found: bool) -> None:
    assert matching.one_digit(one, other) is found
