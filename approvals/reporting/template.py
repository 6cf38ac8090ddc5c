"""The report's sections as data: which evidence fills each, and what its author is asked to write."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parent / "template.yaml"
# What a section can be filled with; `filling.FILLERS` has a function for each.
SOURCES = {
    "model": "the model's record",
    "version": "the version's record and the request",
    "decision_rule": "the version's decision rule",
    "card": "the model card",
    "datasets": "the datasets that the evidence rests on",
    "bias_reports": "the bias reports",
    "explanation_reports": "the explanation reports",
    "documents": "documents that people submitted",
    "findings": "the findings about this version",
    "conditions": "the conditions of this approval",
    "accepted_risks": "the risks accepted here",
    "changes": "the manifest, and that of the last approval",
    "validity": "the policy",
    "open_points": "what the gate says now",
}


@dataclass(frozen=True)
class Section:
    """`prompt` asks the author for words, where it is not empty; a `needed` section cannot stay without them."""

    slug: str
    title: str
    filled_by: tuple[str, ...]
    prompt: str
    needed: bool = False

    @property
    def sources(self) -> list[str]:
        return [SOURCES[each] for each in self.filled_by]


@dataclass(frozen=True)
class Template:
    id: str
    title: str
    about: str
    sections: tuple[Section, ...]

    @property
    def written(self) -> tuple[Section, ...]:
        """The sections that somebody writes in."""
        return tuple(each for each in self.sections if each.prompt)


@cache
def template() -> Template:
    return read(yaml.safe_load(FILE.read_text(encoding="utf-8")))


def read(data: dict[str, Any]) -> Template:
    """Raises KeyError or TypeError for a file that lacks something or says something unknown, ValueError for sections
    that are named twice, filled with nothing that there is, or needed without being asked for.
    """
    sections = tuple(Section(**{**each, "filled_by": tuple(each["filled_by"])}) for each in data["sections"])
    slugs = [each.slug for each in sections]
    if len(set(slugs)) < len(slugs):
        raise ValueError("two sections have the same slug")
    for each in sections:
        if unknown := set(each.filled_by) - set(SOURCES):
            raise ValueError(f"section {each.slug} is filled by {', '.join(sorted(unknown))}, which nothing gives")
        if not each.prompt and (each.needed or not each.filled_by):
            raise ValueError(f"section {each.slug} asks for nothing")
    return Template(**{**data, "sections": sections})
