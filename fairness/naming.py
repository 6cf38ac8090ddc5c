"""Names of groups and classes: the text by which a value is called, however a file writes it."""

from __future__ import annotations

import math
import re
from decimal import Decimal

UNKNOWN = "unknown"
WHOLE = re.compile(r"^([+-]?\d+)\.0+$")


def canonical(value: object) -> str:
    """A value as the text by which groups and classes are named: 1, 1.0 and "1.0" are all "1"; missing is unknown."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return UNKNOWN
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value).strip()
    if isinstance(value, float | Decimal):
        text = format(Decimal(text), "f")
    whole = WHOLE.match(text)
    text = whole.group(1) if whole else text
    return text or UNKNOWN


def same_class(text: str) -> str:
    """A class as it is compared: true and 1, false and 0 are the same."""
    return {"true": "1", "false": "0"}.get(text.lower(), text)


def one_class(text: str, other: str) -> bool:
    """Whether two people who write so mean the same class."""
    return same_class(canonical(text)) == same_class(canonical(other))
