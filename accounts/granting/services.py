"""Granting and revoking roles, and grants that take two people: proposed by one, confirmed by another."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q

from accounts.catalogue import GUARDED, conflict, conflicts
from accounts.granting.models import ProposedGrant
from accounts.models import Grant, Role, Team, User
from accounts.takeover.holding import require_settled
from ledger.actors import Actor
from ledger.canonical import timestamp
from ledger.door import Done, governed
from ledger.events import database_time
from ledger.refusals import Denied, Refusal, require_reason


@dataclass(frozen=True)
class Terms:
    """What is to be granted, to whom, and why."""

    account: User
    role: Role
    team: Team | None
    reason: str
    expires_at: datetime | None
    conflict_reason: str

    def facts(self) -> dict[str, Any]:
        meets = self.meets()
        return {
            "account": str(self.account.opaque_id), "role": self.role.slug,
            "team": str(self.team.pk) if self.team else None,
            "conflict": bool(meets), "conflict_confirmed": bool(meets and self.conflict_reason),
            "conflicts": [[one, other] for one, other, _ in meets],
            "expires": timestamp(self.expires_at) if self.expires_at else None,
        }  # fmt: skip

    def meets(self) -> list[tuple[str, str, str]]:
        return conflicts(self.role.slug, held_beside(self.account, self.team))

    def discloses(self) -> dict[str, str]:
        return {"reason": self.reason, "conflict_reason": self.conflict_reason}


def held_beside(account: User, team: Team | None) -> set[str]:
    """Slugs of the roles whose reach a grant for this team would meet: a grant for the whole house meets them all."""
    held = account.grants.active()
    if team is not None:
        held = held.filter(Q(team=None) | Q(team=team))
    return set(held.values_list("role__slug", flat=True))


def fitting(by: Actor, terms: Terms, accept_conflict: bool) -> Terms:
    """The terms, where they can be granted at all. Raises PermissionDenied or what `grant_role` says.

    What lets one account do the work of two is first shown, and then needs its own reason.
    """
    if not by.has_perm("accounts.grant_role", terms.team):
        raise Denied("accounts.grant_role")
    if not terms.account.is_active:
        raise Refusal("account_inactive", "This account has been deactivated. It cannot be given a role.")
    if isinstance(by, User) and GUARDED & set(terms.role.permissions):
        if not by.is_person:
            raise Refusal("humans_only", "Only a person hands out a role that signs or that grants roles.")
        require_settled(by)
    require_reason(terms.reason)
    if terms.expires_at is not None and terms.expires_at <= database_time():
        raise Refusal("expiry_past", "The grant would end before it begins. Choose a later day.", "expires_at")
    not_granted_yet(terms.account, terms.role, terms.team)
    meets = conflict(terms.role.slug, held_beside(terms.account, terms.team))
    if meets and not accept_conflict:
        raise Refusal("role_conflict", f"{meets} Tick the box if this is meant, and say why.", "accept_conflict")
    if meets and len(terms.conflict_reason.strip()) < 3:
        sentence = "Say why one account may do what is meant for two. It is shown wherever the grant is."
        raise Refusal("conflict_reason_needed", sentence, "conflict_reason")
    return terms if meets else Terms(terms.account, terms.role, terms.team, terms.reason, terms.expires_at, "")


def not_granted_yet(account: User, role: Role, team: Team | None) -> None:
    if account.grants.active().filter(role=role, team=team).exists():
        raise Refusal("already_granted", "This role is granted already. Revoke it first to change its terms.", "role")


def made(terms: Terms, granted_by: User | None) -> Grant:
    return Grant.objects.create(
        user=terms.account, role=terms.role, team=terms.team, reason=terms.reason, expires_at=terms.expires_at,
        conflict_reason=terms.conflict_reason.strip(), granted_by=granted_by,
    )  # fmt: skip


@governed(permission="accounts.grant_role", event="role.granted", on="account")
def grant_role(
    *, by: Actor, account: User, role: Role, team: Team | None, reason: str, expires_at: datetime | None = None,
    accept_conflict: bool = False, conflict_reason: str = "",
) -> Done[Grant]:  # fmt: skip
    """Raises Refusal `own_grant`, `reason_needed`, `expiry_past`, `already_granted`, `account_inactive`; `humans_only`
    or `credentials_changed` where the role signs or grants; `role_conflict` where roles that should be apart would
    meet and `accept_conflict` does not say that this is meant, `conflict_reason_needed` where it does without why.
    """
    if isinstance(by, User) and by.pk == account.pk:
        sentence = "Nobody grants a role to themselves. Propose it, and another platform administrator can confirm it."
        raise Refusal("own_grant", sentence)
    terms = fitting(by, Terms(account, role, team, reason, expires_at, conflict_reason), accept_conflict)
    facts = terms.facts()  # before the role is held
    grant = made(terms, by if isinstance(by, User) else None)
    return Done(grant, facts={**facts, "grant": str(grant.pk)}, discloses=terms.discloses())


@governed(permission="accounts.grant_role", event="role.revoked", on="grant")
def revoke_grant(*, by: Actor, grant: Grant, reason: str) -> Done[Grant]:
    """Raises Refusal `reason_needed` or `already_revoked`."""
    return ended(grant, reason)


def ended(grant: Grant, reason: str) -> Done[Grant]:
    require_reason(reason)
    if grant.revoked_at is not None:
        raise Refusal("already_revoked", "This grant has been revoked already.")
    grant.revoked_at = database_time()
    grant.save(update_fields=["revoked_at"])
    facts = {"account": str(grant.user.opaque_id), "role": grant.role.slug, "grant": str(grant.pk)}
    return Done(grant, facts=facts, discloses={"reason": reason})


@governed(permission="accounts.grant_role", event="grant.proposed", on="account")
def propose_grant(
    *, by: Actor, account: User, role: Role, team: Team | None, reason: str, expires_at: datetime | None = None,
    accept_conflict: bool = False, conflict_reason: str = "",
) -> Done[ProposedGrant]:  # fmt: skip
    """Ask for a grant, for oneself or somebody else, that only another administrator can make.

    Raises what `grant_role` does but `own_grant`, and `humans_only` or `already_proposed`.
    """
    proposer = a_person(by)
    terms = fitting(by, Terms(account, role, team, reason, expires_at, conflict_reason), accept_conflict)
    if account.proposed_grants.waiting().filter(role=role, team=team).exists():
        raise Refusal("already_proposed", "This is proposed already, and waits for another administrator.", "role")
    proposal = ProposedGrant.objects.create(
        user=account, role=role, team=team, reason=reason, conflict_reason=terms.conflict_reason.strip(),
        ends_at=expires_at, proposed_by=proposer, expires_at=database_time() + timedelta(days=settings.PROPOSAL_DAYS),
    )  # fmt: skip
    facts = {**terms.facts(), "proposal": str(proposal.pk), "confirm_before": timestamp(proposal.expires_at)}
    return Done(proposal, on=proposal, facts=facts, discloses=terms.discloses())


def a_person(by: Actor) -> User:
    if not isinstance(by, User) or not by.is_person:
        raise Refusal("humans_only", "Only a person proposes a grant or decides about one.")
    return by


def second_person(by: Actor, proposal: ProposedGrant) -> User:
    """Whoever may decide about this proposal. Raises Refusal."""
    decider = a_person(by)
    if decider.pk == proposal.proposed_by_id:
        raise Refusal("own_proposal", "You proposed this grant, so another platform administrator has to decide.")
    if decider.pk == proposal.user_id:
        raise Refusal("own_grant", "This grant would be yours, so another platform administrator has to decide.")
    require_settled(decider)
    if proposal.outcome:
        raise Refusal("proposal_decided", f"This proposal was {proposal.outcome} already.")
    if proposal.expires_at <= database_time():
        raise Refusal("proposal_expired", "This proposal has expired. Whoever still wants the grant proposes it anew.")
    return decider


@governed(permission="accounts.grant_role", event="grant_proposal.confirmed", on="proposal")
def confirm_grant(*, by: Actor, proposal: ProposedGrant) -> Done[Grant]:
    """Make the grant that somebody else proposed, as it was proposed.

    Raises Refusal `humans_only`, `own_proposal`, `own_grant`, `credentials_changed`, `proposal_decided`,
    `proposal_expired`, `proposer_gone` where the proposer could not grant it now, or what `grant_role` says of terms
    that no longer fit.
    """
    decider, account = second_person(by, proposal), User.objects.select_for_update(no_key=True).get(pk=proposal.user_id)
    if not proposal.proposed_by.has_perm("accounts.grant_role", proposal.team):
        sentence = "Whoever proposed this no longer grants roles. Decline it; somebody who does can propose it anew."
        raise Refusal("proposer_gone", sentence)
    terms = Terms(account, proposal.role, proposal.team, proposal.reason, proposal.ends_at, proposal.conflict_reason)
    if terms.meets() and not terms.conflict_reason:
        sentence = f"{conflict(terms.role.slug, held_beside(account, terms.team))} The proposal does not say why."
        raise Refusal("role_conflict", f"{sentence} Decline it, and have it proposed anew.")
    terms = fitting(by, terms, accept_conflict=True)
    facts = terms.facts()
    grant = made(terms, proposal.proposed_by)
    decide(proposal, decider, ProposedGrant.Outcome.CONFIRMED, grant)
    facts |= {"grant": str(grant.pk), "proposal": str(proposal.pk), "proposer": str(proposal.proposed_by.opaque_id)}
    return Done(grant, facts=facts, discloses=terms.discloses())


@governed(permission="accounts.grant_role", event="grant_proposal.declined", on="proposal")
def decline_grant(*, by: Actor, proposal: ProposedGrant, reason: str) -> Done[ProposedGrant]:
    """Raises Refusal `reason_needed`, or who may not decide, as `confirm_grant` does."""
    decider = second_person(by, proposal)
    require_reason(reason)
    decide(proposal, decider, ProposedGrant.Outcome.DECLINED)
    facts = {"account": str(proposal.user.opaque_id), "role": proposal.role.slug, "proposal": str(proposal.pk)}
    return Done(proposal, facts=facts, discloses={"reason": reason})


def decide(proposal: ProposedGrant, by: User, outcome: str, grant: Grant | None = None) -> None:
    proposal.outcome, proposal.decided_by, proposal.decided_at, proposal.grant = outcome, by, database_time(), grant
    proposal.save(update_fields=["outcome", "decided_by", "decided_at", "grant"])
