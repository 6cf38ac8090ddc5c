"""The act that says where predictions are made. No event holds the secret, nor the path of the address."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from accounts.models import User
from inference.models import Endpoint
from inference.upstreams import rules
from inference.upstreams.models import Upstream
from inference.upstreams.places import check_place
from inference.upstreams.targets import seal
from ledger.actors import Actor
from ledger.anchors.guard import leads_inside
from ledger.door import Done, governed
from ledger.events import database_time
from ledger.refusals import Refusal
from registry.pinned.rules import address_at_fault


@governed(permission="inference.bind_endpoint", event="endpoint.upstream_set", on="endpoint")
def set_upstream(
    *, by: Actor, endpoint: Endpoint, kind: str, url: str = "", model_name: str = "", model_version: str = "",
    rows_at: str = "", row_form: str = rules.VALUES, predictions_at: str = "", version_at: str = "", seconds: int = 10,
    header_name: str = "", secret: str = "",
) -> Done[Upstream | None]:  # fmt: skip
    """Choose where an endpoint's predictions are made; with `onnx`, in the gateway, nothing else that is given counts.

    A secret that is not given stays as it was while header and server do. Raises Refusal `unknown_kind`,
    `name_invalid`, `place_invalid`, `mapping_unused`, `unknown_form`, `seconds_invalid`, `header_invalid`,
    `secret_invalid`, `secret_needed`, `address_invalid`, `address_inside`, `bytes_here`, `bytes_not_here`,
    `interface_missing` or `nothing_changed`.
    """
    before = endpoint.elsewhere
    given: dict[str, Any] = {
        "kind": kind, "url": url.strip(), "model_name": model_name.strip(), "model_version": model_version.strip(),
        "rows_at": rows_at.strip(), "row_form": row_form, "predictions_at": predictions_at.strip(),
        "version_at": version_at.strip(), "seconds": seconds, "header_name": header_name.strip(),
    }  # fmt: skip
    if kind == rules.ONNX:
        return none(endpoint, before)
    if problem := rules.fault(given):
        raise Refusal(*problem)
    check_address(given["url"])
    check_place(endpoint.version, kind, "kind")
    sealed = sealed_for(given, secret.strip(), before)
    if before is not None and before.terms == given and not secret.strip():
        raise unchanged()
    who = by if isinstance(by, User) else None
    made, _ = Upstream.objects.update_or_create(
        endpoint=endpoint, defaults={**given, "sealed": sealed, "set_by": who, "set_at": database_time()}
    )
    endpoint.upstream = made
    facts = {
        "endpoint": endpoint.name,
        "from": before.as_facts() if before is not None else {"kind": rules.ONNX},
        "to": made.as_facts(),
        "secret": "new" if secret.strip() else "kept" if sealed else "none",
    }
    return Done(made, facts=facts)


def none(endpoint: Endpoint, before: Upstream | None) -> Done[Upstream | None]:
    if before is None:
        raise unchanged()
    check_place(endpoint.version, rules.ONNX, "kind")
    Upstream.objects.filter(endpoint=endpoint).delete()
    endpoint.refresh_from_db()
    facts = {"endpoint": endpoint.name, "from": before.as_facts(), "to": {"kind": rules.ONNX}, "secret": "none"}
    return Done(None, facts=facts)


def unchanged() -> Refusal:
    return Refusal("nothing_changed", "This is how it is already. Change something, or leave it.")


def check_address(url: str) -> None:
    """Raises Refusal. Where it leads is looked at anew with each connection."""
    internal = settings.UPSTREAM_INTERNAL_HOSTS
    if found := address_at_fault(url, internal):
        raise Refusal("address_invalid", found, "url")
    host = urlsplit(url).hostname or ""
    try:
        host.encode("idna")
    except UnicodeError:
        raise Refusal("address_invalid", "The host of its address is no name. Check it.", "url") from None
    if len(url) > 500:
        raise Refusal("address_invalid", "An address has up to 500 characters.", "url")
    if leads_inside(host, internal):
        sentence = "It leads to an address within. Ask whoever runs the portal to allow it, or give one outside."
        raise Refusal("address_inside", sentence, "url")


def sealed_for(given: dict[str, Any], secret: str, before: Upstream | None) -> bytes:
    """The secret as it is kept. One that is kept on never goes to another server than it was given for."""
    if secret:
        if not given["header_name"]:
            raise Refusal(
                "header_invalid", "Say which header carries the secret, such as Authorization.", "header_name"
            )
        if not rules.SECRET.match(secret):
            sentence = "A secret has up to 4,000 characters of ASCII, without line breaks. Copy it again."
            raise Refusal("secret_invalid", sentence, "secret")
        return seal(secret)
    if not given["header_name"]:
        return b""
    header = given["header_name"].lower()
    if before is None or before.header_name.lower() != header or before.place != Upstream(url=given["url"]).place:
        sentence = "Give the secret: it is kept only while the header and the server stay the same."
        raise Refusal("secret_needed", sentence, "secret")
    return bytes(before.sealed)
