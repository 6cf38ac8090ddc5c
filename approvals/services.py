"""Every write of the approvals floor, but for signing (see `signing.py`): asking, revising, talking, taking back."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from accounts.models import User
from accounts.people import fill_in
from accounts.services import require_reason
from approvals import dossier as records
from approvals import workflow
from approvals.bound import policy_for
from approvals.comparing import frozen_change
from approvals.conversation import told_of
from approvals.findings import reading
from approvals.frozen import manifest_of
from approvals.gate import checked_environment
from approvals.models import Comment, EvidenceView, ReviewRequest, Revision, Revocation
from approvals.notices import telling
from approvals.proving import reauthenticate
from approvals.showing.talk import checked_part
from approvals.signing import sign
from approvals.standing_in import delegate, end_delegation, recuse
from ledger.actors import Actor
from ledger.canonical import canonical
from ledger.door import Done, governed, mechanical
from ledger.events import database_time
from ledger.refusals import Refusal
from registry.models import Evidence, Version

__all__ = [
    "comment",
    "delegate",
    "end_delegation",
    "open_evidence",
    "reauthenticate",
    "recuse",
    "revise",
    "revoke",
    "sign",
    "submit",
    "withdraw",
]

USE = re.compile(r"^[a-z0-9]+(-[a-z0-9]+)*$")


@governed(permission="approvals.submit_request", event="request.submitted", on="version")
def submit(
    *, by: Actor, version: Version, environment: str, use: str, note: str = "",
    evidence: Sequence[Evidence] | None = None,
) -> Done[ReviewRequest]:  # fmt: skip
    """Freeze the version with its evidence into revision 1 of a new request; without `evidence`: all that stands.

    Raises Refusal `unknown_environment`, `use_invalid`, `contributors_missing`, `evidence_not_usable`,
    `request_open`, or `answer_needed` where an earlier request was rejected, withdrawn or revoked.
    """
    assert isinstance(by, User)
    checked_environment(environment)
    if not USE.match(use) or len(use) > 60:
        sentence = "Write the use in small letters, digits and hyphens, such as “mortgage-screening”; at most 60."
        raise Refusal("use_invalid", sentence, "use")
    if not version.contributors.exists():
        sentence = "Nobody is named as a contributor to this version. Name them on the version's page first."
        raise Refusal("contributors_missing", sentence)
    subject = ReviewRequest.objects.filter(version=version, environment=environment, use=use)
    if there := subject.under_way().first():
        raise Refusal("request_open", f"Request {there.pk} asks for the same. Go on there, or withdraw it first.")
    if len(note.strip()) < 3 and (last := ReviewRequest.objects.ended(version).order_by("id").last()):
        sentence = f"Request {last.pk} for this model or these bytes came to nothing. Say what is different now."
        raise Refusal("answer_needed", sentence, "note")
    request = ReviewRequest.objects.create(
        version=version,
        model_id=version.model_id,
        environment=environment,
        use=use,
        policy_version=policy_for(version, use),
        submitted_by=by,
    )
    revision = freeze(request, by, note, usable(version, evidence))
    telling.turn_opened(records.open_dossier(request))
    facts = {
        "version": str(version.pk), "environment": environment, "use": use, "revision": 1, "digest": revision.digest,
        "policy": request.policy_version.digest,
        **({"material_change": revision.change} if revision.material_change else {}),
    }  # fmt: skip
    return Done(request, on=request, facts=facts, discloses={"note": note})


def usable(version: Version, chosen: Sequence[Evidence] | None) -> list[Evidence]:
    """The evidence to freeze. Raises Refusal `evidence_not_usable` for another version's, or what was withdrawn."""
    standing = list(version.evidence.filter(withdrawn_at=None).order_by("id"))
    if chosen is None:
        return standing
    wanted = {each.pk for each in chosen}
    if not wanted <= {each.pk for each in standing}:
        sentence = "Some of the evidence chosen is not this version's, or was withdrawn. Choose again from the list."
        raise Refusal("evidence_not_usable", sentence, "evidence")
    return [each for each in standing if each.pk in wanted]


def freeze(request: ReviewRequest, by: User, note: str, evidence: Sequence[Evidence], number: int = 1) -> Revision:
    """The next revision: the manifest of the records as they are now."""
    subject = Version.objects.select_related("model__risk_tier_set_by", "artifact", "registered_by", "pins").get(
        pk=request.version_id
    )
    rows = records.evidence_by_id({each.pk for each in evidence})
    fill_in((rows.values(), ("produced_by",)))
    about = reading.read([subject.pk])
    steps = reading.standing(about.newest.get(subject.pk, []), request.pk)
    accepted = about.accepted.get((subject.pk, request.environment, request.use), [])
    accepted = reading.holding(accepted, database_time())
    make = partial(
        manifest_of, subject, list(rows.values()), records.contributors_of({subject.pk})[subject.pk],
        request.policy_version, environment=request.environment, use=request.use, request_id=request.pk, number=number,
        submitter=by, steps=steps, acceptances=accepted,
    )  # fmt: skip
    change = frozen_change(request, make)
    manifest = make(change=change)
    return Revision.objects.create(
        request=request, number=number, manifest_bytes=canonical(manifest), digest=workflow.manifest_digest(manifest),
        evidence_ids=sorted(rows), step_ids=sorted(each.pk for each in steps),
        acceptance_ids=sorted(each.pk for each in accepted), format=manifest["format"], material_change=change,
        note=note, submitted_by=by,
    )  # fmt: skip


