"""What goes into a pack, read in one snapshot. As it is, also where somebody altered it: to judge is the verifier's."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Q

from approvals import answers, gate
from approvals import dossier as records
from approvals.models import Proposal, ReviewRequest, RiskAcceptance
from approvals.workflow import attestation
from audits.proving import Placed, placed
from ledger import reading
from ledger.anchors import anchors_over, bundle_path
from ledger.keys import portal_key, portal_vkeys
from ledger.merkle import consistency
from ledger.models import Checkpoint, Disclosure, Event, PublicKey, Record
from ledger.notes import ED25519, proof_text
from ledger.refusals import Refusal

# What was done to the request itself, and to what it rests on: version, evidence, findings, accepted risks, policy.
ACTS = (
    "request.submitted", "request.revised", "request.withdrawn", "decision.signed", "approval.revoked",
    "risk_acceptance.signed",
)  # fmt: skip
BESIDE = (
    "version.registered", "upstream.answered",
    "report.published", "self_test.lifted", "evidence.attached", "evidence.withdrawn", "finding.raised",
    "finding.answered", "finding.reassessed", "finding.closed", "finding.reopened", "risk_acceptance.signed",
    "risk_acceptance.withdrawn", "policy.published",
)  # fmt: skip
# Who reads a request's pages reads these there too. Addresses of mail and network stay in the log.
TOLD = re.compile("actor_name|comment|note|reason|answer|title|text|condition_[0-9]+")
SEAL_SECONDS = 10.0


@dataclass(frozen=True)
class Gathered:
    """A request with the gate's answer, the signed form of that, and its entries in the order of the log."""

    dossier: records.Dossier
    answer: gate.GateResult
    envelope: dict[str, Any]
    entries: tuple[Placed, ...]
    decisions: dict[int, bytes]

    @property
    def note(self) -> bytes:
        """The checkpoint that all proofs lead to."""
        assert self.entries[0].proof is not None
        return self.entries[0].proof.note

    def entry_of(self, event: str, **facts: Any) -> int | None:
        """Number of the entry of an act on the request with these facts."""
        for place in self.entries:
            content = place.event.content
            if content["event"] == event and facts.items() <= content["facts"].items():
                return place.proof.index if place.proof else None
        return None


def events_of(found: records.Dossier) -> list[Event]:
    on_request = Event.objects.about(found.request).filter(event__in=ACTS)
    policies = Proposal.objects.filter(digest=found.request.policy_version.digest, state=Proposal.State.PUBLISHED)
    findings, accepted = {each.finding for each in found.steps}, acceptances_of(found)
    # Another request for the same version may be where a risk was accepted.
    requests = {each.request for each in accepted}
    beside = Event.objects.about(
        found.request.version, *found.evidence, *findings, *accepted, *policies, *requests
    ).filter(event__in=BESIDE)
    signed = [*(each.authentication for each in found.decisions), *(each.authentication for each in accepted)]
    proofs = Event.objects.filter(pk__in=signed)
    wanted = Q(pk__in=on_request.values("pk")) | Q(pk__in=beside.values("pk")) | Q(pk__in=proofs.values("pk"))
    return list(Event.objects.filter(wanted).order_by("id"))


def acceptances_of(found: records.Dossier) -> list[RiskAcceptance]:
    """The risks that the newest manifest names as accepted, and those that bear on the request now."""
    wanted = {*found.revision.acceptance_ids, *(each.pk for each in found.acceptances)}
    return list(RiskAcceptance.objects.filter(pk__in=wanted).select_related("request").order_by("pk"))


def wait_for_seal(request: ReviewRequest) -> None:
    """Raises Refusal `seal_pending` where the log takes longer than a pack waits."""
    waiting = [event.pk for event in events_of(records.open_dossier(request))]
    if None in reading.wait_for_seals(waiting, SEAL_SECONDS).values():
        sentence = (
            "An act on this request waits for its seal in the log, so that there is no proof of it yet. Ask for the "
            "pack again in a minute; if it lasts, tell whoever runs the portal."
        )
        raise Refusal("seal_pending", sentence)


