"""A bias report as a paper, from what its page shows (`fairness.views.bias_parts`): first for somebody with a minute.

A section takes the page's parts and yields blocks; a new part of the page gets its section in SECTIONS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
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
    sentence_case,
    share,
    summary,
    table,
    words,
)  # fmt: skip

Parts = Mapping[str, Any]
Section = Callable[[Parts], Iterator[Block]]
VERDICTS = {
    "within": "Within the rule",
    "outside": "Outside the rule",
    "inconclusive": "Inconclusive",
    "too_few": "Too few to test",
    "not_tested": "Not tested",
    "withheld": "Withheld",
}
MEANINGS = {
    "within": "The whole interval of every tested group meets the rule.",
    "outside": "Some group's interval, taken so that those of all tested groups hold together, lies wholly outside.",
    "inconclusive": "The data allow both: that the rule is met, and that it is not. That does not pass.",
    "too_few": "Some group has fewer rows than the rule asks for, so nothing is said about it. That does not pass.",
}
MOST_GAPS = 4
BINS_ABREAST = 2
LIMITS = (
    "A disparity is a difference between groups. Whether it is justified, lawful or fair, no number says.",
    "Differences smaller than the intervals allow stay unseen: “within” is a statement about these rows, not about "
    "every use.",
)


def bias(parts: Parts) -> Iterator[Block]:
    for section in SECTIONS:
        yield from section(parts)


def in_a_minute(parts: Parts) -> Iterator[Block]:
    report = parts["report"]
    result, rule = report["result"], report["result"]["rule"]
    yield heading("In one minute")
    yield summary([
        ("What was found", result["sentence"], [f"{VERDICTS[result['verdict']]}. {MEANINGS[result['verdict']]}"]),
        ("For whom", whom(parts), [f"{test['attribute']}: {groups(test)}" for test in parts["tests"]]),
        (
            "How sure",
            f"At {rule['confidence'] * 100:g} % confidence, held for {result['family']} groups together.",
            [f"The rule: {parts['rule_words']}.", *chances(parts)],
        ),
        ("What could not be tested", *untested(parts)),
    ])  # fmt: skip


def whom(parts: Parts) -> str:
    report = parts["report"]
    whose = {"model": "decisions of the model", "historical": "recorded decisions"}.get(report["source"], "decisions")
    by = [test["attribute"] for test in parts["tests"]]
    compared = ", ".join([*by, *(["probability of membership"] if parts["memberships"] else [])])
    return f"{report['provenance']['rows']:,} rows, by {compared}; the {whose} are compared."


def groups(test: Mapping[str, Any]) -> str:
    told = [f"{row['group'].split(' = ', 1)[-1]} ({count(row['size'])})" for row in test["rows"]]
    return f"{', '.join(told)}. {VERDICTS[test['verdict']]}."


def chances(parts: Parts) -> Iterator[str]:
    """What chance alone does: the reader's yardstick for the ratio that was found."""
    found = [test["chance"]["ratio_twentieth"] for test in parts["tests"] if test["chance"]]
    if found and min(found) is not None:
        yield (
            f"With no disparity at all, groups of these sizes show a lowest ratio of {min(found):.2f} or less once in "
            "twenty times."
        )


def untested(parts: Parts) -> tuple[str, list[str]]:
    gaps = [f"{gap['what']}: {gap['why']}." for gap in parts["gaps"]]
    if not gaps:
        return "Every group was tested.", []
    more = [f"And {len(gaps) - MOST_GAPS} more, under “What these numbers can and cannot show”."]
    return f"{len(gaps)} part{'s' * (len(gaps) > 1)} of the data.", gaps[:MOST_GAPS] + more * (len(gaps) > MOST_GAPS)


def tested(parts: Parts) -> Iterator[Block]:
    for test in parts["tests"]:
        yield heading(f"Groups by {test['attribute']}")
        yield words(test["sentence"])
        yield drawing(test["plot"])
        head = (
            "Group", "Rows", sentence_case(parts["metric_words"]), parts["compared"], "Verdict", "Detectable under",
        )  # fmt: skip
        rows = [
            (
                row["group"], count(row["size"]), estimate(row["seen"]), estimate(row), VERDICTS[row["verdict"]],
                number((row.get("detectable") or {}).get("outside"), 2),
            )
            for row in test["rows"]
        ]  # fmt: skip
        yield table(f"The same numbers by {test['attribute']}", head, rows, texts=(0, 4))
        if test["chance"] and test["chance"]["ratio_median"] is not None:
            yield words(
                f"With no disparity at all, groups of these sizes show a lowest ratio of about "
                f"{test['chance']['ratio_median']:.2f}, and of {test['chance']['ratio_twentieth']:.2f} or less once in "
                "twenty times. “Detectable under” is the true ratio under which a group of that size would probably be "
                "found outside.",
                quiet=True,
            )


