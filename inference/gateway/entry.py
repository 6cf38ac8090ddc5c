"""What one request leaves in the prediction log: collected while it is answered, put into words when it is written."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from inference.gateway.forms import decided
from inference.gateway.refused import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference.gateway.board import Approved, KeyTerms, Served
    from inference.gateway.tensors import Asked
    from registry.onnx.decision import Output

# Ids are unique, no secrets: opening a row takes a key or a right. Asking the kernel for each would cost more.
RANDOM = random.Random(os.urandom(32))  # noqa: S311
# What a row without content takes of the buffer, in bytes.
PLAIN = 1_000


def new_id(milliseconds: int) -> str:
    """UUID version 7 (RFC 9562, section 5.7): milliseconds since 1970, then 74 random bits."""
    noise = RANDOM.getrandbits(74)
    text = f"{milliseconds:012x}7{noise >> 62:03x}{noise & (1 << 62) - 1 | 1 << 63:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@dataclass(slots=True, eq=False)
class Entry:
    """Filled step by step. Until a key was found valid for the endpoint (`served`), it is nothing to be logged."""

    request_id: str
    began: float
    # Primary keys of the endpoint and the key, known before it is admitted.
    of: tuple[int | None, int | None] = None, None
    served: Served | None = None
    terms: KeyTerms | None = None
    approved: Approved | None = None
    body: bytes | None = None
    asked: Asked | None = None
    outputs: Sequence[Output] | None = None
    id: str = ""
    milliseconds: int = 0
    client_id: str = ""
    rows: int = 0
    status: int = 0
    code: str = ""
    answer: bytes | None = None
    latency: int = 0
    size: int = PLAIN
    # Strict mode: set when the row is written, or when it is not going to be.
    written: asyncio.Future[bool] | None = None

    def admitted(self, terms: KeyTerms, served: Served) -> None:
        self.terms, self.served = terms, served
        self.milliseconds = time.time_ns() // 1_000_000
        self.id = new_id(self.milliseconds)

    def close(self, status: int, code: str, answer: bytes | None) -> None:
        """The answer is ready. What the endpoint's level does not keep is let go here, before it is buffered."""
        assert self.served is not None
        self.status, self.code = status, code
        self.latency = int((time.perf_counter() - self.began) * 1_000_000)
        if self.asked is not None:
            self.client_id, self.rows = self.asked.id or "", self.asked.rows
        log = self.served.log
        if log.level == "none":
            self.body = self.answer = None
        else:
            # A refusal has words of ours, and the path of what was wrong: nothing worth a digest.
            self.answer = answer if status == 200 else None
            self.size += len(self.body or b"") + len(self.answer or b"")
        if status == 200 and log.keeps_content(self.id):
            self.size *= 3
        else:
            self.asked = self.outputs = None

    def values(self) -> tuple[str | None, ...]:
        """In the order of `writing.COLUMNS`. Called by the thread that writes."""
        assert self.served is not None
        assert self.terms is not None
        approved = self.approved or self.served.approved
        inputs, outputs = self.content()
        return (
            self.id,
            moment(self.milliseconds),
            str(self.served.pk),
            str(self.terms.pk),
            self.request_id,
            self.client_id,
            approved.artifact if approved is not None else "",
            approved.revision if approved is not None else "",
            str(self.status),
            self.code,
            self.served.role,
            str(self.rows),
            str(self.latency),
            self.served.log.level,
            digest(self.body),
            digest(self.answer),
            inputs,
            outputs,
        )

    def content(self) -> tuple[str | None, str | None]:
        """Inputs and outputs as JSON by name, the decision among the outputs; nothing where they are not kept."""
        if self.outputs is None or self.asked is None or self.served is None or self.approved is None:
            return None, None
        outputs = [*self.outputs]
        with contextlib.suppress(Refused):  # the caller wanted other outputs, and the rule does not fit the model's
            outputs.append(decided(self.served, self.approved, outputs))
        return text_of(self.asked.feed), text_of({each.name: each.values for each in outputs})


def moment(milliseconds: int) -> str:
    """Since 1970, as PostgreSQL reads it."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{second(seconds)}.{rest:03d}+00:00"


@lru_cache(maxsize=4)
def second(seconds: int) -> str:
    """Many requests share one."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def digest(data: bytes | None) -> str:
    return "" if data is None else f"sha256:{hashlib.sha256(data).hexdigest()}"


def text_of(arrays: dict[str, Any]) -> str:
    return orjson.dumps(arrays, default=as_list, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def as_list(values: Any) -> Any:
    """Arrays that orjson does not take: of texts, or not laid out row by row."""
    return values.tolist()
