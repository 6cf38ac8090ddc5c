"""Interaction values of trees: the index by its definition over all coalitions, and what a report makes of them."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairness import explaining
from fairness.explain import explain_report
from fairness.explanation import drawing, pairs
from fairness.explanation.interactions import Forest, along_paths, with_background
from fairness.explanation.trees import Tree, interventional
from fairness.papers.explanation import together
from fairness.roles import Roles
from tests.fairness.files import csv, xor_bytes


def grown(rng: np.random.Generator, width: int, depth: int) -> Tree:
    """A tree with a test of a random column at each node, until a branch ends by chance or at `depth`."""
    column: list[int] = []
    yes: list[int] = []
    no: list[int] = []
    least: list[float] = []
    value: list[float] = []

    def grow(level: int) -> int:
        node = len(column)
        column.append(int(rng.integers(width)))
        least.append(float(rng.normal() / 2))
        value.append(float(rng.normal()))
        yes.append(-1)
        no.append(-1)
        if level < depth and (level == 0 or rng.random() < 0.8):
            yes[node] = grow(level + 1)
            no[node] = grow(level + 1)
        return node

    grow(0)
    return made(column, least, yes, no, value)


def made(column: Any, least: Any, yes: Any, no: Any, value: Any) -> Tree:
    at, bounds = np.array(column), np.array(least)
    return Tree(at, lambda rows: rows[:, at] <= bounds, np.array(yes), np.array(no), np.array(value))


def chain(width: int, depth: int) -> Tree:
    """One test after another, each of the next column: where it fails a leaf ends the way."""
    nodes = range(depth)
    yes = [node + 1 for node in nodes] + [-1] * (depth + 1)
    no = [depth + 1 + node for node in nodes] + [-1] * (depth + 1)
    columns = [node % width for node in nodes] + [0] * (depth + 1)
    value = [0.0] * depth + [1.0] + [0.1 * (node + 1) for node in nodes]
    return made(columns, [0.4] * len(columns), yes, no, value)


def by_definition(value: Callable[[tuple[int, ...]], float], width: int) -> Any:
    """Half of each pair's Shapley interaction index, over all coalitions of the others; 0 on the diagonal."""
    index = np.zeros((width, width))
    for i, j in itertools.combinations(range(width), 2):
        others = [k for k in range(width) if k not in (i, j)]
        for size in range(width - 1):
            weight = math.factorial(size) * math.factorial(width - size - 2) / math.factorial(width - 1)
            for s in itertools.combinations(others, size):
                gain = value((*s, i, j)) - value((*s, i)) - value((*s, j)) + value(s)
                index[i, j] += weight * gain / 2
        index[j, i] = index[i, j]
    return index


def leaf_of(tree: Tree, rows: Any) -> Any:
    found = np.zeros(len(rows))
    for at, passes in enumerate(tree.passes(rows)):
        node = 0
        while tree.yes[node] >= 0:
            node = tree.yes[node] if passes[node] else tree.no[node]
        found[at] = tree.value[node]
    return found


def mean_of(tree: Tree, row: Any, background: Any) -> Callable[[tuple[int, ...]], float]:
    def value(present: tuple[int, ...]) -> float:
        mixed = background.copy()
        mixed[:, list(present)] = row[list(present)]
        return float(leaf_of(tree, mixed).mean())

    return value


def along(tree: Tree, row: Any, seen: Any) -> Callable[[tuple[int, ...]], float]:
    """Both branches of an absent feature's test, by the shares of the rows that come by; half each for none."""
    passes, here = tree.passes(seen), tree.passes(row[None])[0]

    def value(present: tuple[int, ...], node: int = 0, rows: Any = None) -> float:
        rows = np.arange(len(seen)) if rows is None else rows
        if tree.yes[node] < 0:
            return float(tree.value[node])
        yes, no = rows[passes[rows, node]], rows[~passes[rows, node]]
        if tree.column[node] in present:
            at, those = (tree.yes[node], yes) if here[node] else (tree.no[node], no)
            return value(present, at, those)
        share = len(yes) / len(rows) if len(rows) else 0.5
        return share * value(present, tree.yes[node], yes) + (1 - share) * value(present, tree.no[node], no)

    return value


def off(matrix: Any) -> Any:
    return matrix * (1 - np.eye(len(matrix)))


@given(st.integers(0, 2**32 - 1), st.integers(2, 5), st.integers(1, 4))
@settings(max_examples=10)
def test_the_index_is_that_of_its_definition(seed: int, width: int, depth: int) -> None:
    rng = np.random.default_rng(seed)
    trees = [grown(rng, width, depth) for _ in range(2)]
    rows, background, owner = rng.normal(size=(2, width)), rng.normal(size=(6, width)), np.arange(width)
    joint, paths = (act(trees, owner, rows, background, width) for act in (with_background, along_paths))
    values, _, _ = interventional(trees, owner, rows, background, width)
    assert np.abs(joint.sum(axis=2) - values).max() < 1e-12
    for n, row in enumerate(rows):
        for found, told in ((joint[n], mean_of), (paths[n], along)):
            expected = sum(by_definition(told(tree, row, background), width) for tree in trees)
            assert np.abs(off(found) - expected).max() < 1e-9
        every = sum(along(tree, row, background)(tuple(range(width))) for tree in trees)
        nobody = sum(along(tree, row, background)(()) for tree in trees)
        assert paths[n].sum() == pytest.approx(every - nobody, abs=1e-9)


