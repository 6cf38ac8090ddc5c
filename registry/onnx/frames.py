"""How the portal and the confined process speak: a JSON header with its length before it, then raw bytes."""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO

HEADER_LIMIT = 64 << 20


def send(pipe: BinaryIO, header: dict[str, Any], *payload: bytes | memoryview) -> None:
    text = json.dumps({**header, "bytes": [len(part) for part in payload]}).encode()
    pipe.write(struct.pack("<I", len(text)) + text)
    for part in payload:
        pipe.write(part)
    pipe.flush()


def receive(pipe: BinaryIO, most: int) -> tuple[dict[str, Any], list[bytes]]:
    """The next frame; raises EOFError when the other side is gone, ValueError when it sends over `most` bytes."""
    (length,) = struct.unpack("<I", _exactly(pipe, 4))
    if length > HEADER_LIMIT:
        raise ValueError("header too long")
    header: dict[str, Any] = json.loads(_exactly(pipe, length))
    sizes = header.pop("bytes")
    if not all(isinstance(size, int) and size >= 0 for size in sizes) or sum(sizes) > most:
        raise ValueError("payload too long")
    return header, [_exactly(pipe, size) for size in sizes]


def _exactly(pipe: BinaryIO, size: int) -> bytes:
    data = pipe.read(size)
    if len(data) != size:
        raise EOFError
    return data
