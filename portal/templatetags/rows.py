"""Rows of the longest tables, made in Python: where the template engine looks up each cell's parts, that is most of a
page's time.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django import template
from django.template.context import Context
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString, mark_safe

from portal.templatetags.countersign import number, person, query, same, state, when

register = template.Library()
BREAK, NOTHING = SafeString("<br>"), SafeString("")
LOG_ROW = (
    '<tr data-row><th scope="row"><a href="{}">{}</a></th><td>{}</td><td>{}</td><td class="nowrap">{}</td><td>{}</td>'
    '<td class="nowrap">{}</td></tr>\n'
)
MODEL_ROW = (
    '<tr data-row><th scope="row"><a href="{}">{}</a><br>{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>'
    '<td>{}</td><td class="num">{}</td></tr>\n'
)


def joined(parts: Iterable[SafeString]) -> SafeString:
    return mark_safe("".join(parts))  # noqa: S308  # each was escaped


@same
def muted(text: str) -> SafeString:
    return format_html('<span class="muted">{}</span>', text)


@register.simple_tag(takes_context=True)
def log_rows(context: Context, entries: Iterable[Any]) -> SafeString:
    """A row of the audit log for each `audits.reading.Entry`; its object leads to all events about that."""
    unlike = query(context, object_type=None, object_id=None, before=None, after=None)
    join = "" if unlike == "?" else "&"
    page = reverse("audit-entry", args=[uuid.UUID(int=0)]).replace(str(uuid.UUID(int=0)), "{}")
    waits = state("pending", "waits for its seal")
    rows = []
    for entry in entries:
        event, about = entry.event, NOTHING
        if event.object_type:
            asked = urlencode({"object_type": event.object_type, "object_id": event.object_id})
            name = f"{event.object_type} {event.object_id}"
            about = format_html('<a href="{}">{}</a>', f"{unlike}{join}{asked}", name)
        seal = waits if entry.entry is None else format_html("entry {}", number(entry.entry))
        cells = (person(entry.who), about, when(entry.at), state(event.outcome), seal)
        rows.append(format_html(LOG_ROW, page.format(event.pk), entry.text, *cells))
    return joined(rows)


@register.simple_tag
def model_rows(rows: Iterable[Any]) -> SafeString:
    """A row of the inventory for each `portal.inventory.rows.Row`."""
    page = reverse("model", args=[0]).replace("0", "{}")
    return joined(
        format_html(
            MODEL_ROW, page.format(row.model.pk), row.model.name, muted(row.model.slug), stands(row.stands),
            review(row), test(row), tier(row.model), str(row.model.team), person(row.model.owner, link=False),
            number(row.latest),
        )
        for row in rows
    )  # fmt: skip


def stands(told: Iterable[Any]) -> SafeString:
    shown = [
        format_html(
            "<p>{} {}</p>", state(each.result.state), muted(f"version {each.version.number}, {each.result.environment}")
        )
        for each in told
    ]  # fmt: skip
    return joined(shown) or muted("nothing asked yet")


def review(row: Any) -> SafeString:
    if row.review is None:
        return state(row.review_state) if row.review_state else muted("none: nothing is approved")
    return format_html("{}{}", above(row.review_state), when(row.review))


def test(row: Any) -> SafeString:
    if row.test is None:
        return muted("not yet")
    return format_html('{}<span class="muted">{}</span>', above(row.verdict), when(row.test.created_at))


@same
def above(code: str) -> SafeString:
    """A state with the rest of its cell below it."""
    return format_html("{}{}", state(code), BREAK) if code else NOTHING


@same
def tier_of(tier: str, known: bool) -> SafeString:
    return format_html("{}{}", state(tier), NOTHING if known else format_html("{}{}", BREAK, muted("not set yet")))


def tier(model: Any) -> SafeString:
    return tier_of(str(model.tier), bool(model.risk_tier))