@governed(permission="approvals.submit_request", event="request.revised", on="request")
def revise(
    *, by: Actor, request: ReviewRequest, note: str, evidence: Sequence[Evidence] | None = None
) -> Done[Revision]:
    """Freeze anew. Signatures over the earlier revision stay on record; they count where the policy carries them over.

    Where the pinning to the policy has ended, the request is pinned to what is bound now. Raises Refusal
    `request_closed`, `note_needed`, `nothing_changed` or `evidence_not_usable`.
    """
    assert isinstance(by, User)
    still_open(request)
    if len(note.strip()) < 3:
        raise Refusal("note_needed", "Say what changed, or answer the reviewer, in a few words.", "note")
    before, pinned = request.latest, request.policy_version
    if workflow.pin_ended(records.open_dossier(request).case, database_time()):
        request.policy_version = policy_for(request.version, request.use)
        request.policy_pinned_at = database_time()
    revision = freeze(request, by, note, usable(request.version, evidence), before.number + 1)
    changes = workflow.differences(before.manifest, revision.manifest)
    told = [each.name for each in changes if each.name not in ("revision", "submitted_by")]
    if not told and request.state == ReviewRequest.State.IN_REVIEW:
        sentence = "Nothing has changed since the last revision. Signatures on it stay; there is nothing to submit."
        raise Refusal("nothing_changed", sentence)
    request.state = ReviewRequest.State.IN_REVIEW
    request.save(update_fields=["state", "policy_version", "policy_pinned_at"])
    telling.turn_opened(records.open_dossier(request))
    facts: dict[str, Any] = {
        "revision": revision.number,
        "from": before.digest,
        "to": revision.digest,
        "lines": told[:50],
    }
    if request.policy_version != pinned:
        facts["policy"] = request.policy_version.digest
    return Done(revision, facts=facts, discloses={"note": note})


@governed(permission="approvals.withdraw_request", event="request.withdrawn", on="request")
def withdraw(*, by: Actor, request: ReviewRequest, reason: str) -> Done[ReviewRequest]:
    """Raises Refusal `request_closed` or `reason_needed`."""
    still_open(request)
    require_reason(reason)
    request.state, request.closed_at = ReviewRequest.State.WITHDRAWN, database_time()
    request.save(update_fields=["state", "closed_at"])
    return Done(request, facts={"digest": request.latest.digest}, discloses={"reason": reason})


def still_open(request: ReviewRequest) -> None:
    if not request.is_open:
        word = request.get_state_display().lower()
        raise Refusal("request_closed", f"This request is {word}. Make a new request to go on.")


@governed(permission="approvals.comment", event="comment.added", on="request", lock=False)
def comment(
    *, by: Actor, request: ReviewRequest, text: str, mentions: Collection[str] = (), about: str = ""
) -> Done[Comment]:
    """Say something, and tell those whom it mentions: by opaque id in `mentions`, or by `@` and their name.

    `about` is a part of the request's page. Raises Refusal `text_needed`, `text_too_long` (10,000 characters),
    `person_unknown`, `too_many_mentions` or `part_unknown`.
    """
    assert isinstance(by, User)
    if not text.strip():
        raise Refusal("text_needed", "Write something first.", "text")
    if len(text) > 10_000:
        raise Refusal("text_too_long", "A comment has at most 10,000 characters. Shorten it, or attach a file.", "text")
    said, found = text.strip(), told_of(request, by, text, mentions)
    part = checked_part(records.open_dossier(request), about) if about else ""
    row = Comment.objects.create(request=request, author=by, text=said, about=part)
    row.mentioned.add(*found)
    telling.mentioned(row, found)
    facts: dict[str, Any] = {"comment": str(row.pk)}
    if found:
        facts["mentioned"] = sorted(str(each.opaque_id) for each in found)
    if part:
        facts["about"] = part
    return Done(row, facts=facts, discloses={"text": said})


@governed(permission="approvals.revoke_approval", event="approval.revoked", on="request")
def revoke(*, by: Actor, request: ReviewRequest, reason: str) -> Done[Revocation]:
    """End an approval. It cannot be taken back. Raises Refusal `not_approved`, `already_revoked` or `reason_needed`."""
    assert isinstance(by, User)
    if not by.is_person:
        raise Refusal("humans_only", "Only a person revokes an approval.")
    if request.state not in workflow.APPROVED:
        raise Refusal("not_approved", "This request is not approved, so there is nothing to revoke.")
    if Revocation.objects.filter(request=request).exists():
        raise Refusal("already_revoked", "This approval has been revoked already.")
    require_reason(reason)
    row = Revocation.objects.create(request=request, revoked_by=by, reason=reason.strip())
    telling.revoked(request, by)
    facts = {
        "digest": request.latest.digest, "version": str(request.version_id), "environment": request.environment,
        "use": request.use,
    }  # fmt: skip
    return Done(row, facts=facts, discloses={"reason": reason.strip()})


@mechanical("notes what a reviewer opened; what they had opened is sealed with their signature")
def open_evidence(*, by: User, request: ReviewRequest, evidence: Evidence) -> None:
    EvidenceView.objects.bulk_create(
        [EvidenceView(request=request, evidence=evidence, person=by)], ignore_conflicts=True
    )
