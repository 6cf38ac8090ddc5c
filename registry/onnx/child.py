"""The confined process: reads a model file, says what it is, and scores batches. Started by `sandbox`, never imported.

It trusts nothing: the file comes from a user. It imports nothing of the portal but its neighbours in this package.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

from registry.onnx import frames
from registry.onnx.confine import confine
from registry.onnx.problems import ModelProblem
from registry.onnx.structure import described

DOMAINS = {"": "", "ai.onnx": "", "ai.onnx.ml": "ai.onnx.ml"}
RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int16)": "int16",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(uint16)": "uint16",
    "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64",
    "tensor(bool)": "bool",
    "tensor(string)": "object",
}
TRIAL_ROWS = 2


def main() -> None:
    given = json.loads(sys.argv[1])
    # Whatever a library prints must not mix with the answers.
    answers: BinaryIO = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    asked = sys.stdin.buffer
    protections = confine(given["memory_bytes"], given["cpu_seconds"], given["parent"])
    try:
        session, facts = _load(given)
        facts["protections"] = protections
        frames.send(answers, {"facts": facts})
        while True:
            try:
                header, payload = frames.receive(asked, sys.maxsize)
            except EOFError:
                return
            if header.get("ask") == "structure":
                structure, parts = described(_parsed(given))
                frames.send(answers, {"structure": structure}, *parts)
                continue
            written, parts = _score(session, header, payload)
            frames.send(answers, {"outputs": written}, *parts)
    except ModelProblem as problem:
        frames.send(answers, {"problem": problem.code, "sentence": problem.sentence})
    except MemoryError:
        frames.send(answers, {"problem": "too_big", "sentence": _memory(given)})


def _memory(given: dict[str, Any]) -> str:
    return f"The model needs more than the {given['memory_bytes'] >> 20:,} MiB of memory that it may use."


def _load(given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    import onnx
    from google.protobuf.message import DecodeError

    data = _bytes(given)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, RecursionError):
        raise ModelProblem("not_onnx", _not_onnx("its bytes cannot be read as one")) from None
    if not model.ir_version or not model.graph.node:
        raise ModelProblem("not_onnx", _not_onnx("it has no graph"))
    operators = _check(model)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ModelProblem("not_onnx", _not_onnx(f"the checker says: {_short(error)}")) from None
    session = _session(data, given)
    facts = {
        "size": len(data),
        "ir_version": int(model.ir_version),
        "producer": f"{model.producer_name} {model.producer_version}".strip()[:100],
        "opset": {o.domain or "ai.onnx": int(o.version) for o in model.opset_import},
        "operators": operators,
        "inputs": [_tensor(x) for x in session.get_inputs()],
        "outputs": [_tensor(x) for x in session.get_outputs()],
    }
    _trial(session, given.get("width"), given)
    return session, facts


def _bytes(given: dict[str, Any]) -> bytes:
    with open(given["path"], "rb") as file:
        return file.read()


def _parsed(given: dict[str, Any]) -> Any:
    import onnx

    return onnx.ModelProto.FromString(_bytes(given))


def _not_onnx(why: str) -> str:
    return f"This is no ONNX model: {why}. Export the model to ONNX and upload that."


def _short(error: Exception) -> str:
    return " ".join(str(error).split()).rpartition("Status Message: ")[2][:300].rstrip(".")


def _check(model: Any) -> list[str]:
    """Names of all operators, subgraphs and functions included; raises ModelProblem for what is not allowed."""
    import onnx

    seen = set()
    for node in _nodes([model.graph, *model.functions]):
        domain = DOMAINS.get(node.domain)
        shown = f"{node.domain or 'ai.onnx'}.{node.op_type}"
        if domain is None or not onnx.defs.has(node.op_type, domain):
            raise ModelProblem(
                "custom_operator",
                f"The model uses the operator {shown}, which ONNX does not define. Export it with the operators of "
                "ai.onnx and ai.onnx.ml only.",
            )
        if node.op_type in RANDOM and domain == "":
            raise ModelProblem(
                "random_operator",
                f"The model uses the operator {shown}, so the same input may get different answers. Export it without.",
            )
        seen.add(shown)
    for tensor in _tensors([model.graph, *model.functions]):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise ModelProblem(
                "external_data",
                f"The tensor {tensor.name!r} lies in another file. Save the model as one file "
                "(onnx.save(model, path, save_as_external_data=False)).",
            )
    return sorted(seen)


def _nodes(graphs: list[Any]) -> Iterator[Any]:
    for graph in graphs:
        for node in graph.node:
            yield node
            for attribute in node.attribute:
                inner = [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]
                yield from _nodes(inner)


def _tensors(graphs: list[Any]) -> Iterator[Any]:
    for graph in graphs:
        yield from getattr(graph, "initializer", [])
        for sparse in getattr(graph, "sparse_initializer", []):
            yield from (sparse.values, sparse.indices)
    for node in _nodes(graphs):
        for attribute in node.attribute:
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t
            sparse_tensors = [*attribute.sparse_tensors]
            if attribute.HasField("sparse_tensor"):
                sparse_tensors.append(attribute.sparse_tensor)
            for sparse in sparse_tensors:
                yield from (sparse.values, sparse.indices)
            for inner in [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]:
                yield from inner.initializer
                for sparse in inner.sparse_initializer:
                    yield from (sparse.values, sparse.indices)


def _session(data: bytes, given: dict[str, Any]) -> Any:
    import onnxruntime as ort

    ort.set_default_logger_severity(4)
    options = ort.SessionOptions()
    options.intra_op_num_threads = given["threads"]
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 4
    try:
        return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise _failed("ONNX Runtime cannot load the model", error, given) from None


def _failed(what: str, error: Exception, given: dict[str, Any]) -> ModelProblem:
    if isinstance(error, MemoryError) or "alloc" in str(error).lower():
        return ModelProblem("too_big", _memory(given))
    return ModelProblem("trial_run_failed", f"{what}: {_short(error)}. Try it with ONNX Runtime, then export it again.")


def _tensor(x: Any) -> dict[str, Any]:
    return {
        "name": x.name,
        "type": x.type,
        "shape": [d if isinstance(d, int) and d > 0 else None for d in x.shape or []],
    }


def _trial(session: Any, width: int | None, given: dict[str, Any]) -> None:
    """One run on zeros; `width` fills free dimensions after the first."""
    import numpy as np

    feed = {}
    for x in session.get_inputs():
        dtype = DTYPES.get(x.type)
        if dtype is None:
            raise ModelProblem("inputs_differ", f"The input {x.name!r} is a {x.type}; inputs must be tensors.")
        shape = [d if isinstance(d, int) and d > 0 else (width or 1) for d in x.shape or []]
        if shape and not (isinstance(x.shape[0], int) and x.shape[0] > 0):
            shape[0] = TRIAL_ROWS
        feed[x.name] = np.full(shape, "", dtype=object) if dtype == "object" else np.zeros(shape, dtype=dtype)
    try:
        session.run(None, feed)
    except Exception as error:
        # An encoder that knows its categories may refuse zeros and empty words; the dataset will bring real ones.
        if "Unknown Category" in str(error):
            return
        raise _failed("The model failed on a trial run with zeros", error, given) from None


def _score(session: Any, header: dict[str, Any], payload: list[bytes]) -> tuple[list[dict[str, Any]], list[bytes]]:
    """For each output that is asked for its type, shape and classes, and its values as bytes."""
    import numpy as np

    feed = {}
    for entry, data in zip(header["inputs"], payload, strict=True):
        if entry["dtype"] == "object":
            flat = np.array(json.loads(data), dtype=object)
        else:
            flat = np.frombuffer(data, dtype=entry["dtype"])
        feed[entry["name"]] = flat.reshape(entry["shape"])
    names = header["outputs"]
    try:
        found = session.run(names, feed)
    except Exception as error:
        raise ModelProblem(
            "run_failed",
            f"The model failed on the data: {_short(error)}. Check that the dataset is the one it was made for.",
        ) from None
    written = [_written(name, values) for name, values in zip(names, found, strict=True)]
    return [entry for entry, _ in written], [data for _, data in written]


def _written(name: str, found: Any) -> tuple[dict[str, Any], bytes]:
    import numpy as np

    classes = None
    if isinstance(found, list):
        if not found or not isinstance(found[0], dict):
            raise ModelProblem("bad_decision_rule", f"The output {name!r} is a list of no known kind.")
        keys = sorted(found[0], key=str)
        classes = [str(k) for k in keys]
        found = np.array([[row[k] for k in keys] for row in found], dtype=np.float64)
    found = np.ascontiguousarray(found)
    shape = list(found.shape)
    if found.dtype.kind in "OUS":
        values = json.dumps(found.reshape(-1).tolist()).encode()
        return {"dtype": "object", "shape": shape, "classes": None}, values
    return {"dtype": found.dtype.str, "shape": shape, "classes": classes}, found.tobytes()
