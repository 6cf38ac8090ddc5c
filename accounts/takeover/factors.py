"""Second factors that somebody has lost, removed by a one-time link and their password. Nobody takes them off alone.

The link alone opens nothing, and one administrator never replaces both, password and factors, within thirty days.
"""

from __future__ import annotations

from accounts.models import CredentialChange, User
from accounts.services import check_password, count_attempt, limit_attempts
from accounts.sessions import close
from accounts.takeover import mail
from accounts.takeover.holding import caused_lately, credential_changed, require_settled
from accounts.takeover.links import factors_text, of_factors
from accounts.takeover.services import a_person, mailed, not_own
from ledger.actors import ANONYMOUS, Actor, current_origin
from ledger.canonical import timestamp
from ledger.door import Done, governed
from ledger.events import database_time
from ledger.refusals import Refusal, require_reason


def send_factor_link(*, by: Actor, account: User, reason: str) -> str:
    """Mail a one-time link with which a person removes their factors; without mail its secret text, to be handed over.

    Raises what `make_factor_link` does, and Refusal `mail_failed`.
    """
    return mailed(mail.send_factor_link, make_factor_link(by=by, account=account, reason=reason), account, by)


@governed(permission="accounts.manage_credentials", event="factor_link.made", on="account")
def make_factor_link(*, by: Actor, account: User, reason: str) -> Done[str]:
    """Raises Refusal `humans_only`, `own_account`, `no_factor`, `same_person` or `reason_needed`."""
    sender = a_person(by)
    not_own(by, account, "Use a recovery code, or ask another administrator for a link.")
    if not account.is_active or not account.factors.standing().exists():
        raise Refusal("no_factor", "This account has no second factor that could be removed.")
    if sender is not None and caused_lately(account, sender):
        sentence = (
            "You sent this account a link or changed its address lately, so another administrator has to send it."
        )
        raise Refusal("same_person", sentence)
    require_reason(reason)
    facts = {"account": str(account.opaque_id)}
    return Done(factors_text(account, sender), facts=facts, discloses={"reason": reason})


def accept_factor_link(*, text: str, password: str) -> int:
    """Remove all factors of a link's account, with its password, and tell its owner. How many there were.

    Raises Refusal `link_invalid`, `credentials_changed` where the password or address changed within a day,
    `wrong_credentials`, `account_locked` or `rate_limited`.
    """
    limit_attempts(current_origin().address or "unknown")
    account = of_factors(text)[0]
    count_attempt(account)
    return reset_factors(by=ANONYMOUS, account=account, text=text, password=password)


@governed(permission="accounts.sign_in", event="factors.reset", on="account")
def reset_factors(*, by: Actor, account: User, text: str, password: str) -> Done[int]:
    """What `accept_factor_link` does, once the account is locked: a link that was just used is over."""
    owner, sender = of_factors(text)
    if owner.pk != account.pk:
        raise Refusal("link_invalid", "This link is for another account. Ask for one of your own.")
    require_settled(account)
    check_password(account, password)
    factors = list(account.factors.standing())
    for factor in factors:
        factor.removed_at, factor.secret = database_time(), b""
        factor.save(update_fields=["removed_at", "secret"])
    account.recovery_codes.all().delete()
    close(account.browser_sessions.open())
    change = credential_changed(account, CredentialChange.Kind.SECOND_FACTOR, caused_by=sender)
    mail.tell_factors_reset(account, change)
    facts = {
        "account": str(account.opaque_id), "factors": [str(each.pk) for each in factors],
        "sent_by": str(sender.opaque_id) if sender else None, "held_until": timestamp(change.held_until),
    }  # fmt: skip
    return Done(len(factors), facts=facts)
