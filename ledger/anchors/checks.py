"""`manage.py check` says what is wrong with LOG_ANCHORS."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, register

from ledger.anchors.reading import configured


@register
def anchors(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """An error for each entry that cannot be used. Files with secrets are not opened: only the worker has them."""
    return [
        Error(f"LOG_ANCHORS: {fault.name} cannot be used", hint=fault.sentence, id="countersign.E040")
        for fault in configured()[1]
    ]
