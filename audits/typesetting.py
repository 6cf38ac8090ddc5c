"""PDFs for people, typeset by typst from plain data: the same bytes for the same data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

# ISO 14289-1: tagged, in reading order, with a title, a language and words for every picture. typst refuses to make
# a file that breaks what it can check of it.
STANDARD: Final = "ua-1"
# A letter that no font at hand has is refused too, by name; so many are looked for one by one.
TRIES = 12
STRANGE = re.compile(r'the text `"(?:\\u\{([0-9a-f]+)\}|\\?(.))[^`]*"` could not be displayed')
# What the fonts certainly lack: control characters, East Asian scripts, and all beyond the basic plane.
LACKING = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2e80-\ua4cf\ua960-\ua97f\uac00-\udfff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffff"
    "\U00010000-\U0010ffff"
)
BEYOND_LATIN = "\u0250-\U0010ffff"


def typeset(template: Path, data: Mapping[str, Any]) -> bytes:
    """PDF/UA-1 bytes. The template reads `data` with `json(bytes(sys.inputs.at("data")))`.

    The fonts are those that typst brings along, so that the machine's own make no difference; the template says
    `date: none`, because a clock would. A letter that these fonts lack is printed as its number, `[U+5973]`: a name
    in another script is no reason to have no document, and an empty box would say less.
    """
    import typst

    lacking, tried = LACKING, 0
    while True:
        told = json.dumps(spelled(data, re.compile(f"[{lacking}]")))
        try:
            made: bytes = typst.compile(
                template, sys_inputs={"data": told}, ignore_system_fonts=True, pdf_standards=STANDARD
            )
        except typst.TypstError as error:
            found = STRANGE.search(str(error))
            if found is None or tried > TRIES:
                raise
            one = chr(int(found[1], 16)) if found[1] else found[2]
            lacking += re.escape(one) if tried < TRIES else BEYOND_LATIN
            tried += 1
        else:
            return made


def spelled(value: Any, lacking: re.Pattern[str]) -> Any:
    """The same data with the letters that cannot be printed as their numbers."""
    if isinstance(value, str):
        return lacking.sub(lambda found: f"[U+{ord(found[0]):04X}]", value)
    if isinstance(value, Mapping):
        return {name: spelled(inner, lacking) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [spelled(inner, lacking) for inner in value]
    return value
