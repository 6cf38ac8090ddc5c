"""Reports as pages of their own: what the portal shows of them, in one file that needs no portal."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.templatetags.static import static

from fairness.reports import leaving
from fairness.views import BODIES, about, lead, parts_of
from registry.models import Evidence

SHEET = "<!-- sheet -->"
SYMBOLS = "<!-- symbols -->"


def as_page(evidence: Evidence) -> bytes | None:
    """The report as a page, None for what this version of the portal cannot show."""
    try:
        parts = parts_of(evidence, leaving(evidence), leaving)
    except (ValueError, KeyError, TypeError):
        return None
    context: dict[str, Any] = about(evidence.version) | parts | {
        "evidence": evidence, "lead": lead(evidence), "job": None, "may_ask": False,
        "body": f"fairness/_{BODIES[evidence.kind]}.html",
    }  # fmt: skip
    return standing_alone(render_to_string("approvals/pack/report.html", context)).encode()


def standing_alone(page: str) -> str:
    """With the style sheet and symbols in it, and links that lead to the portal."""
    page = page.replace(f'href="{static("icons.svg")}#', 'href="#')
    page = re.sub(r'(href|action)="/', lambda match: f'{match[1]}="{settings.PUBLIC_URL}/', page)
    return page.replace(SHEET, f"<style>{text_of('app.css')}</style>").replace(
        SYMBOLS, f"<div hidden>{text_of('icons.svg')}</div>"
    )


def text_of(name: str) -> str:
    path = finders.find(name)
    assert isinstance(path, str), f"{name} is part of the portal"
    with open(path, encoding="utf-8") as file:
        return file.read()
