"""The kinds of upstream, where each is asked, and the mapping of a service that speaks plain JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

ONNX = "onnx"
OIP, TF_SERVING, MLFLOW, JSON = "http-oip", "tf-serving", "mlflow", "http-json"
KINDS = {
    ONNX: "ONNX Runtime, in the gateway itself",
    OIP: "Open Inference Protocol v2 (Triton, KServe, MLServer)",
    TF_SERVING: "TensorFlow Serving (REST)",
    MLFLOW: "MLflow scoring server (/invocations)",
    JSON: "Any service that speaks JSON (Flask, FastAPI)",
}
NAMED = (OIP, TF_SERVING)
VALUES, RECORDS, SINGLE = "values", "records", "single"
ROW_FORMS = {
    VALUES: "A list of values for each row",
    RECORDS: "An object for each row, by the names of the columns",
    SINGLE: "One object, by the names of the columns: it takes one row at a time",
}
MOST_SECONDS = 60

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}\Z")
PLACE = re.compile(r"[A-Za-z0-9_-]{1,60}(\.[A-Za-z0-9_-]{1,60}){0,7}\Z")
HEADER = re.compile(r"[A-Za-z0-9-]{1,60}\Z")
SECRET = re.compile(r"[!-~]([ -~]{0,3998}[!-~])?\Z")
# What the gateway writes itself, or what would change how a message is understood on the way.
OWN_HEADERS = frozenset({
    "host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection", "keep-alive", "te",
    "trailer", "upgrade", "expect", "accept", "accept-encoding", "user-agent", "x-request-id", "proxy-connection",
})  # fmt: skip

Fault = tuple[str, str, str]  # code, sentence, field


def fault(given: Mapping[str, Any]) -> Fault | None:
    """What is wrong with the terms of an upstream elsewhere, apart from its address and its secret."""
    kind = given["kind"]
    if kind not in KINDS:
        return "unknown_kind", f"Choose one of: {', '.join(KINDS)}.", "kind"
    for name in ("model_name", "model_version"):
        if given[name] and (kind not in NAMED or not NAME.match(given[name])):
            sentence = (
                "Letters, digits, dots and dashes, and only where it is asked by a name: http-oip and tf-serving."
            )
            return "name_invalid", sentence, name
    if kind in NAMED and not given["model_name"]:
        return "name_invalid", "Say under which name that server knows the model.", "model_name"
    for name in ("rows_at", "predictions_at", "version_at"):
        if given[name] and not PLACE.match(given[name]):
            return "place_invalid", "Write a place in JSON as names with dots between, such as result.scores.", name
    if kind != JSON and (given["rows_at"] or given["predictions_at"] or given["row_form"] != VALUES):
        return "mapping_unused", "Only http-json takes a mapping: the other kinds say themselves where rows go.", "kind"
    if given["row_form"] not in ROW_FORMS:
        return "unknown_form", f"Choose one of: {', '.join(ROW_FORMS)}.", "row_form"
    if not 1 <= given["seconds"] <= MOST_SECONDS:
        return "seconds_invalid", f"Wait between 1 and {MOST_SECONDS} seconds for an answer.", "seconds"
    return header_fault(given["header_name"])


def header_fault(name: str) -> Fault | None:
    if name and (not HEADER.match(name) or name.lower() in OWN_HEADERS):
        sentence = "This header cannot carry a secret. Use Authorization, or the name that the server's maker gives."
        return "header_invalid", sentence, "header_name"
    return None


def asked_at(kind: str, url: str, name: str, version: str) -> str:
    """The address to which predictions are posted."""
    base = url.rstrip("/")
    numbered = f"/versions/{quote(version, safe='')}" if version else ""
    if kind == OIP:
        return f"{base}/v2/models/{quote(name, safe='')}{numbered}/infer"
    if kind == TF_SERVING:
        return f"{base}/v1/models/{quote(name, safe='')}{numbered}:predict"
    return f"{base}/invocations" if kind == MLFLOW else url


def placed(value: Any, place: str) -> Any:
    """The value at a place of an object, such as `data.rows`; itself where there is no place."""
    for step in reversed(place.split(".") if place else []):
        value = {step: value}
    return value


def found(body: Any, place: str) -> Any:
    """What is at a place of an answer; lists count from 0. Raises LookupError."""
    for step in place.split(".") if place else []:
        if type(body) is dict:
            body = body[step]
        elif type(body) is list and step.isdecimal():
            body = body[int(step)]
        else:
            raise LookupError(step)
    return body
