"""Tree ensembles as ONNX writes them (ai.onnx.ml, TreeEnsembleRegressor and …Classifier), made into trees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairness.explanation.trees import Tree

Floats = NDArray[np.float64]
MOST_LEAVES = 300_000
TESTS: dict[str, Callable[[Any, Any], Any]] = {
    "BRANCH_LEQ": np.less_equal, "BRANCH_LT": np.less, "BRANCH_GTE": np.greater_equal, "BRANCH_GT": np.greater,
    "BRANCH_EQ": np.equal, "BRANCH_NEQ": np.not_equal,
}  # fmt: skip


@dataclass(frozen=True)
class Trees:
    """`shapes` are the trees; `weights[t]` (nodes, outputs) what their leaves add to each output on top of `base`.

    `values` (rows, columns) are what the trees see, and `owner` names the feature that each column comes from.
    """

    shapes: tuple[Tree, ...]
    weights: tuple[Floats, ...]
    base: Floats
    values: NDArray[Any]
    owner: NDArray[np.int64]

    def only(self, column: int) -> Trees:
        return replace(self, weights=tuple(w[:, [column]] for w in self.weights), base=self.base[[column]])

    def difference(self, column: int) -> Trees:
        """That column's output less the other's, of two."""
        pairs = tuple(w[:, [column]] - w[:, [1 - column]] for w in self.weights)
        return replace(self, weights=pairs, base=self.base[[column]] - self.base[[1 - column]])

    def trees(self) -> list[Tree]:
        """The trees of the one output."""
        return [replace(tree, value=w[:, 0]) for tree, w in zip(self.shapes, self.weights, strict=True)]


def regressor(given: Mapping[str, Any], values: NDArray[Any], owner: NDArray[np.int64]) -> Trees | None:
    if given.get("post_transform", "NONE") != "NONE" or given.get("aggregate_function", "SUM") not in (
        "SUM",
        "AVERAGE",
    ):
        return None
    outputs = int(given.get("n_targets", 1))
    made = _trees(given, "target", outputs, values, owner)
    if made is not None and given.get("aggregate_function") == "AVERAGE":
        made = replace(made, weights=tuple(w / len(made.shapes) for w in made.weights))
    return made


def classifier(given: Mapping[str, Any], values: NDArray[Any], owner: NDArray[np.int64]) -> Trees | None:
    """One output a class."""
    labels = given.get("classlabels_int64s", given.get("classlabels_strings", ()))
    used = np.unique(given.get("class_ids", np.zeros(0)))
    if len(used) == 1 and len(labels) == 2:
        single = {**given, "class_ids": np.zeros(len(given["class_ids"]), dtype=np.int64)}
        made = _trees(single, "class", 1, values, owner)
        if made is not None:
            # Without a transform the runtime answers 1 - s for the first class and s for the second.
            rest = 1.0 if given.get("post_transform", "NONE") == "NONE" else 0.0
            pairs = tuple(np.hstack([-w, w]) for w in made.weights)
            made = replace(made, weights=pairs, base=np.array([rest - made.base[0], made.base[0]]))
        return made
    return _trees(given, "class", len(labels), values, owner)


def _trees(
    given: Mapping[str, Any], kind: str, outputs: int, values: NDArray[Any], owner: NDArray[np.int64]
) -> Trees | None:
    """None for what is no forest of sound trees of a size that can be worked through."""
    modes, ids = list(given["nodes_modes"]), np.asarray(given["nodes_treeids"])
    if modes.count("LEAF") > MOST_LEAVES or set(modes) - {"LEAF", *TESTS}:
        return None
    base = np.zeros(outputs)
    stated = np.asarray(given.get("base_values", ()), dtype=np.float64)
    if len(stated) in (1, outputs):
        base += stated
    shapes, weights = [], []
    numbers = np.asarray(given["nodes_nodeids"])
    leaf_tree, leaf_node = np.asarray(given[f"{kind}_treeids"]), np.asarray(given[f"{kind}_nodeids"])
    leaf_output, leaf_weight = np.asarray(given[f"{kind}_ids"]), np.asarray(given[f"{kind}_weights"], dtype=np.float64)
    names = np.array(modes)
    for tree in np.unique(ids):
        at = np.flatnonzero(ids == tree)
        place = {int(number): i for i, number in enumerate(numbers[at])}
        leaf = names[at] == "LEAF"
        yes, no = (_next(np.asarray(given[f"nodes_{way}nodeids"])[at], leaf, place) for way in ("true", "false"))
        # Each node but the root has one parent that stands before it: so there are no circles.
        children = np.concatenate([yes[~leaf], no[~leaf]])
        parents = np.concatenate([np.flatnonzero(~leaf)] * 2)
        if len(np.unique(children)) != len(at) - 1 or (children <= parents).any() or len(children) != len(at) - 1:
            return None
        column = np.where(leaf, 0, np.asarray(given["nodes_featureids"])[at]).astype(np.int64)
        if (column >= values.shape[1]).any() or (column < 0).any():
            return None
        weight = np.zeros((len(at), outputs))
        mine = leaf_tree == tree
        for node, output, amount in zip(leaf_node[mine], leaf_output[mine], leaf_weight[mine], strict=True):
            if not 0 <= output < outputs or int(node) not in place:
                return None
            weight[place[int(node)], int(output)] += amount
        passes = _tests(names[at], column, np.asarray(given["nodes_values"])[at])
        shapes.append(Tree(column, passes, yes, no, weight[:, 0]))
        weights.append(weight)
    return Trees(tuple(shapes), tuple(weights), base, values, owner)


def _next(numbers: NDArray[Any], leaf: NDArray[np.bool_], place: Mapping[int, int]) -> NDArray[np.int64]:
    """Places of the nodes that come next: -1 after a leaf, -2 where there is no such node."""
    found = [-1 if end else place.get(int(number), -2) for number, end in zip(numbers, leaf, strict=True)]
    return np.array(found, dtype=np.int64)


def _tests(
    modes: NDArray[Any], column: NDArray[np.int64], threshold: NDArray[Any]
) -> Callable[[NDArray[Any]], NDArray[np.bool_]]:
    def passes(rows: NDArray[Any]) -> NDArray[np.bool_]:
        found = np.zeros((len(rows), len(column)), dtype=bool)
        for mode in sorted(set(modes) - {"LEAF"}):
            at = modes == mode
            found[:, at] = TESTS[mode](rows[:, column[at]], threshold[at])
        return found

    return passes
