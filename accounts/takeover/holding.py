"""Signing is held back after credentials changed, so that whoever takes an account over cannot sign with it at once.

Whatever replaces a credential calls `credential_changed` beneath its act; whatever has to be safe from a takeover asks
`why_held` or `require_settled`.
"""

from __future__ import annotations

from accounts.models import User
from accounts.takeover.models import HELD, CredentialChange, CredentialConfirmation
from ledger.actors import Actor
from ledger.events import database_time
from ledger.refusals import Refusal


def credential_changed(account: User, kind: str, *, caused_by: Actor | None) -> CredentialChange:
    """Note, within the act that did it, that an account's credentials changed: signing is held back for a day.

    `kind` is one of `CredentialChange.Kind`. `caused_by` is whoever sent the link or made the change; None, or an actor
    without an account, where nobody did but the person themselves. A change that the old password vouches for is none.
    """
    causer = getattr(caused_by, "pk", None)
    return CredentialChange.objects.create(
        account=account, kind=kind, caused_by_id=causer, held_until=database_time() + HELD
    )


def holding(account: User) -> CredentialChange | None:
    """The change that holds back signing the longest, or None."""
    return CredentialChange.objects.filter(account=account).holding().order_by("held_until").last()


def why_held(account: User) -> str:
    """Why an account may not sign now and until when, or ""."""
    change = holding(account)
    if change is None:
        return ""
    return (
        f"On {change.at:%d %B %Y at %H:%M} UTC {change}. Against takeover, this account signs and confirms nothing "
        f"until {change.held_until:%d %B %Y, %H:%M} UTC, or until another administrator confirms the change."
    )


def require_settled(account: User) -> None:
    """Raises Refusal `credentials_changed` where credentials changed within a day and nobody has confirmed it."""
    if sentence := why_held(account):
        raise Refusal("credentials_changed", sentence)


def changed_lately(account: User) -> CredentialChange | None:
    """The last change within 30 days, confirmed or not: it is shown beside what is signed."""
    return CredentialChange.objects.filter(account=account).lately().first()


def caused_lately(account: User, by: User, *kinds: str) -> bool:
    """Whether this person caused a change of the account's credentials (of these kinds) within 30 days."""
    changes = CredentialChange.objects.filter(account=account, caused_by=by).lately()
    return (changes.filter(kind__in=kinds) if kinds else changes).exists()


def confirm_all(account: User, by: User) -> list[CredentialChange]:
    """Within an act: whatever holds back signing does so no longer."""
    changes = list(CredentialChange.objects.filter(account=account).holding())
    CredentialConfirmation.objects.bulk_create(
        CredentialConfirmation(change=change, confirmed_by=by) for change in changes
    )
    return changes
