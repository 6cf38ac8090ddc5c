"""What is pinned of a model whose bytes are elsewhere, as one canonical document; and how an answer is read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

FORMAT = "countersign-pins/1"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
FIELD = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\Z")
LONGEST = 200
# How a version without bytes says how its answers become decisions: by the configuration that is pinned.
UPSTREAM = "upstream"


def document(
    *, provider: str, image: str, upstream_version: str, contract: str, configuration: str, ask_url: str,
    ask_field: str, interface: Mapping[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Digests are `sha256:…`; what is not pinned is null, and an interface that is not declared is not there."""
    return {
        "format": FORMAT,
        "provider": provider,
        "image": image or None,
        "upstream_version": upstream_version or None,
        "contract": contract or None,
        "configuration": configuration,
        "ask": {"url": ask_url, "field": ask_field} if ask_url else None,
        **({"interface": dict(interface)} if interface else {}),
    }


def decision(configuration: str, rule: Mapping[str, Any]) -> dict[str, Any]:
    """The decision rule of a version without bytes: what its configuration says, and `rule` where one is declared."""
    return {"kind": UPSTREAM, "configuration": configuration, **({"rule": dict(rule)} if rule else {})}


def address_at_fault(url: str, internal: list[str]) -> str:
    """Why this address is never asked, or ""."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "This is no address. Write it like https://api.example.com/v1/model."
    if parts.scheme not in ("https", "http") or not host or not re.fullmatch(r"[!-~]+", url):
        return "This is no address. Write it like https://api.example.com/v1/model."
    if "@" in parts.netloc or parts.fragment:
        return "Leave user, password and anchor out of the address: everybody here sees it."
    if parts.scheme == "http" and host not in internal:
        return "Anybody on the way could change the answer of an http:// address. Use https://."
    return ""


def told(body: bytes, field: str) -> str:
    """The text or whole number at a place of a JSON answer, such as `model.version`; "" where there is none."""
    try:
        found: Any = json.loads(body)
        for step in field.split("."):
            found = found[int(step)] if isinstance(found, list) else found[step]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return ""
    if isinstance(found, bool) or not isinstance(found, (str, int)):
        return ""
    said = str(found).strip()
    return said if said.isprintable() and len(said) <= LONGEST else ""
