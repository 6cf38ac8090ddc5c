"""Counts requests, and sees that what was asked with a valid key is in the prediction log when its answer leaves."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from inference.gateway.counting import Counter
from inference.gateway.entry import Entry
from inference.gateway.logbook import Logbook
from inference.gateway.refused import Answer, Refused

if TYPE_CHECKING:
    from inference.gateway.app import Headers
    from inference.gateway.forms import Form
    from inference.gateway.infer import Inference
    from inference.gateway.untraced import Untraced

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
HEADER = b"x-prediction-id"


class Recorder:
    """Answers as `Inference` does, counts every request, and sees that what a valid key asked for is in the log."""

    def __init__(self, inference: Inference, logbook: Logbook, counter: Counter) -> None:
        self.inference, self.logbook, self.counter = inference, logbook, counter

    async def answer(
        self, name: str, version: str | None, headers: Headers, receive: Receive, request_id: str, form: Form
    ) -> Answer:
        entry = Entry(request_id, time.perf_counter())
        try:
            answer = await self.recorded(entry, name, version, headers, receive, form)
        except Refused as refused:
            self.count(entry, refused.code)
            raise
        except Exception:
            self.count(entry, "internal_error")
            raise
        self.count(entry, "", answer.positives)
        return answer

    async def recorded(
        self, entry: Entry, name: str, version: str | None, headers: Headers, receive: Receive, form: Form
    ) -> Answer:
        try:
            answer = await self.inference.answer(name, version, headers, receive, entry.request_id, form, entry)
        except Refused as refused:
            if entry.served is not None:
                await self.record(headers.trace, entry, refused.status, refused.code, None)
                refused.headers = (*refused.headers, (HEADER, entry.id.encode()))
            raise
        except Exception:
            if entry.served is not None:
                await self.record(headers.trace, entry, 500, "internal_error", None)
            raise
        await self.record(headers.trace, entry, 200, "", answer.body)
        headers_out = (*answer.headers, (HEADER, entry.id.encode()))
        return Answer(answer.status, answer.body, answer.media_type, headers_out, answer.positives)

    def count(self, entry: Entry, code: str, positives: int = 0) -> None:
        served = entry.served
        approved = entry.approved or (served.approved if served is not None else None)
        artifact = approved.artifact if approved is not None else ""
        rows = entry.rows if not code else 0
        micros = int((time.perf_counter() - entry.began) * 1_000_000)
        self.counter.count((*entry.of, artifact, code), rows, positives, micros)

    async def record(self, trace: Untraced, entry: Entry, status: int, code: str, answer: bytes | None) -> None:
        """Raises Refused 503 `log_unavailable` in strict mode."""
        entry.close(status, code, answer)
        assert entry.served is not None
        if entry.served.log.strict:
            with trace.part("log"):
                await self.logbook.put_and_wait(entry)
        else:
            self.logbook.put(entry)
