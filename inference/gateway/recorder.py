"""Sees that what was asked with a valid key is in the prediction log, before or after its answer leaves."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from inference.gateway.entry import Entry
from inference.gateway.logbook import Logbook
from inference.gateway.refused import Answer, Refused

if TYPE_CHECKING:
    from inference.gateway.app import Headers
    from inference.gateway.forms import Form
    from inference.gateway.infer import Inference

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
HEADER = b"x-prediction-id"


class Recorder:
    """Answers as `Inference` does, and sees that what was asked with a valid key is in the log."""

    def __init__(self, inference: Inference, logbook: Logbook) -> None:
        self.inference, self.logbook = inference, logbook

    async def answer(
        self, name: str, version: str | None, headers: Headers, receive: Receive, request_id: str, form: Form
    ) -> Answer:
        entry = Entry(request_id, time.perf_counter())
        try:
            answer = await self.inference.answer(name, version, headers, receive, request_id, form, entry)
        except Refused as refused:
            if entry.served is not None:
                await self.record(entry, refused.status, refused.code, None)
                refused.headers = (*refused.headers, (HEADER, entry.id.encode()))
            raise
        except Exception:
            if entry.served is not None:
                await self.record(entry, 500, "internal_error", None)
            raise
        await self.record(entry, 200, "", answer.body)
        return Answer(answer.status, answer.body, answer.media_type, (*answer.headers, (HEADER, entry.id.encode())))

    async def record(self, entry: Entry, status: int, code: str, answer: bytes | None) -> None:
        """Raises Refused 503 `log_unavailable` in strict mode."""
        entry.close(status, code, answer)
        assert entry.served is not None
        if entry.served.log.strict:
            await self.logbook.put_and_wait(entry)
        else:
            self.logbook.put(entry)
