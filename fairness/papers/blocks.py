"""What a paper is made of: headings, sentences, lists, facts, tables and plots, as plain dicts for `report.typ`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Block = dict[str, Any]
NONE = "–"
WITHHELD = "withheld"


def heading(text: str, level: int = 2) -> Block:
    return {"kind": "heading", "text": text, "level": level}


def words(text: str, quiet: bool = False) -> Block:
    return {"kind": "words", "text": text, "quiet": quiet}


def bullets(items: Iterable[str]) -> Block:
    return {"kind": "bullets", "items": list(items)}


def facts(rows: Iterable[tuple[str, str]]) -> Block:
    """Pairs of a name and a value; a digest is printed so that it can be compared letter by letter."""
    return {"kind": "facts", "rows": [[name, value, value.startswith("sha256:")] for name, value in rows if value]}


def summary(rows: Iterable[tuple[str, str, Sequence[str]]]) -> Block:
    """The questions of somebody who has one minute: each with its answer and the lines under it."""
    return {"kind": "summary", "rows": [[question, answer, list(lines)] for question, answer, lines in rows]}


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]], texts: Sequence[int] = (0,)) -> Block:
    """`texts` are the columns that hold words and stand to the left; all others are numbers."""
    align = ["left" if at in texts else "right" for at in range(len(head))]
    return {"kind": "table", "title": title, "head": list(head), "align": align, "rows": [list(row) for row in rows]}


def drawing(plot: Mapping[str, Any]) -> Block:
    """A dot-and-whisker plot of `fairness.plot`, with words for those who do not see it."""
    told = [f"{row['name']}: {row['value'] or row['note'] or 'no value'}" for row in plot["rows"]]
    return {"kind": "plot", "plot": plot, "alt": f"{plot['title']}. {'; '.join(told)}."}


def number(value: float | None, digits: int = 3, *, sign: bool = False) -> str:
    if value is None:
        return NONE
    return f"{value:{'+' if sign else ''},.{digits}f}".replace("-", "−")


def count(value: int | None) -> str:
    return WITHHELD if value is None else f"{value:,}"


def share(value: float | None) -> str:
    return "" if value is None else f" ({value * 100:.1f} %)"


def estimate(found: Mapping[str, Any] | None, digits: int = 3) -> str:
    """A value with its interval, in the same digits as on the page."""
    if not found or found.get("value") is None:
        return NONE
    value = number(found["value"], digits)
    if found.get("low") is None or found.get("high") is None:
        return value
    return f"{value} [{number(found['low'], digits)}, {number(found['high'], digits)}]"


def sentence_case(text: str) -> str:
    return text[:1].upper() + text[1:]