def test_long_paths_are_worked_out_by_the_patterns_that_occur() -> None:
    """More features on a path than are tabled; of the deepest leaves many are reached by no mixture of two rows."""
    rng = np.random.default_rng(2)
    tree, owner = chain(8, 9), np.arange(8)
    rows, background = rng.random((3, 8)), rng.random((5, 8)) * 0.8
    seen: list[float] = []
    joint = with_background([tree], owner, rows, background, 8, seen.append)
    paths = along_paths([tree], owner, rows, background, 8, seen.append)
    assert seen == [1.0, 1.0]
    for n, row in enumerate(rows):
        assert np.abs(off(joint[n]) - by_definition(mean_of(tree, row, background), 8)).max() < 1e-12
        assert np.abs(off(paths[n]) - by_definition(along(tree, row, background), 8)).max() < 1e-9
    far = with_background([tree], owner, rows + 9, background + 9, 8)
    assert not far.any(), "nobody goes on past the first test, whose outcome is the same for all"


def forest_of(tree: Tree, rows: Any, background: Any) -> Forest:
    return Forest([tree], np.arange(rows.shape[1]), rows, background)


def summed(names: Sequence[str], tree: Tree, rows: Any, background: Any) -> dict[str, Any]:
    forest = forest_of(tree, rows, background)
    values, _, _ = interventional(forest.trees, forest.owner, rows, background, len(names))
    return pairs.found(names, forest, rows, values, 1e-9, 1, lambda share: None)


def test_pairs_are_the_strongest_and_say_where_they_raise_and_lower() -> None:
    """1 where just one of two features is high: by itself none does anything, together they do everything."""
    exclusive = made([0, 1, 0, 0, 1, 0, 0], [0.0] * 7, [1, 2, -1, -1, 5, -1, -1], [4, 3, -1, -1, 6, -1, -1],
                     [0, 0, 0.0, 1.0, 0, 1.0, 0.0])  # fmt: skip
    rows = np.array(list(itertools.product((-1.0, 1.0), repeat=3)) * 10)
    found = summed(["a", "b", "c"], exclusive, rows, rows)
    (pair,) = found["pairs"]
    assert (pair["first"], pair["second"], found["acting"], found["share"]) == ("a", "b", 1, 1.0)
    assert pair["strength"] == pair["along_paths"] == pair["low"] == pair["high"] == 0.5
    assert [corner["mean"] for corner in pair["corners"]] == [-0.5, 0.5, 0.5, -0.5]
    assert (found["rows"], found["of_rows"]) == (80, 80)
    assert found["residual"]["holds"]
    assert found["rank_agreement"] is None
    few = summed(["a", "b", "c"], exclusive, rows[:8], rows)
    assert [corner["rows"] for corner in few["pairs"][0]["corners"]] == [None] * 4
    stump = made([0, 0, 0], [0.0] * 3, [1, -1, -1], [2, -1, -1], [0, 0.0, 1.0])
    for names in (["a", "b", "c"], ["a"]):
        alone = summed(names, stump, rows[:, : len(names)], rows[:, : len(names)])
        assert (alone["why"], alone["pairs"]) == (pairs.ALONE, [])
    same = summed(["a"], made([0], [0.0], [-1], [-1], [2.0]), rows[:, :1], rows[:, :1])
    assert same["share"] is None


def test_halves_of_values_are_never_empty() -> None:
    assert pairs.upper(np.array([1.0, 2.0, 3.0, 4.0])).tolist() == [False, False, True, True]
    assert pairs.upper(np.array([0.0, 1.0, 1.0, 1.0])).tolist() == [False, True, True, True]


def test_cost_is_bounded_by_rows() -> None:
    assert pairs.most_rows(300, 14, 700) == 300
    assert pairs.most_rows(300, 200, 700) == 100
    assert pairs.most_rows(300, 14, 300_000) == 66
    assert pairs.most_rows(300, 14, 10**7) == pairs.FEWEST
    assert pairs.most_rows(20, 200, 10**7) == 20


def test_a_report_on_trees_says_which_features_act_together_and_shows_it(tmp_path: Any) -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(120, 2)).astype(np.float32)
    (tmp_path / "m.onnx").write_bytes(xor_bytes())
    path = csv(tmp_path, "y,g,a,b\n" + "".join(f"{i % 2},{i % 2},{a},{b}\n" for i, (a, b) in enumerate(x)))
    phases: list[str] = []
    # An explanation needs no outcome.
    report = explain_report(
        path, Roles("", ("g",), ("a", "b")), model=tmp_path / "m.onnx", decision={"kind": "threshold", "output": "y"},
        background=20, progress=lambda share, phase: phases.append(phase),
    )  # fmt: skip
    assert "Working out which features act together" in phases
    shown = explaining.interactions(report)
    assert shown is not None
    assert shown["plot"]["rows"][0]["name"] == "a × b"
    assert shown["residual"]["largest"] == "less than 0.000001"
    parts = {"report": report, **explaining.parts(report)}
    text = json.dumps(list(together(parts)), ensure_ascii=False)
    for words in ("a × b", "Both low", "100 of the 100 explained rows", "largest error of less than 0.000001."):
        assert words in text
    parts["interactions"]["holds"] = False
    assert "do not rely on them" in json.dumps(list(together(parts)))
    linear = pairs.none(pairs.LINEAR)
    assert [block["kind"] for block in together({"interactions": linear})] == ["heading", "words"]
    assert explaining.interactions({"interactions": linear}) == linear
    assert drawing.pair_name("a" * 20, "b") == "a" * 12 + "… × b"


def test_a_report_that_is_stopped_while_pairs_are_worked_out_ends() -> None:
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(20, 3))

    def stop(share: float) -> None:
        raise KeyError("stop")

    with pytest.raises(KeyError):
        pairs.found("abc", forest_of(grown(rng, 3, 3), rows, rows), rows, rows, 1e-9, 1, stop)
