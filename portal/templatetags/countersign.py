"""The tags pages are built from; docs/pages.md shows each. All are builtins of the template engine: no `load`."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django import template
from django.template.context import Context
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from portal import glossary, words

register = template.Library()
register.filter("humanise", words.humanise)
register.filter("short_digest", words.short_digest)
register.filter("file_size", words.size_of)
register.filter("duration", words.length)
register.filter("initials", words.initials)


# Tables say the same few hundreds of times. `typed`, so that text that is safe is never taken for text that is not.
same = lru_cache(maxsize=2048, typed=True)


def _part(name: str, **context: Any) -> SafeString:
    return render_to_string(f"partials/{name}.html", context)


def _unique(context: Context, stem: str) -> str:
    """An id that no other tag of this page has, through includes too (but not those with `only`)."""
    # The lowest layer of the context is the one that includes share.
    counts: dict[str, int] = context.dicts[0].setdefault("countersign_ids", {})
    counts[stem] = counts.get(stem, 0) + 1
    return f"{stem}-{counts[stem]}"


@register.simple_tag
@same
def icon(name: str, label: str = "", tone: str = "") -> SafeString:
    """A symbol of static/icons.svg; silent to screen readers unless `label` gives it a word."""
    classes = f"icon {tone}".strip()
    target = f"{static('icons.svg')}#{name}"
    if label:
        return format_html('<svg class="{}" role="img" aria-label="{}"><use href="{}"/></svg>', classes, label, target)
    return format_html('<svg class="{}" aria-hidden="true"><use href="{}"/></svg>', classes, target)


@register.simple_tag
@same
def state(code: str, word: str = "") -> SafeString:
    """A state as icon, word and colour; `word` replaces the usual word."""
    look = words.state_of(str(code))
    return format_html('<span class="state {}">{}<span>{}</span></span>', look.tone, icon(look.icon), word or look.word)


@register.simple_tag
def digest(value: str | bytes | memoryview | None) -> SafeString:
    """Shortened on screen, whole when copied, printed or read out."""
    if not value:
        return format_html('<span class="muted">{}</span>', "none")
    full = words.full_digest(value)
    return format_html(
        '<span class="digest" data-copy="{}" title="{}"><span class="short" aria-hidden="true">{}</span>'
        '<span class="full">{}</span></span>',
        full, full, words.short_digest(full), full,
    )  # fmt: skip


@register.simple_tag
def when(moment: datetime | None, otherwise: str = "never") -> SafeString:
    """How long ago or until, exact on hover and in print."""
    if not moment:
        return format_html('<span class="muted">{}</span>', otherwise)
    at = words.in_utc(moment)
    return format_html(
        '<time datetime="{}" title="{}"><span class="ago">{}</span><span class="exact">{}</span></time>',
        at.isoformat(timespec="seconds"), words.exact(at), words.relative(at, timezone.now()), words.exact(at),
    )  # fmt: skip


@register.simple_tag
def person(who: Any, link: bool = True) -> SafeString:
    """A person or service account by name, linked where it has a page; nobody is the system."""
    if not who:
        return format_html('<span class="person">{}</span>', "the system")
    name = _name(who)
    address = getattr(who, "get_absolute_url", None)
    mark = icon("robot", "service account") if getattr(who, "kind", "") == "service_account" else ""
    if link and callable(address):
        return format_html('<a class="person" href="{}">{}{}</a>', address(), mark, name)
    return format_html('<span class="person">{}{}</span>', mark, name)


def _name(who: Any) -> str:
    return getattr(who, "name", "") or str(who)


@register.simple_tag
def face(who: Any) -> SafeString:
    """A round mark with the initials, for conversations."""
    if not who:
        return format_html('<span class="face" aria-hidden="true">{}</span>', icon("shield"))
    return format_html('<span class="face" aria-hidden="true">{}</span>', words.initials(_name(who)))


@register.simple_tag
def number(
    value: float | Decimal | None, unit: str = "", digits: int | None = None, *, sign: bool = False
) -> SafeString:
    """Tabular, thin spaces between thousands, unit after it."""
    text = words.number(value, digits, sign=sign)
    if not unit or words.absent(value):
        return _figure(text)
    return format_html('<span class="number">{}<span class="unit">{}{}</span></span>', text, words.THIN, unit)


def _figure(text: str) -> SafeString:
    if text == "–":
        return format_html('<span class="number"><span aria-hidden="true">{}</span>{}</span>', "–", _hidden("no value"))
    return format_html('<span class="number">{}</span>', text)


def _hidden(text: str) -> SafeString:
    return format_html('<span class="hide">{}</span>', text)


@register.simple_tag
def percent(value: float | Decimal | None, digits: int = 1, *, sign: bool = False) -> SafeString:
    """A fraction as per cent."""
    return _figure(words.percent(value, digits, sign=sign))


@register.simple_tag
def interval(low: float | None, high: float | None, digits: int = 2, *, percent: bool = False) -> SafeString:
    """`[low, high]`, never broken over two lines."""
    return format_html('<span class="number ci">{}</span>', words.interval(low, high, digits, as_percent=percent))


@register.simple_tag
def estimate(
    value: float | None, low: float | None, high: float | None, digits: int = 2, *, percent: bool = False
) -> SafeString:
    """A value and its interval: `0.88 [0.82, 0.94]`."""
    text = words.percent(value, digits) if percent else words.number(value, digits)
    if words.absent(low) and words.absent(high):
        return _figure(text)
    ends = words.interval(low, high, digits, as_percent=percent)
    return format_html('<span class="number">{} <span class="ci">{}</span></span>', text, ends)


@register.simple_tag
def change(value: float | None, digits: int = 2, better: str = "higher") -> SafeString:
    """A difference with sign and word; `better` is higher, lower or neither."""
    if value is None or words.absent(value) or better == "neither":
        return _figure(words.number(value, digits, sign=True))
    text = words.number(value, digits, sign=True)
    if text[0] not in f"+{words.MINUS}":
        return format_html('<span class="number flat">{}</span>', "no change")
    good = (text[0] == "+") is (better == "higher")
    return format_html(
        '<span class="number {}">{} {}</span>', "up" if good else "down", text, "better" if good else "worse"
    )


@register.simple_tag
def progress(value: float | None, label: str = "", phase: str = "") -> SafeString:
    """A bar from 0 to 100 with phase text; None is a bar without known end."""
    return _part("progress", value=value, label=label or phase or "Progress", phase=phase)


@register.simple_tag
def empty_state(title: str, text: str = "", url: str = "", action: str = "", icon: str = "empty") -> SafeString:
    """What to say, and to do, where there is nothing to list."""
    return _part("empty_state", title=title, text=text, url=url, action=action, icon=icon)


@register.simple_tag(takes_context=True)
def help(context: Context, term: str) -> SafeString:
    """A question mark that opens the glossary's words on a term; nothing where the glossary lacks it."""
    meaning = glossary.meaning(term)
    if not meaning:
        return SafeString("")
    return _part("help", id=_unique(context, "help"), term=term, meaning=meaning)


