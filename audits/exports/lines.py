"""JSON Lines: the exact bytes of each event as a JSON string, with what it was told beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring

from audits.exports.rows import Entry


def lines(blocks: Iterable[list[Entry]]) -> Iterator[bytes]:
    """A piece of the file for each block. `bytes` in UTF-8 has the leaf hash (RFC 6962) `leaf_hash`."""
    escaped = encode_basestring
    for block in blocks:
        parts = []
        for index, raw, told, leaf in block:
            if index is None:
                place = '{"entry":null,"seal":"pending","leaf_hash":null'
            else:
                place = f'{{"entry":{index},"seal":"sealed","leaf_hash":"sha256:{leaf.hex()}"'
            # What is no UTF-8 was never written by the portal: it shows, for it is not what was sealed.
            text = escaped(raw.decode("utf-8", "replace"))
            parts.append(f'{place},"bytes":{text},"disclosures":{{{told.decode()}}}}}\n')
        yield "".join(parts).encode()
