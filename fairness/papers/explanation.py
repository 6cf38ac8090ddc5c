"""An explanation report as a paper, from what its page shows (`fairness.views.explanation_parts`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fairness.papers.blocks import (
    NONE,
    Block,
    bullets,
    count,
    drawing,
    estimate,
    heading,
    number,
    summary,
    table,
    words,
)  # fmt: skip

Parts = Mapping[str, Any]
Section = Callable[[Parts], Iterator[Block]]
LEADING = 3


def explanation(parts: Parts) -> Iterator[Block]:
    for section in SECTIONS:
        yield from section(parts)


def in_a_minute(parts: Parts) -> Iterator[Block]:
    report, method = parts["report"], parts["report"]["method"]
    leading = [
        f"{row['feature']}: {row['way']}." for row in parts["features"][:LEADING] if row["correlation"] is not None
    ]
    few = [group["group"] for found in parts["groups"] for group in found["groups"] if group["too_few"]]
    yield heading("In one minute")
    yield summary([
        ("What was found", report["result"]["sentence"], leading),
        (
            "For whom",
            f"{count(method['rows'])} rows drawn from {count(method['of_rows'])}.",
            [found["heading"] + ": " + ", ".join(g["group"].split(" = ", 1)[-1] for g in found["groups"]) + "."
             for found in parts["groups"]],
        ),
        (
            "How sure",
            "Each feature's strength has a 95 % bootstrap interval.",
            [f"Base value and attributions of a row add up to its score, with a largest error of "
             f"{parts['residual']['largest']}."],
        ),
        (
            "What it cannot say",
            "An attribution says what the model uses, not what causes an outcome.",
            [f"Too few rows to say anything about: {', '.join(few)}."] if few else [],
        ),
    ])  # fmt: skip


def features(parts: Parts) -> Iterator[Block]:
    report = parts["report"]
    yield heading("How strongly each feature moves the score")
    yield drawing(parts["plot"])
    rows = [
        (
            row["feature"],
            estimate({**row, "value": row["importance"]}, 4),
            number(row["mean"], 4, sign=True),
            row["way"],
        )
        for row in parts["features"]
    ]
    head = ("Feature", "Mean absolute attribution", "Mean attribution", "Which way")
    yield table("Attribution by feature", head, rows, texts=(0, 3))
    yield words(
        f"In units of {parts['scale']}, whose mean over the background is {number(report['base_value'], 4)}.",
        quiet=True,
    )


def by_group(parts: Parts) -> Iterator[Block]:
    for found in parts["groups"]:
        yield heading(found["heading"])
        yield words("What sets the attributions of each group apart from those of all rows.", quiet=True)
        rows = [
            (group["group"], count(group["rows"]), number(group["mean_output"]), apart(group))
            for group in found["groups"]
        ]
        head = ("Group", "Rows", "Mean score", "Attributions that differ most")
        yield table(found["heading"], head, rows, texts=(0, 3))


def apart(group: Mapping[str, Any]) -> str:
    if group["too_few"]:
        return "too few rows to say"
    return ", ".join(f"{row['feature']} {number(row['difference'], 4, sign=True)}" for row in group["told"]) or "–"


def together(parts: Parts) -> Iterator[Block]:
    found = parts["interactions"]
    if not found:
        return
    yield heading("Which features act together")
    if found["why"]:
        yield words(found["why"])
        return
    yield drawing(found["plot"])
    names = [f"{row['first']} × {row['second']}" for row in found["pairs"]]
    rows = [
        (
            name, estimate({**row, "value": row["strength"]}, 4), number(row["mean"], 4, sign=True),
            number(row["along_paths"], 4), str(row["rank_along_paths"]),
        )
        for name, row in zip(names, found["pairs"], strict=True)
    ]  # fmt: skip
    head = ("Features", "Mean absolute interaction", "Mean", "Along paths", "Rank there")
    yield table("Interaction of two features", head, rows)
    corners = [
        (
            name,
            *("too few rows" if c["mean"] is None else number(c["mean"], 4, sign=True) for c in row["corners"]),
        )
        for name, row in zip(names, found["pairs"], strict=True)
    ]
    head = ("Features", "Both low", "First low, second high", "First high, second low", "Both high")
    yield table("Mean interaction where both values are low, one is, or neither", head, corners)
    doubt = "" if found["holds"] else " That is over the tolerance: do not rely on them."
    yield words(
        f"What two features add to the score together, beyond what each adds by itself, for {count(found['rows'])} of "
        f"the {count(found['of_rows'])} explained rows. Absent features take the values of the background rows: with "
        "the main effect of a feature, its interactions add up to its attribution, with a largest error of "
        f"{found['residual']['largest']}.{doubt} Along paths, absent features follow both branches of a test, weighed "
        "by the sample’s rows. Low is up to the median, or below it where no value lies above.",
        quiet=True,
    )


def why_no(parts: Parts) -> Iterator[Block]:
    found = parts["reasons"]
    if not found:
        return
    yield heading("Why the answer was no")
    if not found["refused"]:
        yield words("None of the explained rows got a no.")
        return
    rows = [
        (
            group["group"],
            count(group["refused"]),
            "too few refused rows to say"
            if group["too_few"]
            else "; ".join(
                f"{row['words']}: {part(row['share_first'])}, {part(row['share_any'])}" for row in group["told"]
            ),
        )
        for group in found["groups"]
    ]
    head = ("Group", "Refused", f"First reason of, and among the first {found['most']} of")
    yield table("Reasons of refused rows", head, rows, texts=(0, 2))
    yield words(
        f"A feature is a reason as far as its attribution lies below {found['baseline_words']} "
        f"({count(found['baseline_rows'])} rows). {found['justification']}",
        quiet=True,
    )


def part(share: float | None) -> str:
    return NONE if share is None else f"{share * 100:.0f} %"


def telling(parts: Parts) -> Iterator[Block]:
    for found in parts["proxies"]:
        yield heading(f"Features that tell groups apart by {found['attribute']}")
        yield words(found["sentence"])
        rows = [
            (
                row["feature"], row["tells"], f"{row['measure']} {number(row['value'])}", number(row["by_chance"]),
                part(row["share"]),
            )
            for row in found["features"]
        ]  # fmt: skip
        if rows:
            head = ("Feature", "Tells by itself", "Measure", "By chance", "Share of attribution")
            yield table(f"Features and {found['attribute']}", head, rows, texts=(0, 1, 2))


def limits(parts: Parts) -> Iterator[Block]:
    method, residual = parts["report"]["method"], parts["residual"]
    yield heading("What these numbers can and cannot show")
    yield bullets([
        *(warning["sentence"] for warning in parts["report"]["warnings"]),
        f"Method: {method['name']} ({method['why']}), against a background of {count(method['background'])} rows, with "
        f"{count(method['evaluations'])} rows scored by the model's own bytes.",
        "Check of the method: base value and attributions of a row add up to its score, with a largest error of "
        f"{residual['largest']} and a mean error of {residual['mean']}.",
        "Attributions depend on the background, which is a random sample of this dataset; another dataset gives "
        "others.",
    ])  # fmt: skip


SECTIONS: tuple[Section, ...] = (in_a_minute, features, together, by_group, why_no, telling, limits)
