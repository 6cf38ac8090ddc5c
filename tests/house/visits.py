"""Visits to every page by whoever may open it: what was answered, what was wrong with it, and what it links to."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from html import unescape
from typing import Any
from urllib.parse import urljoin, urlsplit

from django.test import Client
from django.urls import Resolver404, resolve
from django.urls import reverse as address_of

from tests.house.routes import Route, routes
from tests.house.world import found_by

# Machines ask these; and these are reached by a redirect, by a link in somebody's hand, or by a form on every page.
NO_PAGES = {"healthz", "readyz", "jwks"}
BY_LINK = {"invitation", "password-reset", "factors-reset"}
UNLINKED = {"sign-in", "sign-in-second", *BY_LINK}
OPEN = {"sign-in", "forgot-password"}  # to everybody
SAME = {"second_developer", "second_approver"}  # they see what the first of their role sees
EVERYWHERE = {"nobody", "outsider"}  # who try every page, whoever could open it before
# Parts of pages, and files.
PARTS = {"job-live", "export-live", "pack-live", "batch-live"}


@cache
def pages() -> list[Route]:
    return [route for route in routes() if not route.is_api and route.name not in NO_PAGES]


@cache
def about(name: str) -> set[str]:
    """What the page of this name is about: the first part of its address and the first word of its name."""
    path = next(route.path for route in pages() if route.name == name)
    return {path.partition("/")[0].removesuffix("s"), name.partition("-")[0].removesuffix("s")}


def names_linked(text: str) -> set[str]:
    """Names of the routes that a page's links, forms and live parts lead to."""
    return {name_of(address) for address in set(re.findall(r'(?:href|action|hx-get|hx-post)="([^"]*)"', text))}


@cache
def name_of(address: str) -> str:
    try:
        return resolve(urlsplit(unescape(address)).path).url_name or ""
    except Resolver404:
        return ""


def faults(route: Route, who: str, answer: Any) -> list[str]:
    """What is wrong with a page that was answered with 200."""
    if not answer["Content-Type"].startswith("text/html") or route.name in PARTS:
        return []
    text, said = answer.content.decode(), f"{who}: {route.path}"
    wrong = []
    if not re.search(r"<title>\s*[^·<\s][^<]*· Countersign</title>", text):
        wrong.append(f"{said} has no title")
    if len(re.findall(r"<h1[ >]", text)) != 1:
        wrong.append(f"{said} has not one h1")
    if 'href=""' in text:
        wrong.append(f"{said} has a link to nowhere")
    if re.search(r"\sstyle=|<style|<script(?![^>]*\ssrc=)|\son[a-z]+=\"", text):
        wrong.append(f"{said} has an inline style or script")
    if who not in ("nobody",) and 'aria-label="Main"' not in text:
        wrong.append(f"{said} has no way back")
    return wrong


@dataclass
class Page:
    route: Route
    place: str
    headers: Any
    body: bytes


