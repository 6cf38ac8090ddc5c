"""The law as data: frameworks with articles, dates and what shows that each is kept. One YAML file each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Article:
    """`says` is in our own words; `shown_by` names what the portal keeps that shows it."""

    id: str
    title: str
    says: str
    shown_by: tuple[str, ...]


@dataclass(frozen=True)
class Framework:
    id: str
    title: str
    short: str
    issuer: str
    version: str
    effective: date
    about: str
    articles: tuple[Article, ...]
    dates: tuple[tuple[str, date], ...] = ()
    replaces: str = ""


@cache
def everything() -> dict[str, Framework]:
    """All frameworks by id, in the order of their ids."""
    found = (read(yaml.safe_load(path.read_text(encoding="utf-8"))) for path in sorted(FOLDER.glob("*.yaml")))
    return {each.id: each for each in found}


def read(data: dict[str, Any]) -> Framework:
    """Raises KeyError or TypeError for a file that lacks something or says something unknown."""
    articles = tuple(
        Article(**{**each, "id": str(each["id"]), "shown_by": tuple(each["shown_by"])}) for each in data["articles"]
    )
    dates = tuple((each["what"], each["on"]) for each in data.get("dates", ()))
    return Framework(**{**data, "articles": articles, "dates": dates})
