"""What waits for somebody who looks after access."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse

from accounts.granting.recertifying import due_for
from accounts.models import ProposedGrant, User


@dataclass(frozen=True)
class Duty:
    text: str
    url: str


def duties(user: User) -> list[Duty]:
    """Grants to recertify, and grants proposed by others that wait to be confirmed."""
    found = []
    if user.may_somewhere("accounts.recertify_access") and (count := due_for(user).count()):
        text = f"{count} {'grant is' if count == 1 else 'grants are'} due for recertification."
        found.append(Duty(text, reverse("recertification")))
    scope = user.scope("accounts.grant_role")
    waiting = ProposedGrant.objects.waiting().filter(scope.q()).exclude(proposed_by=user).exclude(user=user)
    if user.may_somewhere("accounts.grant_role") and (count := waiting.count()):
        text = f"{count} proposed {'grant waits' if count == 1 else 'grants wait'} for a second administrator."
        found.append(Duty(text, reverse("grant-proposals")))
    return found
