"""What makes the demo's review a review: a policy by two people, a finding, and a risk that is accepted for a while."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from approvals.policytemplates import templates
from portal.demo.browser import Visitor

POLICY = "sr-26-2"


def bring_policy(author: Visitor, second: Visitor, use: str, say: Callable[[str, str], None]) -> None:
    """The template for US banks, but for the anchor outside that a demo does not have, bound to one use."""
    if any(each["use"] == use for each in author.call("GET", "/policies/bindings/")):
        return
    document = {**templates()[POLICY], "anchor_outside": False}
    if all(each["slug"] != POLICY for each in author.call("GET", "/policies/")["results"]):
        made = author.call("POST", "/policies/", json={"document": document, "note": "The bank follows SR 26-2."})
        second.call("POST", f"/proposals/{made['id']}/publication/", json={"digest": made["digest"]})
    wish = {"policy": POLICY, "use": use, "note": "Screening decides about people."}
    bound = author.call("POST", "/policies/bindings/", json=wish)
    second.call("POST", f"/proposals/{bound['id']}/publication/", json={})
    say("policy", f"{document['title']} governs {use}: Pia Berg proposed it, Rosa Klein published it")


def raise_finding(validator: Visitor, version: int, request: int) -> int:
    """The finding's id; an earlier run may have raised it."""
    known = validator.call("GET", "/findings/", params={"version": version})["results"]
    if known:
        return int(known[0]["id"])
    wish = {
        "version": version, "request": request, "severity": "high", "due": day(90),
        "title": "The cut-off was never tested on other years",
        "text": "All figures are of 1990. Show the rates on newer applications before this is relied on.",
    }  # fmt: skip
    return int(validator.call("POST", "/findings/", json=wish)["id"])


def accept_risk(risk: Visitor, password: str, request: int, finding: int) -> None:
    """Read the exact text, prove who it is over its digest, and sign it."""
    wish = {
        "target": f"finding:{finding}", "until": day(60),
        "reason": "Screening only, and a person reads every refusal; newer figures are under way.",
    }  # fmt: skip
    text = risk.call("GET", f"/requests/{request}/risk-acceptances/text/", params=wish)
    proving = {"request": request, "digest": text["digest"], "password": password, "purpose": "risk_acceptance"}
    proof = risk.call("POST", "/reauthentications/", json=proving)
    signed = {**wish, "digest": text["digest"], "nonce": proof["nonce"]}
    risk.call("POST", f"/requests/{request}/risk-acceptances/", json=signed)


def day(ahead: int) -> str:
    return (datetime.now(UTC) + timedelta(days=ahead)).date().isoformat()
