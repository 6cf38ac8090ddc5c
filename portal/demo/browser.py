"""A visitor without a browser window: follows links, fills in forms, and calls the API with the same session."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import httpx


class DemoFailed(Exception):
    """What was seen is not what the demo promises."""


@dataclass
class Form:
    action: str
    method: str
    fields: dict[str, list[str]] = field(default_factory=dict)
    boxes: dict[str, list[str]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)


class Forms(HTMLParser):
    """Collects a page's forms with what is filled in already, and its visible words."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.words: list[str] = []
        self.select = ""
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("action", ""), given.get("method", "get").lower()))
            self.inside = True
        elif not self.inside or not self.forms:
            return
        elif tag == "select":
            self.select = given.get("name", "")
        elif tag == "option" and self.select and "selected" in given:
            self.forms[-1].fields.setdefault(self.select, []).append(given.get("value", ""))
        elif tag in ("input", "textarea", "button") and (name := given.get("name")):
            kind = given.get("type", "text") if tag != "button" else "submit"
            self.forms[-1].kinds[name] = kind
            if kind in ("checkbox", "radio"):
                self.forms[-1].boxes.setdefault(name, []).append(given.get("value", "on"))
                if "checked" in given:
                    self.forms[-1].fields.setdefault(name, []).append(given.get("value", "on"))
            elif kind not in ("submit", "button", "file"):
                self.forms[-1].fields.setdefault(name, []).append(given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = False
        elif tag == "select":
            self.select = ""

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.words.append(data.strip())


@dataclass
class Page:
    url: str
    status: int
    text: str

    def __post_init__(self) -> None:
        self.parsed = Forms()
        self.parsed.feed(self.text)

    @property
    def words(self) -> str:
        return " ".join(self.parsed.words)

    def form_with(self, name: str) -> Form:
        """The first form that has a field of this name. Raises DemoFailed if there is none."""
        for form in self.parsed.forms:
            if name in form.kinds or name in form.fields:
                return form
        raise DemoFailed(f"{self.url} (status {self.status}) has no form with “{name}”: {self.words[:300]}")


@cache
def trusted() -> ssl.SSLContext:
    """Whom the system trusts, read once: each client would read it anew."""
    return httpx.create_ssl_context()


class Visitor:
    """One person at the portal: a session from the sign-in page, used for pages and for the API."""

    def __init__(self, web: str, email: str, password: str) -> None:
        self.web, self.email, self.password = web, email, password
        self.http = httpx.Client(
            base_url=web, follow_redirects=True, timeout=60, headers={"Referer": web}, verify=trusted()
        )
        try:
            page = self.submit(self.get("/sign-in/").form_with("password"), "/sign-in/", email=email, password=password)
            if "/sign-in/" in page.url:
                raise DemoFailed(f"{email} could not sign in: {page.words[:300]}")
        except BaseException:
            self.http.close()
            raise

    def get(self, path: str) -> Page:
        answer = self.http.get(path)
        return Page(str(answer.url), answer.status_code, answer.text)

    def submit(self, form: Form, seen_at: str, *, tick_all: bool = False, **values: str) -> Page:
        data: dict[str, Any] = {**form.fields}
        if tick_all:
            data |= {name: offered for name, offered in form.boxes.items() if form.kinds.get(name) == "checkbox"}
        data |= values
        answer = self.http.post(urljoin(str(self.http.base_url.join(seen_at)), form.action or ""), data=data)
        return Page(str(answer.url), answer.status_code, answer.text)

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """An API call with the session; never raises for a status."""
        headers = {"X-CSRFToken": self.http.cookies.get("csrftoken") or "", **options.pop("headers", {})}
        return self.http.request(method, f"/api/v1{path}", headers=headers, **options)

    def call(self, method: str, path: str, **options: Any) -> Any:
        """An API call that must succeed; its JSON. Raises DemoFailed with the problem's sentence."""
        answer = self.ask(method, path, **options)
        if answer.status_code >= 400:
            raise DemoFailed(f"{method} {path} was answered {answer.status_code}: {problem(answer)}")
        return answer.json() if answer.content else None


def problem(answer: httpx.Response) -> str:
    """The sentence of a problem document, or the beginning of whatever came."""
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return re.sub(r"\s+", " ", answer.text)[:300]
