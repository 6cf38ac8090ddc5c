"""Attributions of many rows summed up: how strong, how sure, which way, for whom. Plain values, ready for JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairness.metrics import Floats
from fairness.naming import UNKNOWN
from fairness.tables import number

REPLICATES = 1000
CONFIDENCE = 0.95
SMALL_GROUP = 10
SWARM_FEATURES, SWARM_BINS = 8, 40
DEPENDENCE_FEATURES, DEPENDENCE_BINS = 4, 8
SHUFFLES = 5
# Decimals of what should be nothing: below lies the rounding of sums, which is another on each kind of processor.
LEFTOVER = 12


def resampled(values: Floats, seed: int) -> Floats:
    """Mean absolute attributions (replicates, features) of rows drawn again and again."""
    size = np.abs(values)
    rng = np.random.default_rng(seed)
    return np.stack([size[rng.integers(0, len(size), len(size))].mean(axis=0) for _ in range(REPLICATES)])


def features(
    names: Sequence[str], values: Floats, matrix: Floats, text: Sequence[str], drawn: Floats
) -> list[dict[str, Any]]:
    size = np.abs(values)
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    best, worst = np.quantile(ranks(drawn), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0, method="nearest")
    found = [
        {
            "feature": name,
            "importance": number(float(size[:, i].mean())),
            "low": number(float(low[i])),
            "high": number(float(high[i])),
            "mean": number(float(values[:, i].mean())),
            "correlation": None if name in text else number(correlation(matrix[:, i], values[:, i])),
            "rank_best": round(float(best[i])),
            "rank_worst": round(float(worst[i])),
        }
        for i, name in enumerate(names)
    ]
    return sorted(found, key=lambda row: (-(row["importance"] or 0.0), row["feature"]))


def correlation(a: Floats, b: Floats) -> float:
    """Whether higher values raise (over 0) or lower the score; NaN where either does not vary."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / scale) if scale > 1e-12 else float("nan")


def leftover(residual: float) -> float | None:
    return number(round(residual, LEFTOVER))


def ranks(strength: Floats) -> Floats:
    """Rank of each feature, 1 for the strongest; ties in the features' order. Works on the last axis."""
    found: Floats = np.argsort(np.argsort(-strength, axis=-1, kind="stable"), axis=-1).astype(float) + 1
    return found


def stability(names: Sequence[str], values: Floats, drawn: Floats) -> dict[str, Any]:
    """Whether other rows would give the same order of features: rank correlation (Spearman) with that of all rows."""
    strength = np.abs(values).mean(axis=0)
    order, others = ranks(strength), ranks(drawn)
    agreement = np.array([correlation(order, row) for row in others])
    top = set(np.argsort(-strength, kind="stable")[:3].tolist())
    same = [set(np.argsort(-row, kind="stable")[:3].tolist()) == top for row in drawn]
    sound = bool(len(names) > 1 and strength.sum() > 0)
    return {
        "replicates": len(drawn),
        "rank_agreement": number(float(agreement.mean())) if sound else None,
        "rank_agreement_low": number(float(np.quantile(agreement, (1 - CONFIDENCE) / 2))) if sound else None,
        "same_top_three": number(sum(same) / len(same)) if sound else None,
    }


