"""A validation report as it stands: the template's sections, each with its parts and what was written in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from approvals.dossier import Dossier
from approvals.models import ReportDraft, ReviewRequest
from approvals.reporting.filling import FILLERS, Part
from approvals.reporting.template import Section, Template, template
from ledger.canonical import digest_of

SPECIAL = re.compile(r"([\\`*_\[\]<>|#~])")


@dataclass(frozen=True)
class Filled:
    section: Section
    parts: tuple[Part, ...]
    text: str


@dataclass(frozen=True)
class Report:
    """`draft` is the number of the draft whose words these are, 0 for none; `writers` are all who saved one."""

    template: Template
    request: ReviewRequest
    sections: tuple[Filled, ...]
    draft: int
    writers: tuple[str, ...]

    @property
    def empty(self) -> list[str]:
        """Titles of the sections that need words and have none."""
        return [each.section.title for each in self.sections if each.section.needed and not each.text]

    def as_dict(self) -> dict[str, Any]:
        return {
            "template": self.template.id,
            "title": self.template.title,
            "request": self.request.pk,
            "version": self.request.version_id,
            "draft": self.draft,
            "writers": list(self.writers),
            "sections": [
                {
                    "slug": each.section.slug, "title": each.section.title, "prompt": each.section.prompt,
                    "needed": each.section.needed, "filled_by": list(each.section.filled_by),
                    "parts": [part.as_dict() for part in each.parts], "text": each.text,
                }
                for each in self.sections
            ],
        }  # fmt: skip

    @property
    def digest(self) -> str:
        """Of all that it says, so that nobody attaches another report than they have read."""
        return digest_of(self.as_dict())


def drafts_of(request: ReviewRequest) -> list[ReportDraft]:
    """Oldest first."""
    return list(ReportDraft.objects.filter(request=request).select_related("saved_by").order_by("number"))


def report_of(found: Dossier, drafts: list[ReportDraft], at: datetime) -> Report:
    """The report of a request with the words of its newest draft."""
    last, form = (drafts[-1] if drafts else None), template()
    texts = last.texts if last else {}
    sections = tuple(
        Filled(
            each, tuple(part for name in each.filled_by for part in FILLERS[name](found, at)), texts.get(each.slug, "")
        )
        for each in form.sections
    )
    writers = tuple(sorted({each.saved_by.name for each in drafts}))
    return Report(form, found.request, sections, last.number if last else 0, writers)


def as_markdown(report: Report, said: str = "") -> str:
    """The report as a file. What others wrote is quoted, so that none of it can pass for the author's own words."""
    return "\n".join(lines(report, said)).strip() + "\n"


def lines(report: Report, said: str) -> Iterator[str]:
    request = report.request
    yield f"# {report.template.title}: {plain(str(request.version))}"
    yield ""
    yield plain(f"For {request.use} in {request.environment}, request {request.pk}. {report.template.about} {said}")
    for number, each in enumerate(report.sections, 1):
        yield from ("", f"## {number}. {each.section.title}")
        for part in each.parts:
            yield from ("", f"### {plain(part.title)}", "")
            yield from part_lines(part)
        if each.section.prompt:
            yield from ("", "### Assessment", "", each.text or "Nothing was written here.")


def part_lines(part: Part) -> Iterator[str]:
    if part.note:
        yield from (plain(part.note[:1].upper() + part.note[1:]) + ".", "")
    if part.text:
        yield from (*(f"> {line}".rstrip() for line in part.text.splitlines()), "")
    if part.head:
        yield row(part.head)
        yield row(("---",) * len(part.head), escaped=True)
        yield from (row(each) for each in part.rows)
    else:
        yield from (f"- {plain(name)}: {plain(value)}" for name, value in part.rows)


def row(cells: tuple[str, ...], *, escaped: bool = False) -> str:
    return f"| {' | '.join(cell if escaped else plain(cell) for cell in cells)} |"


def plain(text: str) -> str:
    """Text on one line that Markdown takes for nothing but text."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))