def memberships(parts: Parts) -> Iterator[Block]:
    found = parts["memberships"]
    if not found:
        return
    yield heading("Groups by probability of membership")
    if found["sentence"]:
        yield words(found["sentence"])
    yield drawing(found["plot"])
    head = (
        "Group",
        "Rows expected",
        "Weighted estimate, sampling alone",
        "Range whatever the relation",
        "By threshold",
    )
    more = (found["compared"], "Verdict") if found["compared"] else ()
    rows = [
        (
            row["name"], count(round(row["expected"])), estimate(row["selection_rate"]),
            f"{number(row['whatever']['low'])} to {number(row['whatever']['high'])}",
            f"{number(row['by_threshold']['value'])} ({count(row['by_threshold']['count'])} rows)",
            *((estimate(row["found"]), VERDICTS[row["found"]["verdict"]]) if more else ()),
        )
        for row in found["rows"]
    ]  # fmt: skip
    yield table("Selection rates by probability of membership", (*head, *more), rows, texts=(0, 6))
    yield words(
        "Nobody's group is known here. The range, not the estimate, decides the verdict; by threshold a row counts as "
        "the group's from a probability of a half on.",
        quiet=True,
    )


def other_rules(parts: Parts) -> Iterator[Block]:
    if parts["further"]:
        yield heading("The other rules of this test")
        yield words("Fixed with the first before the run; the worst verdict counts.", quiet=True)
        yield bullets(
            f"{VERDICTS[each['verdict']]}: {each['words']}. {each['sentence']}" for each in parts["further"]
        )  # fmt: skip


def left_out(parts: Parts) -> Iterator[Block]:
    found = parts["report"].get("exclusions")
    if not found:
        return
    reasons = ", ".join(f"{each['reason']} ({count(each['rows'])})" for each in found["reasons"])
    without = found["without"]
    yield heading("Rows left out")
    yield words(f"{count(found['rows'])} rows have a reason in “{found['column']}” and are not tested: {reasons}.")
    yield words(f"With them the result would be: {VERDICTS[without['verdict']]}. {without['sentence']}")
    rows = [(each["group"], count(each["rows"]), count(each["excluded"])) for each in found["groups"]]
    yield table("Rows left out by group", ("Group", "Rows", "Left out"), rows)


def beside(parts: Parts) -> Iterator[Block]:
    if not parts["pairs"]:
        return
    yield heading("Recorded decisions beside the model's own")
    head = ("Group", "Recorded: selection rate", "Impact ratio", "Model: selection rate", "Impact ratio")
    sides = ("historical", "model")
    yield table("Selection rate and impact ratio of each group, recorded and by the model", head, [
        (pair["group"], *(estimate(pair[side][what]) for side in sides for what in ("rate", "ratio")))
        for pair in parts["pairs"]
    ])  # fmt: skip


def limits(parts: Parts) -> Iterator[Block]:
    yield heading("What these numbers can and cannot show")
    warnings = [warning["sentence"] for warning in parts["report"]["warnings"]]
    yield bullets([*warnings, *LIMITS, *(f"Left out: {gap['what']} ({gap['why']})." for gap in parts["gaps"])])


def all_metrics(parts: Parts) -> Iterator[Block]:
    for detail in parts["details"]:
        yield heading(f"All metrics by {detail['name']}")
        for part in detail["parts"]:
            names = [group["name"] + (" (reference)" if group["reference"] else "") for group in part["groups"]]
            sizes = [count(group["count"]) + share(group["share"]) for group in part["groups"]]
            rows = [(sentence_case(metric), *map(estimate, cells)) for metric, cells in part["rows"]]
            yield table(f"Metrics by {detail['name']}", ("Metric", *names), [("Rows", *sizes), *rows])
        yield from comparisons(detail)


