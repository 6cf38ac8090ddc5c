"""One prediction: body in, model, signed decision rule, answer out; approval looked at before and after."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import onnxruntime as ort
from django.conf import settings

from inference.gateway.admission import Admission, endpoint_changed
from inference.gateway.board import Approved, Board, Served, Unusable
from inference.gateway.connection import BODY_SECONDS
from inference.gateway.dialects import Target
from inference.gateway.entry import Entry
from inference.gateway.forms import Form
from inference.gateway.refused import Answer, Refused, unavailable
from inference.gateway.runner import RunFailed, Runner
from inference.gateway.shadow import Answered, Shadow
from inference.gateway.tensors import Asked
from inference.gateway.untraced import CLIENT, INTERNAL
from inference.gateway.upstream import Caller, Upstreams
from registry.onnx.decision import Output

if TYPE_CHECKING:
    from inference.gateway.app import Headers
    from inference.gateway.untraced import Untraced

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Done = TypeVar("Done")

RUN_SECONDS = 10.0
# Larger bodies are parsed beside the event loop.
INLINE_BYTES = 64 * 1024
THREADS = 2
WAITING_AT_MOST = 64


class Inference:
    def __init__(self, board: Board, admission: Admission) -> None:
        self.board = board
        self.admission = admission
        self.pool = ThreadPoolExecutor(THREADS, thread_name_prefix="model")
        self.waiting = 0
        self.shadow = Shadow(board, admission)
        agent = f"countersign/{settings.VERSION}"
        self.upstreams = Upstreams(board, settings.UPSTREAM_INTERNAL_HOSTS, agent, self.aside)

    def close(self) -> None:
        self.pool.shutdown(wait=False, cancel_futures=True)
        self.shadow.close()
        self.upstreams.close()

    async def answer(
        self, name: str, version: str | None, headers: Headers, receive: Receive, request_id: str, form: Form,
        entry: Entry,
    ) -> Answer:  # fmt: skip
        """`entry` is what the prediction log will say of this request."""
        trace = headers.trace
        with trace.part("admission"):
            terms, served = self.admission.admit(headers, name, version, "infer")
            trace.serves(served)
            entry.of = served.pk, terms.pk
            await self.admission.spend(terms)
            # From here on it leaves a row; before, one key could fill the log with what its limits refuse.
            entry.admitted(terms, served)
            runner, approved = self.runner_of(served)
        if headers.encoding not in (b"", b"identity"):
            raise Refused(415, "unsupported_media_type", "Nothing compressed is taken here. Send the body as it is.")
        before = self.board.snapshot
        with trace.part("receive"):
            body = entry.body = await body_of(receive, headers.length, served.max_body_bytes)
        with trace.part("parse"):
            asked = entry.asked = await self.understood(form, body, served, headers.json_length)
        with trace.part("run", INTERNAL if served.upstream is None else CLIENT):
            outputs = entry.outputs = await self.run(runner, served, asked, request_id, trace)
        entry.approved = approved
        if self.board.snapshot is not before:
            # The world went on meanwhile: an answer leaves only if it would still be given now.
            now = self.admission.again(headers, served)
            _, still = self.runner_of(now)
            if basis(now, still) != basis(served, approved):
                raise endpoint_changed()
        # Either may also end by the clock alone.
        self.admission.snapshot()
        self.admission.approved(served)
        with trace.part("write"):
            answer = form.write(served, approved, asked, outputs, request_id)
        if served.challenger is not None:
            self.shadow.give(
                Answered(entry.request_id, terms, form, body, headers.json_length, served, approved, outputs)
            )
        return answer

    def runner_of(self, served: Served) -> tuple[Runner | Caller, Approved]:
        """Raises Refused 409 `not_approved`, or 503 where the approved bytes are not loaded."""
        self.admission.approved(served)
        assert served.approved is not None
        if served.upstream is not None:
            return self.upstreams.of(served.upstream), served.approved
        runner = self.board.runners.get(served.approved.artifact)
        if runner is None:
            raise unavailable("model_loading", "The approved model is being loaded. Try again in a moment.")
        if isinstance(runner, Unusable):
            raise unavailable(runner.code, runner.sentence, 10)
        return runner, served.approved

    def ready(self, served: Served) -> None:
        """Raises Refused where it would not predict now."""
        runner, _ = self.runner_of(served)
        if isinstance(runner, Caller):
            runner.ready()

    async def understood(self, form: Form, body: bytes, served: Served, header: bytes | None) -> Asked:
        if len(body) <= INLINE_BYTES:
            return form.read(body, served, header)
        return await self.aside(form.read, body, served, header)

    async def run(
        self, runner: Runner | Caller, served: Served, asked: Asked, request_id: str, trace: Untraced
    ) -> list[Output]:
        if isinstance(runner, Caller):
            return await runner.run(served, asked, {"X-Request-ID": request_id, **trace.onward()})
        try:
            if runner.quick(asked.rows):
                return runner.run(asked.feed, asked.rows)
            stop = ort.RunOptions()
            return await self.aside(runner.run, asked.feed, asked.rows, stop, stop=stop)
        except RunFailed as error:
            sentence = "The model failed on these inputs. Check that the values are within what it was made for."
            raise Refused(502, "model_failed", sentence) from error

    async def aside(self, work: Callable[..., Done], *given: Any, stop: Any = None) -> Done:
        """Do it in a thread. Raises Refused 503 when too many wait already, 504 when it takes too long."""
        if self.waiting >= WAITING_AT_MOST:
            raise unavailable("overloaded", "Too many large requests are waiting. Try again in a moment.")
        self.waiting += 1
        task = asyncio.get_running_loop().run_in_executor(self.pool, work, *given)
        task.add_done_callback(self.done)
        try:
            return await asyncio.wait_for(asyncio.shield(task), RUN_SECONDS)
        except TimeoutError:
            if stop is not None:
                stop.terminate = True
            sentence = f"The model did not answer within {RUN_SECONDS:g} s and was stopped. Send fewer rows at once."
            raise Refused(504, "model_timeout", sentence) from None

    def done(self, task: asyncio.Future[Any]) -> None:
        self.waiting -= 1
        if not task.cancelled():
            task.exception()


def basis(served: Served, approved: Approved) -> tuple[str, str, Target | None]:
    """What an answer rests on: the bytes, the signed revision, and who made the prediction."""
    return approved.artifact, approved.revision, served.upstream


async def body_of(receive: Receive, length: bytes | None, limit: int) -> bytes:
    """The whole body. Raises Refused 413 as soon as it is too large, 408 when it does not come."""
    if length is not None and (not length.isdigit() or int(length) > limit):
        raise too_large(limit)
    parts: list[bytes] = []
    size, more = 0, True
    try:
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refused(400, "disconnected", "The connection ended before the body did.")
            part = message.get("body", b"")
            size += len(part)
            if size > limit:
                raise too_large(limit)
            parts.append(part)
            more = message.get("more_body", False)
    except TimeoutError:
        sentence = f"The body did not arrive within {BODY_SECONDS:g} s. Send it at once."
        raise Refused(408, "body_timeout", sentence) from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


def too_large(limit: int) -> Refused:
    return Refused(413, "too_large", f"The body is larger than the {limit:,} bytes that this endpoint takes.")
