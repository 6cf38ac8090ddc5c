"""Access is confirmed or dropped again and again: every grant, when its time has come, by somebody else."""

from __future__ import annotations

from collections.abc import Iterable

from accounts.granting.models import Recertification
from accounts.granting.services import ended
from accounts.models import Grant, GrantQuerySet, User
from accounts.takeover.holding import require_settled
from ledger.actors import Actor
from ledger.canonical import timestamp
from ledger.door import Done, governed
from ledger.refusals import Refusal


def due_for(user: User) -> GrantQuerySet:
    """What is due and what somebody may decide about, the oldest first: never their own."""
    scope = user.scope("accounts.recertify_access")
    found = Grant.objects.active().filter(scope.q(), user__is_active=True).exclude(user=user)
    return found.due().select_related("user", "role", "team", "granted_by", "proposal__decided_by")


def certifier(by: Actor, grant: Grant) -> User:
    """Raises Refusal `humans_only`, `own_grant` or `credentials_changed`."""
    if not isinstance(by, User) or not by.is_person:
        raise Refusal("humans_only", "Only a person decides whether somebody's access is still right.")
    if grant.user_id == by.pk:
        raise Refusal("own_grant", "This is your own access, so somebody else has to decide about it.")
    require_settled(by)
    return by


@governed(permission="accounts.recertify_access", event="grant.recertified", on="grant")
def recertify(*, by: Actor, grant: Grant) -> Done[Recertification]:
    """Say that a grant is still right. Raises Refusal `humans_only`, `own_grant`, `credentials_changed` or
    `grant_over`.
    """
    person = certifier(by, grant)
    if not Grant.objects.active().filter(pk=grant.pk).exists():
        raise Refusal("grant_over", "This grant has ended already. There is nothing to confirm.")
    row = Recertification.objects.create(grant=grant, by=person)
    due = Grant.objects.with_due().get(pk=grant.pk).due_at  # type: ignore[attr-defined]
    facts = {
        "account": str(grant.user.opaque_id), "role": grant.role.slug, "grant": str(grant.pk),
        "team": str(grant.team_id) if grant.team_id else None, "due_again": timestamp(due),
    }  # fmt: skip
    return Done(row, facts=facts)


@governed(permission="accounts.recertify_access", event="role.revoked", on="grant")
def drop_grant(*, by: Actor, grant: Grant, reason: str) -> Done[Grant]:
    """End a grant that is due and no longer right.

    Raises Refusal `humans_only`, `own_grant`, `credentials_changed`, `reason_needed`, `already_revoked` or `not_due`.
    """
    certifier(by, grant)
    if grant.revoked_at is None and not Grant.objects.due().filter(pk=grant.pk).exists():
        raise Refusal("not_due", "This grant is not due yet. A platform administrator can revoke it at any time.")
    done = ended(grant, reason)
    return Done(grant, facts={**done.facts, "recertification": True}, discloses=done.discloses)


def recertify_all(by: User, grants: Iterable[Grant]) -> tuple[int, list[str]]:
    """Confirm each by an act of its own; how many, and why not the others."""
    count, refused = 0, []
    for grant in grants:
        try:
            recertify(by=by, grant=grant)
            count += 1
        except Refusal as refusal:
            refused.append(f"{grant.user.name}, {grant}: {refusal.sentence}")
    return count, refused