@register.simple_tag
def crumbs(*parts: str) -> SafeString:
    """Way back: pairs of name and address, the last name alone for this page."""
    links = list(zip(parts[0::2], parts[1::2], strict=False))
    return _part("crumbs", links=links, here=parts[-1] if len(parts) % 2 else "")


@register.simple_tag(takes_context=True)
def query(context: Context, **changes: Any) -> str:
    """This page's query string with some parameters changed; None or "" takes one out."""
    request = context.get("request")
    parameters: dict[str, list[str]] = dict(request.GET.lists()) if request else {}
    for name, value in changes.items():
        parameters.pop(name, None)
        if value not in (None, ""):
            parameters[name] = [str(value)]
    return f"?{urlencode(parameters, doseq=True)}"


@register.simple_tag(takes_context=True)
def sort_head(context: Context, label: str, key: str, numeric: bool = False) -> SafeString:
    """A `th` that sorts by `?sort=key`, and again the other way round."""
    request = context.get("request")
    current = request.GET.get("sort", "") if request else ""
    order = {key: "ascending", f"-{key}": "descending"}.get(current, "")
    target = query(context, sort=f"-{key}" if current == key else key, before=None, after=None)
    return _part("sort_head", label=label, order=order, target=target, numeric=numeric)


@register.simple_block_tag
def panel(
    content: str, title: str = "", *, id: str = "", note: str = "", state: str = "",
    url: str = "", action: str = "", flush: bool = False, tone: str = "", level: int = 2,
) -> SafeString:  # fmt: skip
    """A box with a heading; `flush` for tables and lists that reach its edges."""
    return _part(
        "panel", content=content, title=title, id=id, note=note, state=state,
        url=url, action=action, flush=flush, tone=tone, tag=f"h{level}",
    )  # fmt: skip


@register.simple_block_tag(takes_context=True)
def gate_box(
    context: Context, content: str, title: str, requirements: Sequence[Any], *, tone: str = "wait", note: str = ""
) -> SafeString:
    """Requirements with state, sentence and right note; between the tags stand the next acts."""
    return _part(
        "gate_box", content=SafeString(content.strip()), title=title, requirements=requirements, tone=tone, note=note,
        id=_unique(context, "gate"),
    )  # fmt: skip


@register.simple_block_tag
def page_head(content: str, title: str, *, state: str = "", lead: str = "") -> SafeString:
    """The page's h1 with state and one line below; between the tags stand buttons."""
    return _part("page_head", content=SafeString(content.strip()), title=title, state=state, lead=lead)


@register.simple_block_tag
def table(content: str, label: str, *, tall: bool = False) -> SafeString:
    """A table that scrolls in its own frame; `tall` limits its height so that the head stays in sight."""
    return _part("table", content=content, label=label, tall=tall)


@register.simple_block_tag
def notice(content: str, tone: str = "info", title: str = "") -> SafeString:
    """A remark set off from the text: info, ok, wait, no or off."""
    look = {"info": "info", "ok": "ok", "wait": "warn", "no": "no"}.get(tone, "info")
    return _part("notice", content=content, tone=tone, title=title, icon=look)


@register.simple_block_tag
def said(content: str, who: Any, at: datetime | None = None, *, role: str = "", id: str = "") -> SafeString:
    """One entry of a conversation."""
    return _part("said", content=content, who=who, at=at, role=role, id=id)


@register.simple_block_tag(takes_context=True)
def filter_bar(context: Context, content: str, *, label: str = "Filter") -> SafeString:
    """A GET form around fields; keeps the sort order, drops the place in the list."""
    request = context.get("request")
    return _part("filter_bar", content=content, label=label, sort=request.GET.get("sort", "") if request else "",
                 used=bool(request and [key for key in request.GET if key not in ("sort", "before", "after")]),
                 path=request.path if request else "")  # fmt: skip


@register.simple_tag
def tabs(label: str, entries: Sequence[Any], current: str = "") -> SafeString:
    """Links as tabs; entries are dicts with key, label, url and perhaps count."""
    return _part("tabs", label=label, entries=entries, current=current)


@register.simple_tag
def csv_list(items: Sequence[Any], nothing: str = "none") -> SafeString:
    """`a, b and c`."""
    if not items:
        return format_html('<span class="muted">{}</span>', nothing)
    *first, last = items
    start = format_html_join(", ", "{}", ((item,) for item in first))
    return format_html("{} and {}", start, last) if first else format_html("{}", last)
