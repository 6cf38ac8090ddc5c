"""The words of a message, from its template: the first line is the subject, the rest the text."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string

LONGEST = 250
# Parts of a template that say nothing leave these behind.
BLANK = re.compile(r"\n{3,}")


def written(template: str, **context: Any) -> tuple[str, str]:
    """Subject and text of `templates/notifications/<template>.txt`. Addresses of pages begin with `site`."""
    text = render_to_string(f"notifications/{template}.txt", {"site": settings.PUBLIC_URL, **context})
    subject, _, body = BLANK.sub("\n\n", text).strip().partition("\n")
    # One line: a name with a line break in it must not become another header.
    return " ".join(subject.split())[:LONGEST], body.strip() + "\n"