def shuffled(
    names: Sequence[str], score: Callable[[Floats], Floats], decide: Callable[[Floats], NDArray[np.bool_]],
    matrix: Floats, values: Floats, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Permutation importance as a check: how far the output moves when one feature's values are shuffled among rows.

    Needs no label: it measures what the model uses, as attributions do (Fisher, Rudin and Dominici, JMLR 20 (2019) 177,
    with the model's own output for the loss).
    """
    rng = np.random.default_rng(seed)
    before = score(matrix)
    said = decide(before)
    moved, turned = np.zeros(len(names)), np.zeros(len(names))
    for i in range(len(names)):
        table = np.tile(matrix, (SHUFFLES, 1))
        table[:, i] = np.concatenate([matrix[rng.permutation(len(matrix)), i] for _ in range(SHUFFLES)])
        after = score(table)
        moved[i] = np.abs(after - np.tile(before, SHUFFLES)).mean()
        turned[i] = (decide(after) != np.tile(said, SHUFFLES)).mean()
    agreement = correlation(ranks(np.abs(values).mean(axis=0)), ranks(moved)) if len(names) > 1 else float("nan")
    order = sorted(range(len(names)), key=lambda i: (-moved[i], names[i]))
    return {
        "shuffles": SHUFFLES,
        "rank_agreement": number(agreement),
        "features": [
            {"feature": names[i], "moved": number(float(moved[i])), "decisions_turned": number(float(turned[i]))}
            for i in order
        ],
    }


def swarm(names: Sequence[str], values: Floats, matrix: Floats) -> dict[str, Any]:
    """Where rows' attributions lie, for the strongest features: rows counted in bins, with how high their values are.

    `level` is the mean rank of the bin's values among all rows, from 0 (lowest) to 1; None for a constant.
    """
    order = np.argsort(-np.abs(values).mean(axis=0), kind="stable")[:SWARM_FEATURES]
    edge = float(np.abs(values[:, order]).max()) or 1.0
    found = []
    for i in order:
        bins = np.clip(((values[:, i] + edge) / (2 * edge) * SWARM_BINS).astype(int), 0, SWARM_BINS - 1)
        _, rank = np.unique(matrix[:, i], return_inverse=True)
        share = rank / rank.max() if rank.max() else None
        found.append(
            {
                "feature": names[i],
                "bins": [
                    {
                        "bin": int(b),
                        "rows": int((bins == b).sum()),
                        "level": None if share is None else number(float(share[bins == b].mean())),
                    }
                    for b in np.unique(bins)
                ],
            }
        )
    return {"edge": number(edge), "bins": SWARM_BINS, "features": found}


def dependence(
    names: Sequence[str], values: Floats, matrix: Floats, levels: dict[int, list[str]]
) -> list[dict[str, Any]]:
    """Mean attribution along a feature's values, for the strongest, in groups of at least ten rows."""
    found = []
    for i in np.argsort(-np.abs(values).mean(axis=0), kind="stable")[:DEPENDENCE_FEATURES]:
        kinds = np.unique(matrix[:, i])
        if i in levels or len(kinds) <= DEPENDENCE_BINS:
            places = np.searchsorted(kinds, matrix[:, i])
        else:
            edges = np.quantile(matrix[:, i], np.linspace(0, 1, DEPENDENCE_BINS + 1)[1:-1])
            places = np.searchsorted(np.unique(edges), matrix[:, i], side="left")
        points = []
        for place in np.unique(places):
            inside = places == place
            if inside.sum() < SMALL_GROUP:
                continue
            at = values[inside, i]
            low, high = np.quantile(at, [0.1, 0.9])
            mean = float(matrix[inside, i].mean())
            points.append(
                {
                    "at": levels[int(i)][int(mean)] if i in levels else number(mean), "rows": int(inside.sum()),
                    "mean": number(float(at.mean())), "low": number(float(low)), "high": number(float(high)),
                }
            )  # fmt: skip
        found.append({"feature": names[i], "points": points})
    return found


def groups(
    attributes: Sequence[str], columns: Sequence[Sequence[str]], names: Sequence[str], values: Floats, outputs: Floats
) -> list[dict[str, Any]]:
    everyone = values.mean(axis=0)
    found = []
    for attribute, column in zip(attributes, columns, strict=True):
        for level in sorted(set(column)):
            inside = np.array([value == level for value in column])
            mean = values[inside].mean(axis=0)
            order = np.argsort(-np.abs(mean - everyone), kind="stable")
            found.append(
                {
                    "attribute": attribute,
                    "group": f"{attribute} = {level}",
                    "rows": int(inside.sum()),
                    "unknown": level == UNKNOWN,
                    "too_few": bool(inside.sum() < SMALL_GROUP),
                    "mean_output": number(float(outputs[inside].mean())),
                    "features": [
                        {
                            "feature": names[i],
                            "mean": number(float(mean[i])),
                            "difference": number(float(mean[i] - everyone[i])),
                        }
                        for i in order
                    ],
                }
            )
    return found