def comparisons(detail: Mapping[str, Any]) -> Iterator[Block]:
    between: list[Iterable[str]] = [
        (row["words"], row["lowest"] or "–", row["highest"] or "–", estimate(row["difference"]), estimate(row["ratio"]))
        for row in detail["between"]
    ]
    between += [
        (name, "over all groups", "", estimate(row["difference"]), estimate(row["ratio"]))
        for name, row in detail["named"]
    ]
    if between:
        head = ("Metric", "Lowest", "Highest", "Difference", "Ratio")
        yield table(f"Lowest and highest group by {detail['name']}", head, map(tuple, between), texts=(0, 1, 2))
    if detail["to_reference"]:
        rows = [
            (row["words"], row["group"], estimate(row["difference"]), estimate(row["ratio"]), row["p"])
            for row in detail["to_reference"]
        ]
        head = ("Metric", "Group", "Difference", "Ratio", "p, corrected")
        yield table(f"Compared with {detail['reference']}", head, rows, texts=(0, 1))


def figures(parts: Parts) -> Iterator[Block]:
    """Scores, errors and classes."""
    for section in parts["figures"]:
        yield heading(section["heading"])
        if section["plot"]:
            yield drawing(section["plot"])
        for part in section["parts"]:
            names = [group["name"] + (" (reference)" if group["reference"] else "") for group in part["groups"]]
            sizes = [count(group["count"]) for group in part["groups"]]
            rows = [(figure, *map(estimate, cells)) for figure, cells in part["rows"]]
            yield table(section["heading"], ("Figure", *names), [("Rows", *sizes), *rows])
        note = f" {sentence_case(section['note'])}." if section["note"] else ""
        yield words(section["said"] + note, quiet=True)
        if section["to_reference"]:
            differences = [(row["words"], row["group"], estimate(row["difference"])) for row in section["to_reference"]]
            what = section["heading"].partition(" by ")[0].lower()
            title = f"Differences of {what} to {section['reference']}"
            yield table(title, ("Figure", "Group", "Difference"), differences, texts=(0, 1))
        yield from calibration(section)


def calibration(section: Mapping[str, Any]) -> Iterator[Block]:
    """Bins are the same for every group, so that groups stand side by side; two, for the width of a page."""
    found = section.get("bins", ())
    for start in range(0, len(found), BINS_ABREAST):
        shown = found[start : start + BINS_ABREAST]
        ends = sorted({row["up_to"] for group in shown for row in group["rows"]})
        by_end = [{row["up_to"]: row for row in group["rows"]} for group in shown]
        head = ["Up to", *(f"{group['group']}: {what}" for group in shown for what in ("rows", "expected", "observed"))]
        rows = [(number(end), *(cell for bins in by_end for cell in of_bin(bins.get(end)))) for end in ends]
        yield table("Calibration by bin of probabilities: what was expected, and what happened", head, rows)
    if found:
        yield words(
            "Expected is the mean probability of a group’s rows in the bin, observed the share of them with a positive "
            "outcome; where the interval of what was observed does not hold what was expected, the probabilities of "
            "that bin are too low or too high for the group. Now and then a bin does so by chance. The calibration "
            "error (ECE) is shown beside what chance alone gives groups of these sizes; no rule rests on it.",
            quiet=True,
        )


def of_bin(row: Mapping[str, Any] | None) -> tuple[str, str, str]:
    if row is None:
        return "0", NONE, NONE
    return count(row["count"]), number(row["predicted"]), estimate({**row, "value": row["observed"]})


def crossings(parts: Parts) -> Iterator[Block]:
    for found in parts["crossed"]:
        yield heading(f"Intersection: {found['name']}")
        more = " Combinations that are not listed do not occur or are withheld." if found["incomplete"] else ""
        yield words(f"Exploratory: no part of the result.{more}", quiet=True)
        head = ("Group", "Rows", "Selection rate", "Impact ratio")
        rows = [
            (row["name"], count(row["count"]), estimate(row["rate"]), estimate(row["ratio"])) for row in found["rows"]
        ]
        yield table(f"Selection rate by {found['name']}", head, rows)


SECTIONS: tuple[Section, ...] = (
    in_a_minute, tested, memberships, other_rules, left_out, beside, limits, all_metrics, figures, crossings,
)  # fmt: skip
