"""Model cards come from people; what they become on a page can do no harm."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry import cards

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt:alert(1))",
    "[click](data:text/html;base64,PHNjcmlwdD4=)",
    "[click](vbscript:x)",
    "![track](https://evil.example/pixel.png)",
    "![x](x){onerror=alert(1)}",
    "<a href='javascript:alert(1)'>x</a>",
    "<style>body{display:none}</style>",
    "<div style='position:fixed;inset:0'>over</div>",
    "<iframe src=//evil.example></iframe>",
    "<form action=/sign/><button>Sign approval</button></form>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content=0>",
    "[a]: javascript:alert(1)\n\n[a]",
    "<javascript:alert(1)>",
    "[x](<javascript:alert(1)>)",
    "`<script>`",
    "\u202e[right to left](https://example.org)",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<!-- --!><script>alert(1)</script>",
    "| a | b |\n|:-:|--:|\n| <script> | x |",
]
TAG = re.compile(r"<\s*/?\s*([a-z0-9]+)([^>]*)>", re.IGNORECASE)
HARMLESS = re.compile(r'^( href="(https?:|mailto:)?[^"<>]*"| rel="noopener noreferrer nofollow")*\s*/?$')


def harmless(html):
    for name, attributes in TAG.findall(html):
        assert name.lower() in cards.TAGS, html
        assert HARMLESS.match(attributes), html
        assert "javascript:" not in attributes.lower()


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_cards_are_only_text(text):
    harmless(cards.rendered(text))


@given(
    st.lists(st.sampled_from([*HOSTILE, "\n", "\n\n", "# ", "> ", "- ", "*", "**", "`", "<", ">", '"', "'", "&", "\\"]))
)
def test_no_mixture_of_them_is_worse(parts):
    harmless(cards.rendered("".join(parts)))


def test_a_good_card_is_kept():
    html = cards.rendered(
        cards.TEMPLATE + "\n## Detail\n\n###### Deep\n\n- one\n- **two**\n\n~~old~~ [us](https://example.org)\n"
    )
    assert "<h3>Intended use</h3>" in html
    assert "<h4>Detail</h4>" in html
    assert "<h6>Deep</h6>" in html
    assert "<strong>two</strong>" in html
    assert '<a href="https://example.org" rel="noopener noreferrer nofollow">us</a>' in html
    assert not re.search(r"<h[12]", html)
    assert cards.rendered("") == ""


def test_tables_are_kept_without_styles():
    html = cards.rendered("| a | b |\n|:-:|--:|\n| 1 | 2 |")
    assert "<td>1</td>" in html
    assert "style" not in html
