"""The variables `OTEL_…` that are followed. Knows no framework.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and
https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from __future__ import annotations

import contextlib
import logging
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from inference.gateway.tracing.context import Sampler

log = logging.getLogger("inference.gateway")
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
NAME = "countersign-gateway"
Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Config:
    """Times in seconds, sizes in spans. `pauses` are those before a batch is sent again."""

    url: SplitResult
    headers: Mapping[str, str]
    timeout: float
    gzip: bool
    authority: str | None
    certificate: str | None
    key: str | None
    resource: Mapping[str, str]
    sampler: Sampler
    delay: float
    queue: int
    batch: int
    pauses: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)


def config(given: Mapping[str, str], version: str) -> Config | None:
    """None where traces are turned off. Raises ValueError with a sentence that holds no header's value."""
    exporters = [each.strip() for each in (given.get("OTEL_TRACES_EXPORTER") or "otlp").split(",")]
    if given.get("OTEL_SDK_DISABLED", "").lower() == "true" or "otlp" not in exporters:
        return None
    if of_traces(given, "PROTOCOL") == "grpc":
        sentence = (
            "OTEL_EXPORTER_OTLP_PROTOCOL=grpc is not spoken here. Set http/json, and the port for OTLP over HTTP."
        )
        raise ValueError(sentence)
    batch = number(given, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, int, 1)
    return Config(
        url=url(given),
        headers=headers(of_traces(given, "HEADERS")),
        timeout=number(given, timeout_name(given), 10_000.0, float, 1) / 1000,
        gzip=of_traces(given, "COMPRESSION") == "gzip",
        authority=of_traces(given, "CERTIFICATE") or None,
        certificate=of_traces(given, "CLIENT_CERTIFICATE") or None,
        key=of_traces(given, "CLIENT_KEY") or None,
        resource=resource(given, version),
        sampler=sampler(given),
        delay=number(given, "OTEL_BSP_SCHEDULE_DELAY", 5_000.0, float, 1) / 1000,
        queue=max(batch, number(given, "OTEL_BSP_MAX_QUEUE_SIZE", 2048, int, 1)),
        batch=batch,
    )


def of_traces(given: Mapping[str, str], name: str) -> str:
    """What holds for traces alone goes before what holds for every signal."""
    return given.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or given.get(f"OTEL_EXPORTER_OTLP_{name}") or ""


def timeout_name(given: Mapping[str, str]) -> str:
    alone = "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"
    return alone if given.get(alone) else "OTEL_EXPORTER_OTLP_TIMEOUT"


def url(given: Mapping[str, str]) -> SplitResult:
    """Of traces as it is; the common one gets the path of traces. Raises ValueError."""
    whole = given.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    name = f"OTEL_EXPORTER_OTLP_{'TRACES_' if whole else ''}ENDPOINT"
    text = whole or f"{given[name].rstrip('/')}/v1/traces"
    try:
        found = urlsplit(text)
        good = found.scheme in ("http", "https") and found.hostname and found.port != 0 and text.isascii()
    except ValueError:
        good = False
    if not good or found.username is not None or re.search(r"[\x00-\x20\x7f]", text):
        raise ValueError(f"{name} has to be like http://collector:4318, without a user. Keep secrets in the headers.")
    return found


def headers(text: str) -> dict[str, str]:
    """`name=value,name=value`, values percent-encoded. Raises ValueError that does not say what was there."""
    found = {}
    for each in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = each.partition("=")
        name, value = name.strip(), unquote(value.strip())
        if not equals or not HEADER.fullmatch(name) or not re.fullmatch(r"[\x20-\x7e]*", value):
            raise ValueError("OTEL_EXPORTER_OTLP_HEADERS has to be like name=value,name=value.")
        found[name.lower()] = value
    return found


def resource(given: Mapping[str, str], version: str) -> dict[str, str]:
    """What sent the spans: this process of the gateway, and what the operator says of it."""
    found = {"service.name": NAME, "service.version": version, "service.instance.id": str(uuid.uuid4())}
    for each in filter(None, given.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",")):
        name, equals, value = each.partition("=")
        if not equals or not name.strip():
            log.warning("OTEL_RESOURCE_ATTRIBUTES has to be like name=value,name=value; what is not is left out")
            continue
        found[unquote(name.strip())] = unquote(value.strip())
    if given.get("OTEL_SERVICE_NAME"):
        found["service.name"] = given["OTEL_SERVICE_NAME"]
    return found


def sampler(given: Mapping[str, str]) -> Sampler:
    name = given.get("OTEL_TRACES_SAMPLER") or "parentbased_always_on"
    kind = name.removeprefix("parentbased_")
    if kind not in ("always_on", "always_off", "traceidratio"):
        log.warning("OTEL_TRACES_SAMPLER=%s is not known; parentbased_always_on is taken", name)
        return Sampler(True, 1.0)
    ratio = {"always_on": 1.0, "always_off": 0.0}.get(kind)
    if ratio is None:
        ratio = number(given, "OTEL_TRACES_SAMPLER_ARG", 1.0, float, 0.0, 1.0)
    return Sampler(name != kind, ratio)


def number(
    given: Mapping[str, str], name: str, usual: Number, kind: Callable[[str], Number], least: float,
    most: float = 1e9,
) -> Number:  # fmt: skip
    """The usual one where it is missing or nonsense, which is said: a wrong number is no reason not to serve."""
    text = given.get(name)
    if not text:
        return usual
    with contextlib.suppress(ValueError):
        found = kind(text)
        if least <= found <= most:
            return found
    log.warning("%s=%s is no number from %g to %g; %g is taken", name, text, least, most, usual)
    return usual
