"""The secrets of one-time links never reach a log: whoever reads it could use them before their owner does."""

from __future__ import annotations

import logging
import re

LINK = re.compile(r"(/sign-in/(?:invitation|reset|factors)/)[^/\s?#\"']+")


def hide(text: str) -> str:
    """`/sign-in/reset/5-0-abc/` → `/sign-in/reset/…/`."""
    return LINK.sub(r"\1…", text)


class HideLinks(logging.Filter):
    """On the handlers, so that no logger is forgotten: Django writes the path of each answer that is an error."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if LINK.search(text):
            record.msg, record.args = hide(text), ()
        return True
