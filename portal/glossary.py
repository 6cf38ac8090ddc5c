"""Terms and their meaning, as docs/glossary.md defines them."""

import re
from functools import cache

from django.conf import settings

# A term is a heading of second or third level; its meaning is the first paragraph below it.
_TERM = re.compile(r"^#{2,3} +(?P<term>.+?)\s*\n+(?P<meaning>[^#\n].*(?:\n[^#\n].*)*)", re.MULTILINE)
_MARKS = re.compile(r"\[([^\]]*)\]\([^)]*\)|[*_`]{1,2}(?=\S)|(?<=\S)[*_`]{1,2}")


@cache
def terms() -> dict[str, str]:
    """Meaning by term in lower case; empty where the documentation is not installed."""
    page = settings.BASE_DIR / "docs" / "glossary.md"
    return parse(page.read_text(encoding="utf-8")) if page.exists() else {}


def parse(text: str) -> dict[str, str]:
    """Headings and their first paragraphs, without Markdown's marks."""
    return {
        found["term"].strip(" `*").lower(): _MARKS.sub(r"\1", " ".join(found["meaning"].split()))
        for found in _TERM.finditer(text)
    }


def meaning(term: str) -> str:
    """The first paragraph on a term, "" for one that the glossary lacks."""
    return terms().get(term.strip().lower(), "")
