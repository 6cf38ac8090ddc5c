"""Letting somebody sign in one's place, and stepping back from a request."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import F
from django.db.models.functions import Greatest

from accounts.models import Team, User
from accounts.services import check_password, count_attempt, require_reason
from approvals import credentials, workflow
from approvals.models import Decision, Delegation, Recusal, ReviewRequest
from ledger.actors import Actor
from ledger.door import Done, governed, mechanical
from ledger.events import database_time
from ledger.refusals import Refusal

SIGNS = "approvals.sign_decision"
MOST_DAYS = 90


def delegate(*, by: User, taker: User, team: Team | None, ends_at: datetime, reason: str, password: str) -> Delegation:
    """Let `taker` sign in one's place, for one team or (None) everywhere, until `ends_at`.

    A wrong password counts towards the lock of the account. Raises Refusal `humans_only`, `to_yourself`,
    `taker_cannot_sign`, `credentials_changed`, `ends_invalid`, `reason_needed`, `wrong_credentials` or
    `account_locked`.
    """
    given = {"taker": taker, "ends_at": ends_at, "reason": reason, "password": password}
    if not by.has_perm(SIGNS, team):
        return make_delegation(by=by, team=team, **given)
    count_attempt(by)
    try:
        return make_delegation(by=by, team=team, **given)
    except Refusal as refusal:
        if refusal.code not in ("wrong_credentials", "account_locked"):
            uncount(by)
        raise


@mechanical("the password was right, and the act's refusal took back that it had been counted as such")
def uncount(account: User) -> None:
    tries = Greatest(F("failed_sign_ins") - 1, 0)
    User.objects.filter(pk=account.pk).update(failed_sign_ins=tries, locked_until=None)


@governed(permission=SIGNS, event="delegation.made", on="team", lock=False)
def make_delegation(
    *, by: Actor, team: Team | None, taker: User, ends_at: datetime, reason: str, password: str
) -> Done[Delegation]:
    """What `delegate` does once the attempt has been counted."""
    assert isinstance(by, User)
    check_password(User.objects.select_for_update(no_key=True).get(pk=by.pk), password)
    for held in credentials.held_back(by):
        raise Refusal(held.code, held.sentence)
    if not (by.is_person and taker.is_person):
        raise Refusal("humans_only", "Only people sign, and only people stand in for them.", "taker")
    if taker == by:
        raise Refusal("to_yourself", "You sign for yourself anyhow. Choose somebody else.", "taker")
    if not taker.has_perm(SIGNS, team):
        # Else whoever hands out delegations would hand out a role that nobody granted.
        sentence = "They hold no role there that signs. Choose somebody who does, for this team."
        raise Refusal("taker_cannot_sign", sentence, "taker")
    now = database_time()
    if not now < ends_at <= now + timedelta(days=MOST_DAYS):
        raise Refusal("ends_invalid", f"Choose a day within the next {MOST_DAYS} days.", "ends_at")
    require_reason(reason)
    row = Delegation.objects.create(giver=by, taker=taker, team=team, ends_at=ends_at, reason=reason.strip())
    facts = {"giver": str(by.opaque_id), "taker": str(taker.opaque_id), "ends_at": ends_at.isoformat()}
    return Done(row, on=row, facts=facts, discloses={"reason": row.reason})


@governed(permission="accounts.manage_own_access", event="delegation.ended", on="account", lock=False)
def end_delegation(*, by: Actor, account: User, delegation: Delegation) -> Done[Delegation]:
    """End one's own delegation before its time, on either side. Raises Refusal `not_yours` or `already_ended`."""
    row = Delegation.objects.select_for_update().get(pk=delegation.pk)
    if account.pk not in (row.giver_id, row.taker_id):
        raise Refusal("not_yours", "Only who gave or took it ends it.")
    now = database_time()
    if row.state_at(now) != "active":
        raise Refusal("already_ended", "It has ended already.")
    row.ended_at = now
    row.save(update_fields=["ended_at"])
    return Done(row, facts={"delegation": str(row.pk)}, changed=[row])


def delegation_of(giver: User, taker: User, team: int) -> Delegation:
    """The delegation under which `taker` may sign for `giver` now. Raises Refusal `no_delegation`."""
    found = Delegation.objects.covering(taker, team).filter(giver=giver).order_by("-ends_at").first()
    if found is None or not giver.is_active:
        raise no_delegation()
    return found


def no_delegation() -> Refusal:
    sentence = "You do not stand in for this person, or no longer. Sign for yourself, or ask them."
    return Refusal("no_delegation", sentence, "on_behalf_of")


@governed(permission=SIGNS, event="signer.recused", on="request")
def recuse(*, by: Actor, request: ReviewRequest, reason: str) -> Done[Recusal]:
    """Step back from a request. It cannot be taken back.

    Raises Refusal `request_closed`, `humans_only`, `already_recused`, `already_signed` or `reason_needed`.
    """
    assert isinstance(by, User)
    if request.state not in workflow.OPEN:
        word = request.get_state_display().lower()
        raise Refusal("request_closed", f"This request is {word}: there is nothing to step back from.")
    if not by.is_person:
        raise Refusal("humans_only", "Only a person signs, so only a person steps back.")
    if Recusal.objects.filter(request=request, person=by).exists():
        raise Refusal("already_recused", "You stepped back from this request already.")
    if Decision.objects.filter(request=request, signer=by).exists():
        sentence = "You have decided on this request. Ask for changes instead, and say why."
        raise Refusal("already_signed", sentence)
    require_reason(reason)
    row = Recusal.objects.create(request=request, person=by, reason=reason.strip())
    return Done(row, facts={"recusal": str(row.pk)}, discloses={"reason": row.reason})


def givers_of(taker: User, team: int) -> list[User]:
    """Those in whose place somebody may sign on requests of a team now."""
    return list(dict.fromkeys(each.giver for each in Delegation.objects.covering(taker, team) if each.giver.is_active))


def giver_of(taker: User, found: ReviewRequest, chosen: str) -> User | None:
    """Raises Refusal `no_delegation` for somebody in whose place this person may not sign, or no longer."""
    if not chosen:
        return None
    for each in givers_of(taker, found.team_id):
        if str(each.opaque_id) == chosen:
            return each
    raise no_delegation()
