"""How the gateway says no: a problem document (RFC 9457) with a stable code and the id of the request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

MEDIA_TYPE = b"application/problem+json"


class Answer(NamedTuple):
    """`positives` is how many rows the signed rule decided with yes; 0 where nobody wanted to know."""

    status: int
    body: bytes
    media_type: bytes = b"application/json"
    headers: Sequence[tuple[bytes, bytes]] = ()
    positives: int = 0


@dataclass(eq=False)
class Refused(Exception):
    """`path` is the input at fault (`inputs.0.data`); `reasons` are those of the gate."""

    status: int
    code: str
    sentence: str
    path: str | None = None
    reasons: Sequence[Mapping[str, str]] = ()
    headers: Sequence[tuple[bytes, bytes]] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    def answer(self, request_id: str) -> Answer:
        body: dict[str, Any] = {
            "type": f"urn:countersign:problem:{self.code}",
            "title": self.code.replace("_", " ").capitalize(),
            "status": self.status,
            "code": self.code,
            "detail": self.sentence,
            **({"request_id": request_id} if request_id else {}),
            # Clients of the Open Inference Protocol look here.
            "error": self.sentence,
            **self.extra,
        }
        if self.path is not None:
            body["errors"] = [{"field": self.path, "code": self.code, "detail": self.sentence}]
        if self.reasons:
            body["reasons"] = list(self.reasons)
        return Answer(self.status, orjson.dumps(body), MEDIA_TYPE, self.headers)


def wrong(path: str, code: str, sentence: str) -> Refused:
    """422 for one input of the body."""
    return Refused(422, code, sentence, path)


def unavailable(code: str, sentence: str, after: int = 1) -> Refused:
    """503, worth another try after so many seconds."""
    return Refused(503, code, sentence, headers=((b"retry-after", str(after).encode()),))
