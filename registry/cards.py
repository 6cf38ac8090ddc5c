"""Model cards: Markdown in, HTML out that can do no harm."""

from __future__ import annotations

import nh3
from django.utils.safestring import SafeString
from markdown_it import MarkdownIt
from markdown_it.token import Token

TEMPLATE = """# Intended use

What decisions the model takes part in, about whom, and who acts on them.

# Limitations

Where the model must not be used, and where its answers are weak.

# Training data

Which data, from when to when, and what was left out.

# Features

- name: what it says, in plain words; reasons for a refusal are named with them
- age: Age in years (fixed)

# Decision rule

Why this output and this threshold, and who chose them.

# Performance

How it was measured, on which data, with which uncertainty.

# Effects on groups

Which groups were compared, what was found, and what was done about it.

# People and oversight

Who can overrule the model, how somebody affected can object, and whom to ask.
"""
TAGS = {
    "h3", "h4", "h5", "h6", "p", "ul", "ol", "li", "strong", "em", "del", "code", "pre", "blockquote", "a", "hr", "br",
    "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
SCHEMES = {"http", "https", "mailto"}


def rendered(text: str) -> SafeString:
    """Markdown as HTML without raw HTML, images, scripts or foreign schemes; headings begin at the third level."""
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")
    tokens = parser.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            lower(token)
    html = parser.renderer.render(tokens, parser.options, {})
    clean = nh3.clean(
        html, tags=TAGS, attributes={"a": {"href"}}, url_schemes=SCHEMES, link_rel="noopener noreferrer nofollow"
    )
    return SafeString(clean)


def lower(heading: Token) -> None:
    """The page around the card has the first two levels."""
    heading.tag = f"h{min(int(heading.tag[1]) + 2, 6)}"
