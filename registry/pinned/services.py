"""Registering a version without bytes, and keeping what its upstream answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Max

from accounts.models import User
from ledger.actors import Actor, SystemActor
from ledger.anchors import http
from ledger.anchors.guard import connect_outside
from ledger.anchors.targets import Failed
from ledger.canonical import canonical, digest_of, sha256
from ledger.door import Done, governed, mechanical
from ledger.events import database_time
from ledger.refusals import Refusal
from registry import storage
from registry.models import Model, Version
from registry.pinned import interface as interfaces
from registry.pinned import rules
from registry.pinned.models import Pins
from registry.services.inputs import account_of, keep, words
from registry.services.uploads import artifact_of
from registry.services.versions import CARD_CHARACTERS, plain_rule

WORKER = SystemActor("worker", frozenset({"registry.edit_version"}))
CONFIGURATION_CHARACTERS = 50_000
LARGEST_ANSWER = 256 * 1024


@governed(permission="registry.register_version", event="version.registered", on="model")
def register_pinned_version(
    *, by: Actor, model: Model, provider: str, configuration: str, contributors: Sequence[User], image: str = "",
    upstream_version: str = "", contract: str = "", ask_url: str = "", ask_field: str = "", card: str = "",
    notes: str = "", interface: Mapping[str, Any] | None = None,
) -> Done[Version]:  # fmt: skip
    """The next version of a model that runs elsewhere: what is pinned takes the place of its bytes.

    With an `interface` endpoints can serve it. Raises Refusal `nothing_pinned`, `digest_invalid`, `address_invalid`,
    `field_invalid`, `interface_invalid`, `bad_decision_rule`, `contributors_missing` or `version_exists`.
    """
    said = words(configuration, "configuration", most=CONFIGURATION_CHARACTERS)
    given: dict[str, Any] = {
        "provider": words(provider, "provider", most=120), "image": image.strip(), "contract": contract.strip(),
        "upstream_version": words(upstream_version, "upstream_version", most=rules.LONGEST, least=0),
        "configuration": sha256(said.encode()), "ask_url": ask_url.strip(), "ask_field": ask_field.strip(),
    }  # fmt: skip
    check(given)
    signature, rule = declared(interface)
    given["interface"] = dict(interface, decision_rule=rule) if interface else None
    if not contributors:
        sentence = "Name everybody who worked on this version: they may not approve it."
        raise Refusal("contributors_missing", sentence, "contributors")
    document = canonical(rules.document(**given))
    artifact = artifact_of(storage.put([document], limit=len(document)))
    if same := model.versions.filter(artifact=artifact).first():
        sentence = f"Version {same.number} has these very pins already. Edit its card, or change one of them."
        raise Refusal("version_exists", sentence)
    account = account_of(by)
    version = Version.objects.create(
        model=model, number=(model.versions.aggregate(last=Max("number"))["last"] or 0) + 1, artifact=artifact,
        filename="pins.json", signature={**signature, "operators": [], "producer": given["provider"]},
        features=list((interface or {}).get("features", [])), registered_by=account,
        decision_rule=rules.decision(given["configuration"], rule),
        card=words(card, "card", most=CARD_CHARACTERS, least=0), notes=words(notes, "notes", most=4000, least=0),
    )  # fmt: skip
    Pins.objects.create(version=version, **given)
    people = {person.pk: person for person in (account, *contributors)}
    version.contributors.set(people.values())
    keep(version.card, version.notes, said)
    facts = {
        "model": str(model.pk), "number": version.number, "artifact": artifact.digest, "size": artifact.size,
        "decision_rule": version.decision_rule, "features": len(version.features),
        "features_digest": digest_of(version.features),
        "card": version.card_digest, "contributors": sorted(str(person.opaque_id) for person in people.values()),
        "pins": rules.document(**given),
    }  # fmt: skip
    return Done(version, on=version, facts=facts)


def declared(interface: Mapping[str, Any] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and outputs as a signature holds them, and the rule in its one form. Raises Refusal."""
    if interface is None:
        return {"inputs": [], "outputs": []}, {}
    if found := interfaces.fault(interface):
        path, sentence = found
        raise Refusal("interface_invalid", sentence, ".".join(filter(None, ("interface", path))))
    signature = {side: interfaces.tensors(interface[side]) for side in ("inputs", "outputs")}
    try:
        return signature, plain_rule(interface["decision_rule"], signature["outputs"])
    except Refusal as refusal:
        raise Refusal(refusal.code, refusal.sentence, "interface.decision_rule") from None


