"""What an account may do and why: each permission with the grants that it comes from."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Q

from accounts.catalogue import EVERYBODY, PERMISSIONS
from accounts.models import Grant, Team, User
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
    held = user.grants.active().select_related("role", "team", "granted_by", "proposal__decided_by")
    grants = list(held.order_by("role__name", "team__name"))
    found = []
    for permission, sentence in PERMISSIONS.items():
        sources = [grant for grant in grants if permission in grant.role.permissions]
        if sources or permission in EVERYBODY:
            found.append(Ability(permission, sentence, sources))
    return found


def grants_of(viewer: User, team: Team | None = None) -> list[Grant]:
    """Every grant that gives something now, as far as the viewer may see people; for a team also the house's."""
    found = Grant.objects.active().visible_to(viewer).filter(user__is_active=True)
    if team is not None:
        found = found.filter(Q(team=None) | Q(team=team))
    parts = ("user", "role", "team", "granted_by", "proposal__decided_by")
    return list(found.select_related(*parts).order_by("user__name", "role__name", "team__name", "pk"))


def holders(grants: Sequence[Grant], only: str = "") -> list[Ability]:
    """For each permission of the catalogue, or only for one, the grants, among these, that give it."""
    return [
        Ability(permission, sentence, [grant for grant in grants if permission in grant.role.permissions])
        for permission, sentence in PERMISSIONS.items()
        if only in ("", permission)
    ]


COLUMNS = (
    "permission", "may", "account", "kind", "role", "team", "reason", "conflict_reason", "granted_by", "confirmed_by",
    "granted_at", "until",
)  # fmt: skip
# A spreadsheet would run a cell that begins so as a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def as_csv(found: Sequence[Ability]) -> str:
    """What the page shows, a row for each permission and grant."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(COLUMNS)
    for ability in found:
        for grant in ability.sources:
            second = confirmed_by(grant)
            cells = (
                ability.permission, ability.sentence, grant.user.name, grant.user.kind, grant.role.name,
                grant.team.name if grant.team else "the whole house", grant.reason, grant.conflict_reason,
                grant.granted_by.name if grant.granted_by else "the system", second.name if second else "",
                grant.granted_at.isoformat(), grant.expires_at.isoformat() if grant.expires_at else "",
            )  # fmt: skip
            rows.writerow(f"'{cell}" if cell.startswith(FORMULA) else cell for cell in cells)
    return out.getvalue()


def confirmed_by(grant: Grant) -> User | None:
    """The second person of a grant that was proposed."""
    proposal = getattr(grant, "proposal", None)
    return proposal.decided_by if proposal else None
