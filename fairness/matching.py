"""Whether two files hold the same report, computed on two machines: the same bytes, last digits apart, or different.

One file that needs nothing but Python 3.9: `python3 fairness/matching.py REPORT [OTHER]`. With one report it prints two
digests, that of the bytes and that of the outline, which is the report with every computed figure taken out. With two
it compares. Exit 0: the same, but for last digits at most. 1: different; says where. 2: a file cannot be read as one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

# Numbers under these keys are computed with floating point; all others (counts, ranks, sizes, bounds) are exact. Whole
# numbers do not tell themselves apart: a rate of 1 is written as a count of 1 is.
FIGURES = frozenset({
    "value", "low", "high", "low_together", "high_together", "difference", "ratio", "share", "rate", "p_value",
    "p_value_corrected", "p_value_exact", "p_value_exact_corrected", "effective_size", "by_chance", "difference_median",
    "difference_twentieth", "ratio_median", "ratio_twentieth", "expected", "lowest", "highest", "median", "spread",
    "error", "error_by_chance", "observed", "predicted", "up_to", "tolerance", "impact_ratio", "denominator",
    "ratio_if_none_left_out", "denominator_if_none_left_out", "accuracy", "selection_rate", "equalised_odds", "setting",
    "base_value", "importance", "mean", "mean_output", "correlation", "features.moved", "decisions_turned",
    "rank_agreement", "rank_agreement_low", "same_top_three", "share_first", "share_any", "edge", "level", "strength",
    "along_paths", "largest", "separation", "auc", "attribution", "against", "raw", "score", "cut", "detectable.within",
    "detectable.outside", "points.at", "additivity.model",
})  # fmt: skip
# What was asked is exact, whatever its numbers are called.
ASKED = frozenset(("provenance", "rule"))
SENTENCE = "sentence"
DECIMAL = re.compile(r"\d[\d,]*\.\d+(?:e[+-]?\d+)?|\d+e[+-]?\d+|\d+(?=%)")
FIGURE = "…"
# Of the larger of two figures, or of 1: reports have twelve digits, scores of a model about seven.
COMPUTED, SCORED = 1e-9, 1e-5
MODELS = ("model", "old", "new")
SHOWN = 10
spelt = json.JSONEncoder(ensure_ascii=False).encode


class Unreadable(ValueError):
    """The bytes are no report."""


class Numeral(str):
    """A number as it is written."""


@dataclass(frozen=True)
class Apart:
    """Two values at one place that are not alike; `by` is how far figures lie apart, None for what is exact."""

    path: str
    one: str
    other: str
    by: float | None = None


@dataclass(frozen=True)
class Match:
    """What comparing found: `figures` whose last digits differ, and what is `different`, each in the report's order."""

    same_bytes: bool
    figures: list[Apart]
    different: list[Apart]

    @property
    def holds(self) -> bool:
        return not self.different

    def __str__(self) -> str:
        if self.different:
            more = len(self.different) - SHOWN
            found = [f"Different: {counted(len(self.different), 'value')}."]
            found += [f"  {told(each)}" for each in self.different[:SHOWN]]
            return "\n".join(found + [f"  and {more:,} more"] * (more > 0))
        if self.figures:
            most = max(self.figures, key=lambda each: each.by or 0.0)
            return f"The same but for last digits of {counted(len(self.figures), 'figure')}; the most: {told(most)}."
        return "The same in every byte." if self.same_bytes else "The same, written in another way."


def counted(many: int, what: str) -> str:
    return f"{many:,} {what}{'s' * (many != 1)}"


def told(each: Apart) -> str:
    apart = "" if each.by is None else f", {each.by:.2g} apart"
    return f"{each.path}: {each.one} and {each.other}{apart}"


def read(data: bytes) -> dict[str, Any]:
    """A report, its numbers as they are written. Raises Unreadable."""

    def no(said: str) -> NoReturn:
        raise ValueError(f"it holds {said}")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(found := dict(pairs)) < len(pairs):
            no("a name twice")
        return found

    try:
        found = json.loads(
            data.decode(), parse_float=Numeral, parse_int=Numeral, parse_constant=no, object_pairs_hook=once
        )
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it is no JSON ({error})") from None
    if not isinstance(found, dict) or not str(found.get("schema")).startswith("countersign."):
        raise Unreadable("it is JSON, but no report of Countersign")
    return found


def outline(data: bytes) -> bytes:
    """The report in its own spelling, with `"…"` for each computed figure, and for each decimal in a sentence.

    What is left cannot differ on another machine. Raises Unreadable.
    """
    return written(read(data), ()).encode()


