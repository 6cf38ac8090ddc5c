"""What every page's frame needs: navigation, theme, version."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.db import Error
from django.http import HttpRequest
from django.urls import Resolver404, get_urlconf, resolve
from django.utils.functional import SimpleLazyObject

from ledger.actors import ORIGIN
from portal import health

THEMES = ("light", "dark")


@dataclass(frozen=True)
class Entry:
    """One entry of the navigation; `under` lists first path segments that belong to it."""

    key: str
    label: str
    path: str
    under: tuple[str, ...]
    rare: bool = False
    current: bool = False
    count: int = 0


ENTRIES = (
    Entry("inbox", "Inbox", "/", ("",)),
    Entry("models", "Models", "/models/", ("models", "versions", "artifacts", "evidence", "imports", "attestations")),
    Entry("requests", "Requests", "/requests/", ("requests", "decisions", "risk-acceptances")),
    Entry("findings", "Findings", "/findings/", ("findings",)),
    Entry("datasets", "Datasets", "/datasets/", ("datasets", "connections")),
    Entry("endpoints", "Endpoints", "/endpoints/", ("endpoints", "keys", "key-requests", "predictions", "rollouts")),
    Entry("audit", "Audit", "/audit/", ("audit", "exports")),
    Entry("reports", "Reports", "/reports/", ("reports",), rare=True),
    Entry("jobs", "Jobs", "/jobs/", ("jobs",), rare=True),
    Entry("policies", "Policies", "/policies/", ("policies",), rare=True),
    Entry("erasures", "Erasures", "/erasures/", ("erasures", "holds"), rare=True),
    Entry(
        "people",
        "People",
        "/people/",
        ("people", "grant-proposals", "roles", "teams", "notifications", "webhooks"),
        rare=True,
    ),
)


@cache
def leads_somewhere(path: str, urlconf: str | None) -> bool:
    """Whether an address has a page."""
    try:
        resolve(path, urlconf)
    except Resolver404:
        return False
    return True


def navigation(request: HttpRequest) -> list[Entry]:
    """Entries that lead somewhere; the current one by the first segment of the matched route."""
    match = request.resolver_match
    segment = match.route.lstrip("^").split("/")[0] if match and match.route else ("" if match else None)
    urlconf = get_urlconf()
    return [
        Entry(entry.key, entry.label, entry.path, entry.under, entry.rare, segment in entry.under)
        for entry in ENTRIES
        if leads_somewhere(entry.path, urlconf)
    ]


def log_delay(request: HttpRequest) -> health.LogState | None:
    """What to tell those who read the log while acts wait for their seal."""
    user: Any = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return None
    try:
        found = health.log_state()
        return found if found.delayed and user.may_somewhere("audits.view_log") else None
    except Error:
        return None


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context processor: `nav`, `log_delay`, `theme` (light, dark or ""), `version`, `public_url`, `request_id`."""
    theme = request.COOKIES.get("theme", "")
    origin = ORIGIN.get()
    return {
        "nav": SimpleLazyObject(lambda: navigation(request)),
        "log_delay": SimpleLazyObject(lambda: log_delay(request)),
        "theme": theme if theme in THEMES else "",
        "version": settings.VERSION,
        "public_url": settings.PUBLIC_URL,
        "request_id": origin.request_id if origin else "",
    }
