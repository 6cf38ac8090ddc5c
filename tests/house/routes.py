"""Every route of the portal, from the resolver."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from django.urls import reverse as address_of


@dataclass(frozen=True)
class Route:
    name: str
    path: str  # as written: `versions/<int:pk>/`
    view: Any  # the view class of an API route, else the function
    arguments: tuple[str, ...]

    @property
    def is_api(self) -> bool:
        return self.path.startswith(("api/", "log/"))

    def reverse(self, **arguments: Any) -> str:
        return address_of(self.name, kwargs=arguments)


def routes() -> list[Route]:
    return list(walk(get_resolver(), ""))


def walk(resolver: URLResolver, prefix: str) -> Iterator[Route]:
    for pattern in resolver.url_patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from walk(pattern, path)
        elif isinstance(pattern, URLPattern):
            view = getattr(pattern.callback, "cls", None) or pattern.callback
            yield Route(pattern.name or "", path, view, tuple(pattern.pattern.converters))