def digest(data: bytes) -> str:
    """SHA-256 of the outline. Raises Unreadable."""
    return f"sha256:{hashlib.sha256(outline(data)).hexdigest()}"


def written(value: Any, names: tuple[str, ...]) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{spelt(name)}:{written(each, (*names, name))}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(written(each, names) for each in value) + "]"
    if isinstance(value, Numeral):
        return spelt(FIGURE) if is_figure(names) else value
    return spelt(DECIMAL.sub(FIGURE, value) if is_sentence(value, names) else value)


def is_figure(names: tuple[str, ...]) -> bool:
    return (names[-1] in FIGURES or ".".join(names[-2:]) in FIGURES) and ASKED.isdisjoint(names)


def is_sentence(value: Any, names: tuple[str, ...]) -> bool:
    return type(value) is str and names[-1] == SENTENCE and ASKED.isdisjoint(names)


def compare(one: bytes, other: bytes, tolerance: float | None = None) -> Match:
    """`tolerance` is what figures may differ by, of the larger one or of 1. Raises Unreadable."""
    first, second = read(one), read(other)
    most = (SCORED if has_scores(first) else COMPUTED) if tolerance is None else tolerance
    found = list(apart(first, second, (), ""))
    return Match(
        one == other,
        [each for each in found if each.by is not None and each.by <= most],
        [each for each in found if each.by is None or not each.by <= most],
    )


def has_scores(report: dict[str, Any]) -> bool:
    """Whether a model scored rows for it, as far as it says."""
    provenance = report.get("provenance")
    inputs = provenance.get("inputs") if isinstance(provenance, dict) else None
    return not isinstance(inputs, dict) or any(inputs.get(name) for name in MODELS)


def apart(one: Any, other: Any, names: tuple[str, ...], path: str) -> Iterator[Apart]:
    """Everything that is not alike. Figures carry how far they lie apart, in sentences 0 for a last digit."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in [*one, *(name for name in other if name not in one)]:
            below = f"{path}.{name}" if path else name
            if name in one and name in other:
                yield from apart(one[name], other[name], (*names, name), below)
            else:
                yield Apart(below, shown(one.get(name, "nothing")), shown(other.get(name, "nothing")))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, pair in enumerate(zip(one, other)):  # noqa: B905
            yield from apart(*pair, names, f"{path}[{place}]")
    elif not same(one, other):
        yield Apart(path, shown(one), shown(other), distance(one, other, names))


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Numeral) and isinstance(other, Numeral):
        return Decimal(one) == Decimal(other)
    return type(one) is type(other) and bool(one == other)


def shown(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value):,}"
    text = value if isinstance(value, Numeral) else spelt(value)
    return text if len(text) <= 160 else f"{text[:160]}…"


def distance(one: Any, other: Any, names: tuple[str, ...]) -> float | None:
    """How far two figures lie apart, of the larger one or of 1; None where they are exact."""
    if isinstance(one, Numeral) and isinstance(other, Numeral):
        a, b = float(one), float(other)
        return abs(a - b) / max(1.0, abs(a), abs(b)) if is_figure(names) else None
    if is_sentence(one, names) and is_sentence(other, names) and DECIMAL.sub("", one) == DECIMAL.sub("", other):
        pairs = zip(DECIMAL.findall(one), DECIMAL.findall(other))  # noqa: B905
        return 0.0 if all(one_digit(*pair) for pair in pairs) else None
    return None


def one_digit(one: str, other: str) -> bool:
    """Whether two decimals of a sentence are at most one apart in the last digit that is printed."""
    unit = max(last_digit(one), last_digit(other))
    return abs(float(one.replace(",", "")) - float(other.replace(",", ""))) <= 1.001 * unit


def last_digit(decimal: str) -> float:
    mantissa, _, power = decimal.partition("e")
    return float(10 ** (int(power or 0) - len(mantissa.partition(".")[2])))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", help="a report's JSON")
    parser.add_argument("other", nargs="?", help="the same report, computed elsewhere")
    parser.add_argument("--tolerance", type=float, help="what figures may differ by, of the larger one or of 1")
    given = parser.parse_args(arguments)
    files: list[bytes] = []
    for name in filter(None, (given.report, given.other)):
        try:
            files.append(Path(name).read_bytes())
            print(f"{name}\n  bytes   sha256:{hashlib.sha256(files[-1]).hexdigest()}\n  outline {digest(files[-1])}")
        except (OSError, Unreadable) as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 2
    if given.other is None:
        return 0
    found = compare(files[0], files[1], given.tolerance)
    print(found)
    return 0 if found.holds else 1


if __name__ == "__main__":
    sys.exit(main())