class Visits:
    """Who opened what, what was wrong with it, and which routes the pages seen so far lead to."""

    def __init__(self, world: Any, signed_in: Any) -> None:
        people = {name: actor for name, actor in world.cast.everybody().items() if name not in SAME | {"ci_bot"}}
        self.world, self.clients = world, {name: (actor, signed_in(actor)) for name, actor in people.items()}
        self.clients["nobody"] = (None, Client())
        self.roles = [name for name in self.clients if name not in EVERYWHERE]
        for _, client in self.clients.values():
            client.raise_request_exception = False  # an error is a finding like any other
        self.wrong, self.linked = list[str](), set[str]()
        self.opened = dict[str, str]()  # by whom first
        self.settled = set[str]()  # another role would not see more: a page, a file, a form's address
        self.pages = defaultdict[str, list[Page]](list)  # of each role those that it was the first to see
        self.done = set[tuple[str, str]]()
        self.tabs = set[str]()  # tabs are the same for whoever may open their page

    def visit(self, name: str, route: Route) -> None:
        if (name, route.name) in self.done:
            return
        self.done.add((name, route.name))
        actor, client = self.clients[name]
        here = route.reverse(**{one: found_by(self.world, one, route.path, actor) for one in route.arguments})
        answer = client.get(here)
        if answer.streaming:
            b"".join(answer.streaming_content)
        status = answer.status_code
        if status not in (200, 302, 403, 404, 405, 409):
            self.wrong.append(f"{name}: {route.path} → {status}")
        may = name in self.roles or route.name in OPEN
        if status in (200, 302, 405) and may:
            self.opened.setdefault(route.name, name)
        if status in (200, 405) and may and route.name not in self.settled:
            self.settled.add(route.name)
            if status == 200 and answer["Content-Type"].startswith("text/html") and route.name not in PARTS:
                self.pages[name].append(Page(route, here, answer.headers, answer.content))
        if status == 200 and not answer.streaming:
            self.wrong += faults(route, name, answer)
            text = answer.content.decode(errors="replace")  # a file may be no text
            self.linked |= names_linked(text)
            if name in self.roles:
                self.turn(name, here, text)
        if name == "nobody" and status == 200 and route.name not in OPEN:
            self.wrong.append(f"{route.path} is open to everybody")
        if name == "outsider" and status == 200 and self.world.models.name in str(getattr(answer, "content", b"")):
            self.wrong.append(f"{route.path} shows the outsider a model of another team")

    def turn(self, name: str, here: str, text: str) -> None:
        """Look at the tabs of a page."""
        for tab in {urljoin(here, tab) for tab in re.findall(r'href="([^"]*\?tab=\w+)"', text)} - self.tabs:
            self.tabs.add(tab)
            if not self.look(name, tab):
                self.wrong.append(f"{name}: {tab}")

    def look(self, name: str, place: str) -> bool:
        """Whether somebody gets the page at an address, which is judged and read like the others."""
        shown = self.clients[name][1].get(place)
        if shown.status_code != 200:
            return False
        self.wrong += faults(Route(place, place, None, ()), name, shown)
        self.linked |= names_linked(shown.content.decode())
        return True

    def likely(self, route: Route) -> list[str]:
        """The roles, first those that opened a page about the same things, the latest of them first of all."""
        near = [who for name, who in self.opened.items() if about(name) & about(route.name)]
        return list(dict.fromkeys([*reversed(near), *self.roles]))

    def seek(self, fits: Any) -> None:
        """Visit what may lead to a route that no page has led to so far."""
        for name in self.roles:
            for route in pages():
                if any(fits(name, route.name, other) for other in self.unlinked):
                    self.visit(name, route)

    def seek_more(self, fits: Any) -> None:
        """The same, of pages in other states."""
        for name in self.roles:
            for page, pk in self.world.more:
                if any(fits(name, page, other) for other in self.unlinked):
                    self.look(name, address_of(page, args=[pk]))

    def may_and_near(self, name: str, page: str, unlinked: str) -> bool:
        return self.opened.get(unlinked) == name and self.near(name, page, unlinked)

    def near(self, name: str, page: str, unlinked: str) -> bool:
        return bool(about(page) & about(unlinked))

    def anything(self, name: str, page: str, unlinked: str) -> bool:
        return True

    @property
    def unlinked(self) -> set[str]:
        return {route.name for route in pages()} - self.linked - UNLINKED


def made(world: Any, signed_in: Any, everybody: bool) -> Visits:
    """Those of whoever may open nothing to every page, and of one role after another until one could open it.

    First comes the role that opened its neighbour. With `everybody` each role visits each page.
    """
    visits = Visits(world, signed_in)
    for route in pages():
        for name in EVERYWHERE:
            visits.visit(name, route)
        for name in visits.likely(route):
            if route.name not in visits.settled or everybody:
                visits.visit(name, route)
    for page, pk in visits.world.more:
        visits.look(visits.opened[page], address_of(page, args=[pk]))
    # What somebody may do on a page is linked for them alone; most likely from a page about the same things, …
    visits.seek(visits.may_and_near)
    # … or from one in another state.
    visits.seek_more(visits.near)
    visits.seek(visits.near)
    visits.seek_more(visits.anything)
    visits.seek(visits.anything)
    return visits
