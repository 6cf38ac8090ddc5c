"""Curves from fairlearn and scikit-learn. Only a worker's task calls this, and imports them with it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairness.tradeoff.curves import Bools, Floats, Ints, reweighing

TOLERANCES = (0.0, 0.02, 0.05, 0.1, 0.2)
STRENGTHS = (0.0, 0.5, 1.0)


def optimised(scores: Floats, label: Bools, group: Ints, constraint: str, tolerance: float | None) -> Any:
    """fairlearn's ThresholdOptimizer over scores that are there already.

    With a tolerance the constraint's rates may lie so far apart; equalised odds knows none.
    """
    from fairlearn.postprocessing import ThresholdOptimizer
    from sklearn.base import BaseEstimator

    class Given(BaseEstimator):  # type: ignore[misc]
        """Hands on the scores that it is given."""

        def fit(self, x: NDArray[Any], y: Any) -> Any:
            self.fitted_ = True
            return self

        def predict(self, x: NDArray[Any]) -> NDArray[Any]:
            return np.asarray(x)[:, 0]

    made = ThresholdOptimizer(
        estimator=Given().fit(scores[:, None], label), prefit=True, predict_method="predict", constraints=constraint,
        objective="accuracy_score", tol=tolerance,
    )  # fmt: skip
    return made.fit(scores[:, None], label.astype(np.int64), sensitive_features=group)


def probabilities(made: Any, scores: Floats, group: Ints) -> Floats:
    """How probable it is that the optimised thresholds say yes to each row."""
    out = np.zeros(len(scores))
    for key, rule in made.interpolated_thresholder_.interpolation_dict.items():
        here = group == key
        mixed = rule.p0 * np.asarray(rule.operation0(scores[here]), dtype=np.float64)
        mixed += rule.p1 * np.asarray(rule.operation1(scores[here]), dtype=np.float64)
        if "p_ignore" in rule:
            mixed = rule.p_ignore * rule.prediction_constant + (1 - rule.p_ignore) * mixed
        out[here] = mixed
    return out


def reweighed(features: Floats, label: Bools, group: Ints, groups: int, strength: float, judged: Floats) -> Floats:
    """What a plain logistic regression decides on the rows `judged`, trained with weights on the others: 0 or 1."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    made = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    weights = reweighing(label, group, groups, strength)
    made.fit(features, label, logisticregression__sample_weight=weights)
    return np.asarray(made.predict(judged), dtype=np.float64)
