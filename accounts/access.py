"""What an account may do and why: each permission with the grants that it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accounts.catalogue import EVERYBODY, PERMISSIONS
from accounts.models import Grant, User
from ledger.actors import ANONYMOUS


@dataclass(frozen=True)
class Ability:
    """A permission somebody holds. Without `sources` it belongs to everybody who has an account."""

    permission: str
    sentence: str
    sources: Sequence[Grant]

    @property
    def for_everybody(self) -> bool:
        """Whether it needs no role: signing in, one's own account, a leaked key."""
        return self.permission in EVERYBODY or ANONYMOUS.has_perm(self.permission)


def abilities(user: User) -> list[Ability]:
    """Everything an account may do now, in the catalogue's order. Nothing where it is deactivated."""
    if not user.is_active:
        return []
    grants = list(user.grants.active().select_related("role", "team").order_by("role__name", "team__name"))
    found = []
    for permission, sentence in PERMISSIONS.items():
        sources = [grant for grant in grants if permission in grant.role.permissions]
        if sources or permission in EVERYBODY:
            found.append(Ability(permission, sentence, sources))
    return found


def holders(grants: Sequence[Grant]) -> list[Ability]:
    """For each permission of the catalogue the grants, among these, that give it."""
    return [
        Ability(permission, sentence, [grant for grant in grants if permission in grant.role.permissions])
        for permission, sentence in PERMISSIONS.items()
    ]
