"""The two forms in which predictions are asked for and given: tensors, or rows as MLflow's clients send them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson

from inference.gateway import invocations
from inference.gateway.binary import HEADER
from inference.gateway.board import Approved, Served
from inference.gateway.refused import Answer, Refused
from inference.gateway.runner import taken
from inference.gateway.tensors import Asked, as_bytes, read, written
from registry.onnx.decision import Output, all_finite
from registry.onnx.problems import ModelProblem

BYTES = b"application/octet-stream"


class Form(NamedTuple):
    """How a body is understood (with the length of its JSON, where bytes follow it), and how an answer is written.

    Both raise Refused: 400 and 422 for what is wrong with the body, 502 where the model's numbers are not finite or
    the signed rule cannot be applied.
    """

    read: Callable[[bytes, Served, bytes | None], Asked]
    write: Callable[[Served, Approved, Asked, Sequence[Output], str], Answer]


def read_tensors(body: bytes, served: Served, header: bytes | None) -> Asked:
    return read(body, served.inputs, served.output_names, served.max_rows, header)


def read_rows(body: bytes, served: Served, header: bytes | None) -> Asked:
    return invocations.read(body, served.inputs, served.features, served.max_rows)


def write_tensors(
    served: Served, approved: Approved, asked: Asked, outputs: Sequence[Output], request_id: str
) -> Answer:
    wanted, positives = asked.wanted, 0
    leaving = [one for one in outputs if wanted is None or one.name in wanted]
    if wanted is None or served.decision in wanted:
        decision = decided(served, approved, outputs)
        positives = int(np.count_nonzero(decision.values))
        leaving.append(decision)
    tensors, after = list[dict[str, Any]](), list[bytes]()
    for one in leaving:
        if one.name in asked.binary:
            entry, raw = as_bytes(one.name, one.values, one.classes)
            after.append(raw)
        else:
            entry = written(one.name, one.values, one.classes)
        tensors.append(entry)
    body = {
        "model_name": served.name,
        "model_version": served.version,
        "id": asked.id or request_id,
        "parameters": {"artifact": approved.artifact, "revision": approved.revision},
        "outputs": tensors,
    }
    text = checked(body, outputs, bool(after))
    if not after:
        return Answer(200, text, positives=positives)
    return Answer(200, b"".join((text, *after)), BYTES, ((HEADER, str(len(text)).encode()),), positives)


def write_rows(served: Served, approved: Approved, asked: Asked, outputs: Sequence[Output], request_id: str) -> Answer:
    decision = decided(served, approved, outputs)
    everything = [*outputs, decision]
    body = {
        "predictions": invocations.predictions(everything, asked.rows),
        "id": asked.id or request_id,
        "model_name": served.name,
        "model_version": served.version,
        "parameters": {"artifact": approved.artifact, "revision": approved.revision},
    }
    return Answer(200, checked(body, outputs), positives=int(np.count_nonzero(decision.values)))


def checked(body: Any, outputs: Sequence[Output], certainly: bool = False) -> bytes:
    text = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
    # JSON has no NaN: it would leave as null.
    if (certainly or b"null" in text) and any(not finite(one) for one in outputs):
        raise not_finite()
    return text


def decided(served: Served, approved: Approved, outputs: Sequence[Output]) -> Output:
    """The signed rule applied to what the model returned."""
    try:
        return Output(served.decision, approved.rule.decide(taken(outputs, approved.rule.output)))
    except ModelProblem as problem:
        raise (
            not_finite()
            if problem.code == "score_not_finite"
            else Refused(502, "decision_failed", "The signed decision rule does not fit what the model returned.")
        ) from problem


def finite(output: Output) -> bool:
    return output.values.dtype.kind != "f" or all_finite(output.values)


def not_finite() -> Refused:
    sentence = (
        "The model answered with a number that is not finite. Check that the inputs are within what it was made for."
    )
    return Refused(502, "output_not_finite", sentence)


TENSORS, ROWS = Form(read_tensors, write_tensors), Form(read_rows, write_rows)