def gathered(request: ReviewRequest) -> Gathered:
    """Within a snapshot. Raises Refusal `proof_unavailable` or `record_missing`."""
    found = records.open_dossier(request)
    answer = gate.evaluate(found.request.version, found.request.environment, found.request.use)
    asked = {"version": request.version_id, "environment": request.environment, "use": request.use}
    entries = sorted((proved(event) for event in events_of(found)), key=number_of)
    return Gathered(found, answer, answers.signed(answer, asked), tuple(entries), decision_records(found))


def proved(event: Event) -> Placed:
    place = placed(event)
    if place.proof is None:
        said = place.fault or "It is not sealed."
        raise Refusal("proof_unavailable", f"Nothing proves that {event.event} of {event.time:%Y-%m-%d} is in the log. "
                      f"{said}")  # fmt: skip
    return place


def number_of(place: Placed) -> int:
    assert place.proof is not None
    return place.proof.index


def decision_records(found: records.Dossier) -> dict[int, bytes]:
    """The bytes of each decision as the log sealed them, by its id."""
    rows = Record.objects.filter(
        object_type="approvals.decision", event__event="decision.signed",
        object_id__in=[str(each.pk) for each in found.decisions],
    )  # fmt: skip
    sealed = {int(row.object_id): bytes(row.bytes) for row in rows}
    if lost := [each.pk for each in found.decisions if each.pk not in sealed]:
        sentence = (
            f"The log holds no record of decision {lost[0]}. Somebody changed the database past the portal: tell "
            "whoever answers for it; repair nothing."
        )
        raise Refusal("record_missing", sentence)
    return sealed


def log_files(found: Gathered) -> Iterator[tuple[str, bytes]]:
    """Entries with their proofs, the checkpoint, and what places outside answered to checkpoints that cover them."""
    yield "checkpoint", found.note
    for place in found.entries:
        assert place.proof is not None
        index, note = place.proof.index, place.proof.note
        yield f"entries/{index}.json", bytes(place.event.bytes)
        yield f"proofs/{index}.tlog-proof", proof_text(index, place.proof.hashes, note)
    yield "disclosures.jsonl", b"".join(disclosures([place.event for place in found.entries]))
    size = int(found.note.split(b"\n", 2)[1])
    anchors = [one for one in anchors_over(number_of(found.entries[-1])) if one.size <= size]
    for one in anchors:
        yield re.sub(r"[^A-Za-z0-9._/-]+", "-", bundle_path(one)), bytes(one.receipt)
    for smaller in sorted({one.size for one in anchors} - {size}):
        yield f"checkpoints/{smaller}", bytes(Checkpoint.objects.get(origin=settings.LOG_ORIGIN, size=smaller).note)
        hashes = consistency(smaller, size, reading.subtree_of(size))
        yield f"consistency/{smaller}", "".join(f"{base64.b64encode(one).decode()}\n" for one in hashes).encode()


def disclosures(events: Sequence[Event]) -> Iterator[bytes]:
    place = {event.pk: at for at, event in enumerate(events)}
    rows = [row for row in Disclosure.objects.filter(event__in=events) if TOLD.fullmatch(row.label)]
    for row in sorted(rows, key=lambda row: (place[row.event_id], row.label)):
        salt = base64.urlsafe_b64encode(bytes(row.salt)).rstrip(b"=").decode()
        told = {"event": str(row.event_id), "label": row.label, "salt": salt, "value": row.value}
        yield json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def key_files() -> Iterator[tuple[str, bytes]]:
    """Every public key that signed for this log, and the portal's as a key set."""
    portal = [portal_key().verifier, *portal_vkeys()]
    known = [*PublicKey.objects.order_by("pk").values_list("vkey", flat=True), *(key.vkey for key in portal)]
    yield "keys/keys.txt", "".join(f"{vkey}\n" for vkey in dict.fromkeys(known)).encode()
    keys = {key.public: attestation.jwk(key.public) for key in portal if key.kind == ED25519}
    yield "keys/jwks.json", json.dumps({"keys": list(keys.values())}, indent=2).encode() + b"\n"
