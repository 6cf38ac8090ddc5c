"""How often the intervals that decide a rule hold the truth, and how often a verdict is wrong.

`python -m bench.fairness --coverage [--quick]`. Worlds are drawn with fixed seeds and asked through
`fairness.deciding`, which is what a report asks. Each line says how many draws a figure rests on and its Monte-Carlo
error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from bench import emit
from fairness.clusters import cluster_size
from fairness.deciding import TO_REFERENCE, Comparison, Decision, decide, limits
from fairness.exact import EXPECTED
from fairness.intervals import Floats, effective_size, simultaneous
from fairness.rules import DEFAULT_RULE

BENCH = "fairness coverage"
CONFIDENCE = 0.95
GOAL = 0.93
WRONG = 0.05
COMPARISONS: tuple[Comparison, ...] = get_args(Comparison)
SIZES = (10, 30, 100, 300, 1000)
RATES = (0.01, 0.03, 0.1, 0.3, 0.5)
GROUPS = (2, 10)
Draw = Callable[["World", int, np.random.Generator], tuple[Floats, Floats]]


@dataclass(frozen=True)
class World:
    """True rates and rows by group; the first group is the reference. `worth`: equal rows that a row is worth."""

    kind: str
    rates: tuple[float, ...]
    sizes: tuple[int, ...]
    bound: float
    worth: float = 1.0

    @property
    def ample(self) -> bool:
        """Whether five rows with either outcome are to be expected in every group."""
        pairs = zip(self.rates, self.sizes, strict=True)
        return all(min(p, 1 - p) * n * self.worth >= EXPECTED for p, n in pairs)

    def truth(self, comparison: Comparison) -> Floats:
        """The true compared values of the groups that are compared."""
        p = np.array(self.rates)
        if comparison == "impact_ratio":
            return np.asarray(p / p.max())
        if comparison == "difference":
            return np.asarray(p.max() - p)
        if comparison in ("at_least", "at_most"):
            return p
        return np.asarray(p[1:] / p[0] if comparison == "ratio_to_reference" else p[1:] - p[0])

    def __str__(self) -> str:
        sizes = f"{self.sizes[0]}" if len(set(self.sizes)) == 1 else f"{self.sizes[0]}, the last {self.sizes[-1]}"
        rates = f"{self.rates[0]:g}" if len(set(self.rates)) == 1 else f"{self.rates[0]:g}, the last {self.rates[-1]:g}"
        return f"{len(self.rates)} groups of {sizes} at {rates}"


@dataclass(frozen=True)
class Seen:
    """Shares of draws: the least group's coverage, coverage of all groups at once, and the verdicts over all groups."""

    alone: float
    together: float
    outside: float
    within: float