def check(given: dict[str, Any]) -> None:
    if not given["image"] and not given["upstream_version"]:
        sentence = "Pin the image's digest or the model version that the upstream reports: only they say what runs."
        raise Refusal("nothing_pinned", sentence, "upstream_version")
    for name in ("image", "contract"):
        if given[name] and not rules.DIGEST.match(given[name]):
            raise Refusal("digest_invalid", "Write the digest as sha256: and 64 small hexadecimal digits.", name)
    if not given["ask_url"]:
        return
    if fault := rules.address_at_fault(given["ask_url"], settings.UPSTREAM_INTERNAL_HOSTS):
        raise Refusal("address_invalid", fault, "ask_url")
    if not given["upstream_version"]:
        sentence = "Say which model version the upstream reports today: the answer is compared with it."
        raise Refusal("nothing_pinned", sentence, "upstream_version")
    if not rules.FIELD.match(given["ask_field"]):
        sentence = "Say where in the JSON answer the model version stands, such as model.version."
        raise Refusal("field_invalid", sentence, "ask_field")


@dataclass(frozen=True)
class Answer:
    """What an upstream answered: the model version that it reports, or the problem in one sentence."""

    reported: str = ""
    problem: str = ""


def asked(pins: Pins) -> Answer:
    """Ask the registered address, outside of any transaction. It reaches no address within that is not allowed."""
    headers = {"Accept": "application/json", "User-Agent": f"countersign/{settings.VERSION}"}
    try:
        answer = http.send(
            "GET", pins.ask_url, headers=headers, limit=LARGEST_ANSWER,
            connect=connect_outside(settings.UPSTREAM_INTERNAL_HOSTS),
        )  # fmt: skip
    except Failed as failed:
        return Answer(problem=failed.sentence)
    if answer.status != 200:
        return Answer(problem=f"It answered with status {answer.status}.")
    said = rules.told(answer.body, pins.ask_field)
    return Answer(said) if said else Answer(problem=f"Its answer has no text at {pins.ask_field}.")


def ask_upstream(*, by: Actor, version: Version) -> Pins:
    """Ask now, if `by` may. Raises Refusal `nobody_to_ask`, and what `note_answer` does."""
    answer: Answer | None = None
    if by.has_perm("registry.edit_version", version) and version.pinned and version.pinned.ask_url:
        answer = asked(version.pinned)
    return note_answer(by=by, version=version, answer=answer)


@governed(permission="registry.edit_version", event="upstream.answered", on="version")
def note_answer(*, by: Actor, version: Version, answer: Answer | None) -> Done[Pins]:
    """Keep what the upstream said. Where that is another model version than before, every approval that was signed for
    the one before stops holding.
    """
    pins = version.pinned
    if pins is None or answer is None:
        sentence = "No address is registered that says which model version runs. Register a version with one."
        raise Refusal("nobody_to_ask", sentence)
    before = pins.says
    told(pins, answer)
    facts: dict[str, Any] = {
        "version": str(version.pk), "expected": pins.upstream_version, "reported": answer.reported or None,
        "before": before, "agrees": answer.reported == pins.upstream_version,
    }  # fmt: skip
    return Done(pins, on=version, facts=facts)


@mechanical("an answer that is the same as before is no news; one that differs is an event")
def note_asked(pins: Pins, answer: Answer) -> None:
    told(pins, answer)


def told(pins: Pins, answer: Answer) -> None:
    pins.asked_at, pins.problem = database_time(), answer.problem[:300]
    if answer.reported:
        pins.reported, pins.answered_at = answer.reported, pins.asked_at
    pins.save(update_fields=["asked_at", "problem", "reported", "answered_at"])


def ask_all() -> dict[str, int]:
    """Ask every upstream that has an address. Safe to run twice, and to kill anywhere."""
    count = {"asked": 0, "changed": 0, "failed": 0}
    for pins in Pins.objects.exclude(ask_url="").select_related("version__model").order_by("id"):
        answer = asked(pins)
        changed = bool(answer.reported) and answer.reported != pins.says
        if changed:
            note_answer(by=WORKER, version=pins.version, answer=answer)
        else:
            note_asked(pins, answer)
        count["asked"] += 1
        count["changed"] += changed
        count["failed"] += not answer.reported
    return count
