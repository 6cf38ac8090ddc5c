"""What people decide about erasures and holds, each of it an event. Carrying out is for `carrying`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import connection

from accounts.models import Grant, Team, User
from audits.erasing import rules
from audits.erasing.choosing import Choice, holds_over, preview
from audits.erasing.holding import LOCK
from audits.erasing.models import Erasure, ErasureItem, Hold
from ledger.actors import Actor
from ledger.door import Done, governed
from ledger.events import database_time
from ledger.models import Disclosure, Event
from ledger.refusals import Refusal

LONGEST_REASON = 2_000


def a_person(by: Actor) -> User:
    if not isinstance(by, User) or not by.is_person:
        raise Refusal("humans_only", "Only a person decides about an erasure or a legal hold.")
    return by


def reason_of(text: str, field: str = "reason") -> str:
    said = text.strip()
    if len(said) < 3:
        raise Refusal("reason_needed", "Say why, in a few words.", field)
    if len(said) > LONGEST_REASON:
        raise Refusal("reason_too_long", f"Say it in at most {LONGEST_REASON:,} characters.", field)
    return said


def not_held(events: Iterable[Any], person: str) -> None:
    """Raises Refusal `legal_hold`."""
    if holds := list(holds_over(list(events), person)):
        names = ", ".join(str(hold) for hold in holds)
        raise Refusal("legal_hold", f"This is under legal hold ({names}). It can be erased once the hold is lifted.")


@governed(permission="audits.request_erasure", event="erasure.requested", on=None)
def request_erasure(*, by: Actor, choice: Choice, ground: str, reason: str, seen: str | None = None) -> Done[Erasure]:
    """Ask for an erasure; nothing is erased before another person approves. `seen` is the digest of the preview shown.

    Raises Refusal `unknown_kind`, `unknown_person`, `unknown_entry`, `unknown_label`, `unknown_ground`,
    `reason_needed`, `reason_too_long`, `preview_outdated`, `nothing_to_erase`, `legal_hold`, `erasure_open` or
    `humans_only`.
    """
    account, said = a_person(by), reason_of(reason)
    if ground not in rules.GROUNDS:
        raise Refusal("unknown_ground", f"Choose one of: {', '.join(rules.GROUNDS)}.", "ground")
    found = preview(choice, account)
    if not found.count:
        raise Refusal("nothing_to_erase", "Nothing of what you chose is there to erase. See what stays, and why.")
    if seen is not None and seen != found.digest:
        raise Refusal("preview_outdated", "What would be erased has changed since it was shown. Look at it again.")
    not_held(found.events, found.subject if found.person else "")
    waiting = Erasure.objects.filter(digest=found.digest, state__in=("requested", "approved"))
    if there := waiting.first():
        raise Refusal("erasure_open", f"{there} asks for exactly the same and is not carried out yet.")
    erasure = Erasure.objects.create(
        kind=found.kind, subject=found.subject, labels=list(found.labels), ground=ground, count=found.count,
        entries=len(found.events), digest=found.digest, requested_by=account,
    )  # fmt: skip
    ErasureItem.objects.bulk_create(
        (ErasureItem(erasure=erasure, event=event, label=label) for event, label in found.items), batch_size=2_000
    )
    return Done(erasure, on=erasure, facts={**facts_of(erasure), "labels": erasure.labels}, discloses={"reason": said})


def facts_of(erasure: Erasure) -> dict[str, Any]:
    """What each event of an erasure says of it: no names, and of what is erased only where it is and its digest."""
    return {
        "kind": erasure.kind, "subject": erasure.subject, "ground": erasure.ground, "count": erasure.count,
        "entries": erasure.entries, "digest": erasure.digest,
    }  # fmt: skip


def still_requested(erasure: Erasure) -> None:
    if erasure.state != Erasure.State.REQUESTED:
        word = erasure.get_state_display().lower()
        raise Refusal("already_decided", f"This erasure is decided already: {word}. Make a new request to go on.")


@governed(permission="audits.approve_erasure", event="erasure.approved", on="erasure")
def approve(*, by: Actor, erasure: Erasure, note: str = "") -> Done[Erasure]:
    """Let an erasure be carried out, once this approval is sealed. It cannot be taken back.

    Raises Refusal `humans_only`, `already_decided`, `same_person`, `administrator`, `approver_of_the_asker`,
    `reason_too_long` or `legal_hold`.
    """
    account = a_person(by)
    still_requested(erasure)
    second_person(erasure, account)
    items = set(erasure.items.values_list("event", flat=True))
    not_held(items, erasure.subject if erasure.kind == Erasure.Kind.PERSON else "")
    said = reason_of(note, "note") if note.strip() else ""
    return decide(erasure, account, Erasure.State.APPROVED, {"note": said})


def second_person(erasure: Erasure, account: User) -> None:
    """Whoever can hand out roles could otherwise be both people: alone, or through an account of their making."""
    if account.pk == erasure.requested_by_id:
        raise Refusal("same_person", "You asked for this erasure, so somebody else has to approve it.")
    if account.may_somewhere("accounts.grant_role"):
        sentence = "Whoever grants roles approves no erasure. Ask a risk officer who is no platform administrator."
        raise Refusal("administrator", sentence)
    giving = Grant.objects.active().filter(user=account, role__permissions__contains=["audits.approve_erasure"])
    if not giving.exclude(granted_by=erasure.requested_by_id).exists():
        sentence = (
            "Your right to approve erasures was granted by the person who asks for this one. Somebody else has to "
            "approve it, or to ask for it."
        )
        raise Refusal("approver_of_the_asker", sentence)


@governed(permission="audits.approve_erasure", event="erasure.rejected", on="erasure")
def reject(*, by: Actor, erasure: Erasure, reason: str) -> Done[Erasure]:
    """Raises Refusal `humans_only`, `already_decided`, `same_person`, `reason_needed` or `reason_too_long`."""
    account = a_person(by)
    still_requested(erasure)
    if account.pk == erasure.requested_by_id:
        raise Refusal("same_person", "You asked for this erasure, so somebody else has to decide about it.")
    return decide(erasure, account, Erasure.State.REJECTED, {"reason": reason_of(reason)})


def decide(erasure: Erasure, account: User, state: str, told: dict[str, str]) -> Done[Erasure]:
    erasure.state, erasure.decided_by, erasure.decided_at = state, account, database_time()
    erasure.save(update_fields=["state", "decided_by", "decided_at"])
    return Done(erasure, facts=facts_of(erasure), discloses=told)


@governed(permission="audits.carry_out_erasure", event="erasure.carried_out", on="erasure")
def record_carried_out(*, by: Actor, erasure: Erasure) -> Done[Erasure]:
    """Say that an approved erasure is carried out, once nothing of it is left. Raises Refusal `not_carried_out`."""
    if erasure.state != Erasure.State.APPROVED:
        raise Refusal("not_carried_out", f"{erasure} is not approved: {erasure.get_state_display().lower()}.")
    for event, label in erasure.items.values_list("event", "label").iterator():
        if Disclosure.objects.filter(event=event, label=label).exists():
            raise Refusal("not_carried_out", f"{label} of {event} is still there.")
    erasure.state, erasure.carried_out_at = Erasure.State.CARRIED_OUT, database_time()
    erasure.save(update_fields=["state", "carried_out_at"])
    return Done(erasure, facts=facts_of(erasure))


@governed(permission="audits.manage_legal_hold", event="hold.placed", on=None)
def place_hold(
    *, by: Actor, kind: str, reason: str, account: User | None = None, team: Team | None = None, model: str = "",
    since: datetime | None = None, until: datetime | None = None, ends_at: datetime | None = None,
) -> Done[Hold]:  # fmt: skip
    """From now on nothing that the hold covers is erased. It waits for an erasure that is just being carried out.

    Raises Refusal `humans_only`, `reason_needed`, `reason_too_long`, `unknown_kind`, `subject_needed`,
    `unknown_model`, `period_empty` or `end_is_past`.
    """
    placer, said = a_person(by), reason_of(reason)
    now = database_time()
    if ends_at is not None and ends_at <= now:
        raise Refusal("end_is_past", "The hold's end is in the past. Choose a later one, or none.", "ends_at")
    given: dict[str, Any]
    if kind == Hold.Kind.PERSON and account is not None:
        given = {"account": account, "subject": str(account.opaque_id)}
    elif kind == Hold.Kind.TEAM and team is not None:
        given = {"of_team": team}
    elif kind == Hold.Kind.MODEL and model:
        if not Event.objects.filter(object_type="registry.model", object_id=model).exists():
            raise Refusal(
                "unknown_model", "There is no model with this number. It stands in its page's address.", "model"
            )
        given = {"subject": model}
    elif kind == Hold.Kind.PERIOD and since is not None:
        if until is not None and until <= since:
            raise Refusal("period_empty", "The period ends before it begins. Choose a later end.", "until")
        given = {"since": since, "until": until}
    else:
        field = {"team": "team", "model": "model", "person": "person", "period": "since"}.get(kind)
        if field is None:
            raise Refusal("unknown_kind", f"Choose one of: {', '.join(Hold.Kind.values)}.", "kind")
        raise Refusal("subject_needed", "Say what the hold covers.", field)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    hold = Hold.objects.create(kind=kind, ends_at=ends_at, placed_by=placer, **given)
    return Done(hold, on=hold, facts=facts_of_hold(hold), discloses={"reason": said})


def facts_of_hold(hold: Hold) -> dict[str, Any]:
    facts = {
        "kind": hold.kind, "subject": hold.subject or None, "team": str(hold.of_team_id) if hold.of_team_id else None,
        "since": hold.since and hold.since.isoformat(), "until": hold.until and hold.until.isoformat(),
        "ends": hold.ends_at and hold.ends_at.isoformat(),
    }  # fmt: skip
    return {name: value for name, value in facts.items() if value}


@governed(permission="audits.manage_legal_hold", event="hold.lifted", on="hold")
def lift_hold(*, by: Actor, hold: Hold, reason: str) -> Done[Hold]:
    """End a hold. Approved erasures that waited for it are then carried out.

    Raises Refusal `humans_only`, `hold_is_over`, `reason_needed` or `reason_too_long`.
    """
    account, said = a_person(by), reason_of(reason)
    if hold.lifted_at or not Hold.objects.standing().filter(pk=hold.pk).exists():
        raise Refusal("hold_is_over", "This hold is over already.")
    hold.lifted_at, hold.lifted_by = database_time(), account
    hold.save(update_fields=["lifted_at", "lifted_by"])
    return Done(hold, facts=facts_of_hold(hold), discloses={"reason": said})
