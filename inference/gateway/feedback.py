"""Ground truth for what was predicted, joined later: `POST /v2/models/<endpoint>/feedback`.

Unlike a prediction it asks the database, in a thread of its own beside the event loop.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import orjson
from django.db import DatabaseError, connection

from inference.gateway.admission import Admission
from inference.gateway.board import KeyTerms, Served
from inference.gateway.infer import body_of
from inference.gateway.logbook import STATEMENT_MILLISECONDS
from inference.gateway.refused import Answer, Refused, unavailable, wrong
from inference.gateway.tensors import loaded

if TYPE_CHECKING:
    from inference.gateway.app import Headers

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
WAITING_AT_MOST = 64
LONGEST_ID = 64
SCALARS = {int, float, str, bool, type(None)}


class Feedback:
    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="feedback")
        self.waiting = 0

    def close(self) -> None:
        self.pool.shutdown(wait=False, cancel_futures=True)

    async def answer(self, name: str, version: str | None, headers: Headers, receive: Receive) -> Answer:
        terms, served = self.admission.admit(headers, name, version, "feedback")
        await self.admission.spend(terms)
        body = await body_of(receive, headers.length, served.max_body_bytes)
        given = loaded(body)
        which, values = which_of(given), values_of(given.get("values"))
        if self.waiting >= WAITING_AT_MOST:
            raise unavailable("overloaded", "Too many large requests are waiting. Try again in a moment.")
        self.waiting += 1
        try:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self.pool, record, served, terms, which, values)
        finally:
            self.waiting -= 1
        return Answer(201, orjson.dumps({"prediction": found, "rows": len(values)}))


def which_of(given: dict[str, Any]) -> uuid.UUID | str:
    """The row's id, or the text of the request's. Raises Refused 422."""
    prediction, request = given.get("prediction"), given.get("request_id")
    if prediction is None and type(request) is str and 1 <= len(request) <= LONGEST_ID and "\0" not in request:
        return request
    if request is None and type(prediction) is str:
        try:
            return uuid.UUID(prediction)
        except ValueError:
            pass
    sentence = "Name what this is about by `prediction`, as the header X-Prediction-ID said, or by `request_id`."
    raise Refused(422, "prediction_needed", sentence, "prediction")


def values_of(given: Any) -> list[Any]:
    if type(given) is not list or not given:
        sentence = "Send `values`: what turned out to be true of each row, in their order."
        raise Refused(422, "values_needed", sentence, "values")
    for place, value in enumerate(given):
        if type(value) not in SCALARS or (type(value) is str and "\0" in value):
            sentence = "A value is a number, a text, a boolean, or null where it is not known."
            raise wrong(f"values.{place}", "wrong_value", sentence)
    return given


def record(served: Served, terms: KeyTerms, which: uuid.UUID | str, values: list[Any]) -> str:
    """The prediction's id. Raises Refused; 503 where the database cannot be asked."""
    try:
        return recorded(served, terms, which, values)
    except DatabaseError as error:
        connection.close()
        raise unavailable("log_unavailable", "The prediction log cannot be read at the moment. Try again.") from error


def recorded(served: Served, terms: KeyTerms, which: uuid.UUID | str, values: list[Any]) -> str:
    from inference.models import Prediction
    from inference.predictions.writing import write_feedback

    if connection.connection is None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, false)", [str(STATEMENT_MILLISECONDS)])
    rows = Prediction.objects.filter(endpoint_id=served.pk)
    named = rows.filter(request_id=which) if isinstance(which, str) else rows.filter(pk=which)
    found = list(named.only("id", "status", "rows")[:2])
    if not found:
        sentence = "There is no such prediction of this endpoint. It may not be written yet; try again in a second."
        raise Refused(404, "unknown_prediction", sentence)
    if len(found) > 1:
        sentence = "Several requests had this id. Name the prediction, as the header X-Prediction-ID said."
        raise Refused(409, "request_ambiguous", sentence)
    if found[0].status != 200:
        raise Refused(409, "not_predicted", "This request was refused, so nothing was predicted that could be true.")
    if len(values) != found[0].rows:
        sentence = f"The prediction was of {found[0].rows:,} rows; there are {len(values):,} values. Send one for each."
        raise Refused(422, "wrong_length", sentence, "values")
    if not write_feedback(found[0].pk, served.pk, terms.pk, values):
        sentence = "What turned out to be true of this prediction is known already. It is not changed any more."
        raise Refused(409, "feedback_twice", sentence)
    return str(found[0].pk)
