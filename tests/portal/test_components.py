"""Tags, words and templates without a browser."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django import forms
from django.conf import settings
from django.template import Context, Template
from django.template.loader import render_to_string
from django.test import Client, override_settings

from portal import context, glossary, words
from portal.templatetags import countersign

TEMPLATES = Path(settings.BASE_DIR) / "templates"
PAGES = sorted(TEMPLATES.rglob("*.html"))
THIN = "\u202f"


def written(source: str, **values: Any) -> str:
    return Template(source).render(Context(values)).strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TEMPLATES)))
def test_templates_hold_nothing_that_the_content_security_policy_refuses(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"\sstyle\s*=", text), "a style attribute"
    assert "<style" not in text
    assert not re.search(r"\son[a-z]+\s*=\s*[\"']", text), "an event attribute"
    assert not re.search(r"<script(?![^>]*\ssrc=)", text), "an inline script"
    assert not re.search(r"(?:src|href)=[\"'](?:https?:)?//[^\"']+\.(?:js|css|woff2?)", text), (
        "something from elsewhere"
    )


def test_the_gallery_shows_every_tag_and_every_partial() -> None:
    seen = (TEMPLATES / "gallery.html").read_text() + (TEMPLATES / "base.html").read_text()
    partials = {page.stem: page.read_text() for page in (TEMPLATES / "partials").glob("*.html")}
    tags = set(countersign.register.tags)
    for _ in range(5):
        used = {name for name in partials if f"partials/{name}.html" in seen or f"{{% {name} " in seen}
        seen += "".join(partials[name] for name in used)
    assert set(partials) - used == set()
    assert {tag for tag in tags if not re.search(rf"{{% {tag}\b", seen)} - {"help", "query"} == set()


def test_terms_with_help_are_in_the_glossary() -> None:
    asked = {term for page in PAGES for term in re.findall(r"{% help \"([^\"]+)\"", page.read_text(encoding="utf-8"))}
    assert {term for term in asked if not glossary.meaning(term)} == set()


def test_glossary_reads_headings_and_first_paragraphs() -> None:
    text = (
        "# Glossary\n\nIntro.\n\n## Impact ratio\n\nA *group's* rate over\n[the largest](x.md).\n\nMore.\n\n"
        "### `Gate`\nDecides.\n"
    )
    assert glossary.parse(text) == {"impact ratio": "A group's rate over the largest.", "gate": "Decides."}


@pytest.fixture
def own_glossary(tmp_path: Path) -> Iterator[Path]:
    glossary.terms.cache_clear()
    with override_settings(BASE_DIR=tmp_path):
        yield tmp_path / "docs" / "glossary.md"
    glossary.terms.cache_clear()


def test_help_opens_the_glossarys_words(own_glossary: Path) -> None:
    own_glossary.parent.mkdir()
    own_glossary.write_text("# Glossary\n\n## Impact ratio\n\nA rate <over> another.\n")
    text = written("{% help 'impact ratio' %}{% help 'Impact ratio' %}{% help 'unheard-of' %}")
    assert (
        re.findall(r'popovertarget="([^"]+)"', text) == ["help-1", "help-2"] == re.findall(r'<span id="([^"]+)"', text)
    )
    assert "A rate &lt;over&gt; another." in text
    assert "unheard-of" not in text


def test_help_is_silent_where_the_documentation_is_not_installed(own_glossary: Path) -> None:
    assert written("{% help 'impact ratio' %}") == ""


@pytest.mark.parametrize("mode", [0, 1])
def test_state_colours_are_readable_in_both_modes(mode: int) -> None:
    css = (Path(settings.BASE_DIR) / "static" / "app.css").read_text()
    tokens = {name: pair.split(", ")[mode] for name, pair in re.findall(r"--([\w-]+): light-dark\((#\w+, #\w+)\)", css)}

    def light(name: str) -> float:
        parts = [int(tokens[name][at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def ratio(ink: str, paper: str) -> float:
        low, high = sorted((light(ink), light(paper)))
        return (high + 0.05) / (low + 0.05)

    for state in ("ok", "no", "wait", "off", "info"):
        for paper in (f"{state}-bg", "paper", "raise", "ground"):
            assert ratio(state, paper) >= 4.5, f"{state} on {paper}"
    for ink in ("ink", "ink-2", "accent"):
        for paper in ("paper", "ground", "raise"):
            assert ratio(ink, paper) >= 4.5, f"{ink} on {paper}"
    assert ratio("accent-ink", "accent") >= 4.5
    assert ratio("line-3", "paper") >= 3, "borders of fields"


def test_every_state_has_an_icon_of_the_sprite_and_a_tone_of_the_stylesheet() -> None:
    sprite = (Path(settings.BASE_DIR) / "static" / "icons.svg").read_text()
    for code, look in words.STATES.items():
        assert f'id="{look.icon}"' in sprite, code
        assert look.tone in {"ok", "no", "wait", "off", "info"}, code
        assert look.word[:1].isupper(), code
        assert "_" not in look.word, code


def test_states_say_their_word_even_when_unknown() -> None:
    assert 'class="state wait"' in written('{% state "in_review" %}')
    assert "In review</span>" in written('{% state "in_review" %}')
    assert written('{% state "some_new-thing" %}').count("Some new thing") == 1
    assert "Within bounds" in written('{% state "within" "Within bounds" %}')
    assert words.state_of("").word == "Not known"


@pytest.mark.parametrize(
    "value", ["ab" * 32, "sha256:" + "ab" * 32, bytes([0xAB] * 32), memoryview(bytes([0xAB] * 32))]
)
def test_digests_are_short_to_look_at_and_whole_to_take(value: Any) -> None:
    text = written("{% digest value %}", value=value)
    assert "sha256:abab…abab" in text
    assert f'data-copy="sha256:{"ab" * 32}"' in text
    assert f'<span class="full">sha256:{"ab" * 32}</span>' in text
    assert "none" in written("{% digest value %}", value=None)
    assert words.short_digest("sha256:abcdef") == "sha256:abcdef"


def test_a_time_carries_its_exact_moment() -> None:
    east = datetime(2026, 11, 24, 1, 6, 11)
    text = written("{% when moment %}", moment=east)
    assert 'datetime="2026-11-24T01:06:11+00:00"' in text
    assert text.count("24 Nov 2026, 01:06:11 UTC") == 2
    assert "not yet" in written('{% when moment "not yet" %}', moment=None)


def test_numbers_with_sign_unit_per_cent_and_interval() -> None:
    assert words.number(0.0141, 3, sign=True) == "+0.014"
    assert words.number(0.0, 2, sign=True) == "0.00"
    assert words.percent(0.881) == f"88.1{THIN}%"
    assert words.percent(None) == words.percent(float("nan")) == "–"
    assert words.interval(0.82, None) == "[0.82, –]"
    assert words.interval(0.5, 1, 0, as_percent=True) == f"[50{THIN}%, 100{THIN}%]"
    assert f'12{THIN}345.5<span class="unit">{THIN}ms</span>' in written('{% number 12345.5 "ms" 1 %}')
    assert "no value" in written("{% number None %}")
    assert "0.88 <span" in written("{% estimate 0.88 0.82 0.94 %}")
    assert written("{% estimate 0.88 None None %}") == '<span class="number">0.88</span>'
    assert "[0.82, 0.94]" in written("{% interval 0.82 0.94 %}")
    assert f"88.1{THIN}%" in written("{% percent 0.881 %}")


@pytest.mark.parametrize(
    ("call", "look", "text"),
    [
        ("0.014 3", "up", "+0.014 better"), ("-0.04", "down", "−0.04 worse"), ("0.001", "flat", "no change"),
        ('-0.04 2 better="lower"', "up", "−0.04 better"), ('3 0 better="neither"', "number", "+3"),
        ("None", "number", "no value"), ("missing", "number", "no value"),
    ],
)  # fmt: skip
def test_changes_say_whether_they_are_better(call: str, look: str, text: str) -> None:
    output = written(f"{{% change {call} %}}")
    assert look in output
    assert text in output


@pytest.mark.parametrize(
    "call",
    ["number x", 'number x "ms"', "percent x", "estimate x x x", "interval x x", "change x", "when x", "digest x"],
)
def test_names_that_a_template_does_not_know_are_no_value(call: str) -> None:
    assert re.search("–|never|none", written(f"{{% {call} %}}"))


def test_people_services_and_the_system() -> None:
    someone = SimpleNamespace(name="Vera <Lind>", kind="person", get_absolute_url=lambda: "/people/7/")
    robot = SimpleNamespace(name="pipeline", kind="service_account")
    assert written("{% person who %}", who=someone) == '<a class="person" href="/people/7/">Vera &lt;Lind&gt;</a>'
    assert "href" not in written("{% person who link=False %}", who=someone)
    assert "service account" in written("{% person who %}", who=robot)
    assert "the system" in written("{% person who %}", who=None)
    assert [words.initials(name) for name in ("Vera Lind", "Owner 1", "bot", "")] == ["VL", "O1", "BO", "·"]
    assert "icons.svg#shield" in written("{% face who %}", who=None)


def test_lists_in_words() -> None:
    assert written("{% csv_list names %}", names=["a", "<b>", "c"]) == "a, &lt;b&gt; and c"
    assert written("{% csv_list names %}", names=["a"]) == "a"
    assert "nobody" in written('{% csv_list names "nobody" %}', names=[])


def test_crumbs_end_with_this_page() -> None:
    text = written('{% crumbs "Models" "/models/" here %}', here="Version <12>")
    assert '<a href="/models/">Models</a>' in text
    assert '<li aria-current="page">Version &lt;12&gt;</li>' in text
    assert "aria-current" not in written('{% crumbs "Models" "/models/" %}')


def test_query_changes_what_it_is_told_and_keeps_the_rest(rf: Any) -> None:
    request = rf.get("/models/?state=draft&before=7&sort=name")
    assert written("{% query before=None page=2 %}", request=request) == "?state=draft&amp;sort=name&amp;page=2"
    assert written("{% query page=2 %}") == "?page=2"
    again = written('{% sort_head "Name" "name" %}', request=request)
    assert 'aria-sort="ascending"' in again
    assert "sort=-name" in again
    assert "before" not in again
    assert "aria-sort" not in written('{% sort_head "Name" "name" %}')


def test_boxes_escape_what_they_are_given_and_keep_what_stands_between_them() -> None:
    box = written('{% panel title state="draft" flush=True %}<b>{{ text }}</b>{% endpanel %}', title="<x>", text="<y>")
    assert "<h2>&lt;x&gt;</h2>" in box
    assert "<b>&lt;y&gt;</b>" in box
    gate = written('{% gate_box "T" rows %}{% endgate_box %}', rows=[{"state": "met", "text": "<z>"}])
    assert "&lt;z&gt;" in gate
    assert "<footer>" not in gate


@pytest.mark.parametrize("name", ["400", "403", "404", "409", "413", "500", "csrf"])
def test_error_pages_say_what_happened_and_what_to_do(name: str, rf: Any) -> None:
    page = render_to_string(f"errors/{name}.html", {"code": "some_code", "sentence": "It is <gone>."}, rf.get("/x/"))
    usual = render_to_string(f"errors/{name}.html")
    for text in (page, usual):
        assert text.count("<h1>") == 1
        assert re.search(r"<title>\s*\w[^<·]+ · Countersign</title>", text)
        assert '<a class="button main" href="/">' in text
    assert "It is &lt;gone&gt;." in page
    assert "some_code" in page
    advice = re.findall(r"<p>([^<]{20,})</p>", usual)
    assert len(advice) == 2, "what happened, and what to do"


def test_ids_stay_apart_through_includes() -> None:
    text = written(
        "{% gate_box 'A' rows %}{% endgate_box %}{% include box %}",
        rows=[], box=Template("{% gate_box 'B' rows %}{% endgate_box %}"),
    )  # fmt: skip
    assert re.findall(r'<h2 id="([^"]+)"', text) == ["gate-1", "gate-2"]


class Sample(forms.Form):
    reason = forms.CharField(help_text="Kept in the log.")
    note = forms.CharField(required=False)
    token = forms.CharField(widget=forms.HiddenInput)

    def clean(self) -> None:
        raise forms.ValidationError("Nothing was <saved>.")


def test_forms_join_label_help_and_error() -> None:
    text = str(Sample({"note": "kept"}))
    assert 'aria-describedby="id_reason_helptext id_reason_error"' in text
    assert 'id="id_reason_helptext"' in text
    assert 'id="id_reason_error"' in text
    assert '<a href="#id_reason">Reason: This field is required.</a>' in text
    assert "Nothing was &lt;saved&gt;." in text
    assert "Token: This field is required." in text
    assert 'value="kept"' in text
    assert text.count("(optional)") == 1
    assert text.count('type="hidden"') == 1
    assert "summary" not in str(Sample())


def test_navigation_names_what_exists_and_where_one_is(rf: Any) -> None:
    from django.urls import resolve

    with override_settings(ROOT_URLCONF="tests.portal.gallery"):
        request = rf.get("/models/3/")
        request.resolver_match = resolve("/models/3/")
        entries = context.navigation(request)
        assert [entry.key for entry in entries] == [entry.key for entry in context.ENTRIES]
        assert [entry.key for entry in entries if entry.current] == ["models"]
        request.resolver_match = resolve("/")
        assert [entry.key for entry in context.navigation(request) if entry.current] == ["inbox"]
        request.resolver_match = None
        assert not any(entry.current for entry in context.navigation(request))
        assert not context.leads_somewhere("/nowhere/", "tests.portal.gallery")


@override_settings(ROOT_URLCONF="tests.portal.gallery", ALLOWED_HOSTS=["localhost"])
def test_theme_is_a_cookie_and_never_leads_elsewhere() -> None:
    client = Client(headers={"host": "localhost"})
    response = client.post("/theme/", {"theme": "dark", "next": "/models/?a=1"})
    assert response.headers["Location"] == "/models/?a=1"
    assert client.cookies["theme"].value == "dark"
    assert b'data-theme="dark"' in client.get("/theme/gallery/").content
    response = client.post("/theme/", {"theme": "system", "next": "https://evil.example/"})
    assert response.headers["Location"] == "/"
    assert client.cookies["theme"].value == ""
    assert client.get("/theme/").status_code == 405
