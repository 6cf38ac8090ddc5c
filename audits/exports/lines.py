"""JSON Lines: each event's bytes as they are, as the last value of its line, after what it was told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring

from audits.exports.copying import DELIMITER, QUOTE
from audits.exports.rows import Entry

# Canonical JSON has none of these: an event with one of them was altered, and is no line, or none that COPY leaves.
NO_LINE = re.compile(b"[\0\n\r%b%b]" % (QUOTE, DELIMITER))


def lines(blocks: Iterable[list[Entry]]) -> Iterator[bytes]:
    """A piece of the file for each block. What follows the first `,"event":` of a line and comes before its last brace
    has the leaf hash (RFC 6962) `leaf_hash`."""
    for block in blocks:
        parts = []
        for index, raw, told, leaf in block:
            if index is None:
                place = b'{"v":2,"entry":null,"seal":"pending","leaf_hash":null'
            else:
                place = b'{"v":2,"entry":%d,"seal":"sealed","leaf_hash":"sha256:%b"' % (index, leaf.hex().encode())
            parts.append(b'%b,"disclosures":[%b],"event":%b}\n' % (place, told, in_line(raw)))
        yield b"".join(parts)


def in_line(raw: bytes) -> bytes:
    """An event's bytes; as a JSON string where no line of text holds them, so that they show and end no line."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("utf-8", "replace")
    else:
        if not NO_LINE.search(raw):
            return raw
    return encode_basestring(text).encode()
