"""Every page visited as each role: it answers, has a title and a heading, and is linked from somewhere."""

from __future__ import annotations

import re
from functools import cache
from html import unescape
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from django.db import transaction
from django.test import Client
from django.urls import Resolver404, resolve
from django.urls import reverse as address_of

from tests.house.routes import Route, routes
from tests.house.world import build, found_by

pytestmark = pytest.mark.django_db
# Machines ask these; and these are reached by a redirect, by a link in somebody's hand, or by a form on every page.
NO_PAGES = {"healthz", "readyz", "jwks"}
UNLINKED = {"sign-in", "sign-in-second", "invitation", "password-reset", "factors-reset"}
OPEN = {"sign-in", "forgot-password"}  # to everybody
SAME = {"second_developer", "second_approver"}  # they see what the first of their role sees
# Parts of pages, and files.
PARTS = {"job-live", "export-live", "pack-live"}


def pages() -> list[Route]:
    return [route for route in routes() if not route.is_api and route.name not in NO_PAGES]


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
    if re.search(r"\sstyle=|<style|<script(?![^>]*\ssrc=)|\son[a-z]+=\"", text):
        wrong.append(f"{said} has an inline style or script")
    if who not in ("nobody",) and 'aria-label="Main"' not in text:
        wrong.append(f"{said} has no way back")
    return wrong


def test_every_page_answers_each_role_and_is_linked(cast, signed_in):
    world, wrong, linked, opened = build(cast), list[str](), set[str](), set[str]()
    tried = set[str]()  # tabs are the same for whoever may open their page
    clients: dict[str, tuple[Any, Client]] = {
        name: (actor, signed_in(actor)) for name, actor in cast.everybody().items() if name not in SAME | {"ci_bot"}
    }
    for name, (actor, client) in {**clients, "nobody": (None, Client())}.items():
        for route in pages():
            arguments = {one: found_by(world, one, route.path, actor) for one in route.arguments}
            point = transaction.savepoint()
            client.raise_request_exception = False  # an error is a finding like any other
            answer = client.get(route.reverse(**arguments))
            if answer.streaming:
                b"".join(answer.streaming_content)
            transaction.savepoint_rollback(point)
            status = answer.status_code
            if status not in (200, 302, 403, 404, 405, 409):
                wrong.append(f"{name}: {route.path} → {status}")
            if status in (200, 302, 405) and name != "nobody":
                opened.add(route.name)
            if status == 200 and not answer.streaming:
                wrong += faults(route, name, answer)
                text = answer.content.decode()
                here = route.reverse(**arguments)
                for tab in {urljoin(here, tab) for tab in re.findall(r'href="([^"]*\?tab=\w+)"', text)} - tried:
                    tried.add(tab)
                    shown = client.get(tab)
                    wrong += faults(route, name, shown) if shown.status_code == 200 else [f"{name}: {tab}"]
                    text += shown.content.decode()
                linked |= names_linked(text)
            if name == "nobody" and status == 200 and route.name not in OPEN:
                wrong.append(f"{route.path} is open to everybody")
            if name == "outsider" and status == 200 and world.models.name in str(getattr(answer, "content", b"")):
                wrong.append(f"{route.path} shows the outsider a model of another team")
        for page, pk in world.more if name not in ("nobody", "outsider") else []:
            linked |= names_linked(client.get(address_of(page, args=[pk])).content.decode())
    unlinked = {route.name for route in pages()} - linked - UNLINKED
    assert not wrong, "\n".join(wrong)
    assert not unlinked, "no page links to these"
    unopened = {route.name for route in pages()} - opened - {"invitation", "password-reset", "factors-reset"}
    assert not unopened, "nobody could open these"


@pytest.mark.parametrize(
    "text",
    [
        "<h1>x</h1>",
        "<title>· Countersign</title><h1>x</h1>",
        "<title>x · Countersign</title>",
        '<title>x · Countersign</title><h1>x</h1><p style="color:red">',
        "<title>x · Countersign</title><h1>x</h1><script>alert(1)</script>",
        '<title>x · Countersign</title><h1>x</h1><a onclick="x()">',
    ],
)
def test_a_bad_page_is_noticed(text):
    from django.http import HttpResponse

    assert faults(Route("x", "x/", None, ()), "nobody", HttpResponse(text))


def test_a_good_page_is_let_through():
    from django.http import HttpResponse

    page = '<title>x · Countersign</title><h1>x</h1><nav aria-label="Main"><script src="a.js" defer></script>'
    assert faults(Route("x", "x/", None, ()), "developer", HttpResponse(page)) == []