def worlds(
    comparison: Comparison, sizes: Sequence[int], rates: Sequence[float], groups: Sequence[int], worth: float = 1.0
) -> Iterator[World]:
    """Equal groups; groups of which the last lies just at the bound; and such a last group that is four times smaller
    than the rest.
    """
    for n in sizes:
        for p in rates:
            for g in groups:
                if comparison in ("at_least", "at_most"):
                    yield World("at the bound", (p,) * g, (n,) * g, p, worth)
                    continue
                bound = 0.8 if "ratio" in comparison else min(0.1, p / 2)
                last = p * bound if "ratio" in comparison else p - bound
                yield World("equal", (p,) * g, (n,) * g, bound, worth)
                yield World("at the bound", (*(p,) * (g - 1), last), (n,) * g, bound, worth)
                if n >= 40:
                    yield World("unequal sizes", (*(p,) * (g - 1), last), (*(n,) * (g - 1), n // 4), bound, worth)


def counted(world: World, draws: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Shares and sizes of unweighted rows, each of the shape (draws, groups)."""
    n = np.array(world.sizes)
    return rng.binomial(n, world.rates, size=(draws, len(n))) / n, np.broadcast_to(n.astype(float), (draws, len(n)))


def weighted(spread: float) -> Draw:
    """Rows with lognormal weights, whose logarithm has the standard deviation `spread`."""

    def draw(world: World, draws: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        found = []
        for p, n in zip(world.rates, world.sizes, strict=True):
            w = rng.lognormal(0, spread, (draws, n))
            y = rng.random((draws, n)) < p
            top, bottom = (w * y).sum(axis=1), w.sum(axis=1)
            found.append((top / bottom, effective_size(top, bottom, (w**2 * y).sum(axis=1), (w**2).sum(axis=1))))
        return np.stack([p for p, _ in found], axis=1), np.stack([n for _, n in found], axis=1)

    return draw


def clustered(each: int, alike: float) -> Draw:
    """People with `each` rows, whose outcomes have the correlation `alike` (beta-binomial)."""

    def draw(world: World, draws: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        found = []
        for p, n in zip(world.rates, world.sizes, strict=True):
            people = n // each
            own = rng.beta(p * (1 / alike - 1), (1 - p) * (1 / alike - 1), (draws, people))
            a = rng.binomial(each, own).astype(float)
            b = np.full_like(a, each)
            sums = (a.sum(axis=1), b.sum(axis=1), (a * a).sum(axis=1), (a * b).sum(axis=1), (b * b).sum(axis=1))
            share = sums[0] / sums[1]
            found.append((share, cluster_size(*sums, np.full(draws, float(people)), sums[1], CONFIDENCE)))
        return np.stack([p for p, _ in found], axis=1), np.stack([n for _, n in found], axis=1)

    return draw


def asked(world: World, comparison: Comparison, p: Floats, n: Floats) -> Decision:
    at = simultaneous(CONFIDENCE, len(world.rates))
    if comparison not in TO_REFERENCE:
        return decide(comparison, world.bound, CONFIDENCE, at, p, n)
    # The same pair of groups comes up many times.
    pairs = np.stack([each.reshape(-1) for each in np.broadcast_arrays(p[:, 1:], n[:, 1:], p[:, :1], n[:, :1])], axis=1)
    once, back = np.unique(pairs, axis=0, return_inverse=True)
    own, size, base, base_size = (once[:, i, None] for i in range(4))
    seen = decide(comparison, world.bound, CONFIDENCE, at, own, size, (base, base_size))

    def spread(part: Any) -> Any:
        return part[:, 0][back.reshape(-1)].reshape(len(p), -1)

    alone, sure = (type(x)(spread(x.low), spread(x.high)) for x in (seen.alone, seen.sure))
    return Decision(spread(seen.shown), alone, sure, *(spread(x) for x in (seen.outside, seen.inside, seen.solid)))


def measure(world: World, comparison: Comparison, draws: int, rng: np.random.Generator, draw: Draw = counted) -> Seen:
    p, n = draw(world, draws, rng)
    seen, truth = asked(world, comparison, p, n), world.truth(comparison)
    slack = 1e-9
    alone, sure = ((x.low <= truth + slack) & (x.high >= truth - slack) for x in (seen.alone, seen.sure))
    # Groups that are alike are one figure: the least of many draws of it would be too low by luck.
    held, first = alone.mean(axis=0), len(truth) - (world.kind != "equal" and len(set(world.rates)) > 1)
    return Seen(
        float(min(held[:first].mean(), held[first:].mean() if first < len(held) else 1.0) if first else held.min()),
        float(sure.all(axis=1).mean()),
        float(seen.outside.any(axis=1).mean()),
        float(seen.within.all(axis=1).mean()),
    )


def survey(
    case: str, comparison: Comparison, grid: Sequence[World], draws: int, seed: int, draw: Draw = counted
) -> bool:
    """Measure a grid of worlds and print what was worst in it; whether the goals are met within Monte-Carlo error."""
    rng = np.random.default_rng(seed)
    found = [(world, measure(world, comparison, draws, rng, draw)) for world in grid]
    ample = [(w, s) for w, s in found if w.ample]
    sparse = [(w, s) for w, s in found if not w.ample]
    at_bound = [(w, s) for w, s in ample if w.kind != "equal"]
    alone, together = min(ample, key=lambda x: x[1].alone), min(ample, key=lambda x: x[1].together)
    breach = max(found, key=lambda x: x[1].outside)
    passed = max(at_bound, key=lambda x: x[1].within)
    never = max(sparse, key=lambda x: x[1].within, default=None)
    error = math.sqrt(GOAL * (1 - GOAL) / draws)
    wrong = 2 * math.sqrt(WRONG * (1 - WRONG) / draws)
    met = {
        "coverage": min(alone[1].alone, together[1].together) >= GOAL - 2 * error,
        "outside": breach[1].outside <= WRONG + wrong,
        "within": passed[1].within <= WRONG + wrong,
        "sparse": never is None or never[1].within <= 1 / math.sqrt(draws) / 10,
    }
    emit(
        BENCH,
        case,
        detail={
            "worlds": len(found),
            "draws": draws,
            "monte_carlo_error": round(error, 5),
            "least_coverage_of_a_group": [round(alone[1].alone, 4), str(alone[0])],
            "least_coverage_of_all_groups_at_once": [round(together[1].together, 4), str(together[0])],
            "most_wrongly_outside": [round(breach[1].outside, 4), f"{breach[0]}, {breach[0].kind}"],
            "most_within_at_the_bound": [round(passed[1].within, 4), str(passed[0])],
            "most_within_under_five_expected": [round(never[1].within, 5), str(never[0])] if never else None,
            "goal": "coverage at least 0.93 where 5 rows of either outcome are expected, never within elsewhere; "
            "outside or within wrongly in at most 5 % of draws",
            "met": met,
        },
    )
    return all(met.values())


def ten_equal_groups(draws: int) -> bool:
    """Ten groups of 200 at 0.3: how often chance alone is called a disparity, and what the plain ratio would say."""
    rule = DEFAULT_RULE
    world = World("equal", (0.3,) * 10, (200,) * 10, rule.bound)
    p, n = counted(world, draws, np.random.default_rng(20))
    seen = asked(world, rule.comparison, p, n)
    outside = float(seen.outside.any(axis=1).mean())
    plain = float((p.min(axis=1) / p.max(axis=1) < limits(rule.comparison, rule.bound)[0]).mean())
    emit(
        BENCH,
        "impact_ratio, ten equal groups of 200 at 0.3",
        detail={"draws": draws, "outside": outside, "goal": WRONG, "plain_ratio_under_the_bound": round(plain, 4)},
    )
    return outside <= WRONG


def main(quick: bool) -> None:
    draws, few, sets = (2_000, 400, (2,)) if quick else (10_000, 2_000, (2, 5))
    sizes, rates = (SIZES[::2], RATES[::2]) if quick else (SIZES, RATES)
    met = [ten_equal_groups(draws)]
    for seed, comparison in enumerate(COMPARISONS):
        grid = list(worlds(comparison, sizes, rates, GROUPS))
        met.append(survey(f"{comparison}, rows alike", comparison, grid, draws, seed))
        for spread in (1.0,) if quick else (0.5, 1.0):
            grid = list(worlds(comparison, (400,) if quick else (400, 1000), (0.1, 0.3), sets, math.exp(-(spread**2))))
            name = f"{comparison}, lognormal weights of spread {spread:g}"
            met.append(survey(name, comparison, grid, few, 100 + seed, weighted(spread)))
        # Five rows whose outcomes have the correlation 0.3 are worth 5 / 2.2 rows.
        grid = list(worlds(comparison, (1000,), (0.1, 0.3), sets, 1 / (1 + 4 * 0.3)))
        met.append(survey(f"{comparison}, five rows a person", comparison, grid, few, 200 + seed, clustered(5, 0.3)))
    if not all(met):
        raise SystemExit(f"{met.count(False)} of {len(met)} cases miss a goal")
