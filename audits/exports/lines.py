"""JSON Lines: the exact bytes of each event as a JSON string, with what it was told beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring

from audits.exports.rows import Entry


def lines(blocks: Iterable[list[Entry]]) -> Iterator[bytes]:
    """A piece of the file for each block. `bytes`, encoded as UTF-8, hashes to `sha256`."""
    digest, escaped = hashlib.sha256, encode_basestring
    for block in blocks:
        parts = []
        for index, raw, told in block:
            place = f'{{"entry":{index},"seal":"sealed"' if index is not None else '{"entry":null,"seal":"pending"'
            # What is no UTF-8 was never written by the portal: it shows, for it no longer has its digest.
            text = escaped(raw.decode("utf-8", "replace"))
            parts.append(
                f'{place},"bytes":{text},"sha256":"sha256:{digest(raw).hexdigest()}","disclosures":{{{told.decode()}}}}}\n'
            )
        yield "".join(parts).encode()
