"""Passwords by one-time link, mail addresses, and confirming that a change was the person's own wish.

Nobody sets a password for somebody else: an administrator sends a link, and what follows is held back (see `holding`).
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from accounts.models import CredentialChange, User
from accounts.services import check_password, count_attempt, email_taken, limit_attempts, set_password
from accounts.takeover import mail
from accounts.takeover.holding import caused_lately, confirm_all, credential_changed, holding, require_settled
from accounts.takeover.links import of_reset, reset_text
from jobs.broker import hand_over
from ledger.actors import ANONYMOUS, Actor, current_origin
from ledger.canonical import timestamp
from ledger.door import Done, governed
from ledger.refusals import Refusal, require_reason

MAIL_RESET = "accounts.mail_reset_link"
# Nobody's mailbox is filled by strangers who know the address.
SECONDS_BETWEEN_MAILS = 300


def send_reset_link(*, by: Actor, account: User, reason: str) -> str:
    """Mail a one-time link with which a person sets a new password; without mail its secret text, to be handed over.

    Raises what `make_reset_link` does, and Refusal `mail_failed`.
    """
    return mailed(mail.send_reset, make_reset_link(by=by, account=account, reason=reason), account, by)


def mailed(send: Callable[[User, str, User | None], None], text: str, account: User, by: Actor) -> str:
    """Without mail the text itself, else nothing: it is on its way. Raises Refusal `mail_failed`."""
    if not settings.MAIL_ON:
        return text
    send(account, text, by if isinstance(by, User) else None)
    return ""


@governed(permission="accounts.manage_credentials", event="reset_link.made", on="account")
def make_reset_link(*, by: Actor, account: User, reason: str) -> Done[str]:
    """Raises Refusal `humans_only`, `own_account`, `not_resettable`, `same_person` or `reason_needed`."""
    sender = a_person(by)
    not_own(by, account, "Change your own password on your account page.")
    if not account.is_person or not account.is_active or not account.has_usable_password():
        raise Refusal("not_resettable", "Only a person who has set a password before can be sent a link for a new one.")
    if sender is not None and caused_lately(account, sender, CredentialChange.Kind.SECOND_FACTOR):
        sentence = "Your link removed its second factors lately, so another administrator has to send this one."
        raise Refusal("same_person", sentence)
    require_reason(reason)
    facts = {"account": str(account.opaque_id)}
    return Done(reset_text(account, sender), facts=facts, discloses={"reason": reason})


def a_person(by: Actor) -> User | None:
    """Who acts; None for the console. A service account would be a second administrator that somebody else plays."""
    if isinstance(by, User) and not by.is_person:
        raise Refusal("humans_only", "Only a person looks after other people's credentials.")
    return by if isinstance(by, User) else None


def not_own(by: Actor, account: User, sentence: str) -> None:
    if isinstance(by, User) and by.pk == account.pk:
        raise Refusal("own_account", sentence)


def ask_for_reset(*, email: str) -> None:
    """Somebody forgot their password. Says nothing about whether the address is known: the worker mails the link.

    Raises Refusal `mail_not_set_up`, `rate_limited` or `service_unavailable`.
    """
    if not settings.MAIL_ON:
        raise Refusal("mail_not_set_up", "This portal sends no mail. Ask a platform administrator for a link.")
    limit_attempts(current_origin().address or "unknown")
    known = User.objects.filter(email__iexact=email.strip(), kind=User.Kind.PERSON, is_active=True).first()
    account = known if known is not None and known.has_usable_password() else None
    request_reset(by=ANONYMOUS, account=account)
    if account is not None and cache.add(f"reset-mail:{account.pk}", 1, timeout=SECONDS_BETWEEN_MAILS):
        hand_over(MAIL_RESET, account.pk)


@governed(permission="accounts.sign_in", event="reset_link.requested", on="account", lock=False)
def request_reset(*, by: Actor, account: User | None) -> Done[None]:
    return Done(None, facts={"account": str(account.opaque_id) if account else None})


def accept_reset(*, text: str, new: str) -> User:
    """Set the new password of a link, and tell its owner. Raises Refusal `link_invalid` or `weak_password`."""
    return reset_password(by=ANONYMOUS, account=of_reset(text)[0], text=text, new=new)


@governed(permission="accounts.sign_in", event="password.reset", on="account")
def reset_password(*, by: Actor, account: User, text: str, new: str) -> Done[User]:
    """What `accept_reset` does, once the account is locked: a link that was just used is over."""
    owner, sender = of_reset(text)
    if owner.pk != account.pk:
        raise Refusal("link_invalid", "This link is for another account. Ask for one of your own.")
    set_password(account, new)
    account.failed_sign_ins, account.locked_until = 0, None
    account.save(update_fields=["failed_sign_ins", "locked_until"])
    change = credential_changed(account, CredentialChange.Kind.PASSWORD_RESET, caused_by=sender)
    mail.tell_reset(account, change)
    facts = {
        "account": str(account.opaque_id), "method": "link", "sent_by": str(sender.opaque_id) if sender else None,
        "held_until": timestamp(change.held_until),
    }  # fmt: skip
    return Done(account, facts=facts)


def change_address(*, by: Actor, account: User, email: str, reason: str) -> User:
    """By an administrator; the old address is told. Raises what `record_address` does."""
    return record_address(by=by, account=account, email=email, reason=reason)


@governed(permission="accounts.manage_credentials", event="mail_address.changed", on="account")
def record_address(*, by: Actor, account: User, email: str, reason: str) -> Done[User]:
    """Raises Refusal `humans_only`, `own_account`, `reason_needed`, `account_inactive`, `invalid_email`,
    `address_unchanged` or `email_taken`.
    """
    a_person(by)
    not_own(by, account, "Change your own mail address on your account page, with your password.")
    require_reason(reason)
    return moved(by, account, email, {"reason": reason})


def change_own_address(*, by: User, email: str, password: str) -> User:
    """With one's password; the old address is told. A wrong password counts towards the lock.

    Raises Refusal `humans_only`, `wrong_credentials` or `account_locked`, and what `record_address` says of an address.
    """
    count_attempt(by)
    return record_own_address(by=by, account=by, email=email, password=password)


@governed(permission="accounts.manage_own_access", event="mail_address.changed", on="account")
def record_own_address(*, by: Actor, account: User, email: str, password: str) -> Done[User]:
    """What `change_own_address` does once the attempt has been counted."""
    if not account.is_person:
        raise Refusal("humans_only", "An administrator changes the mail address of a service account.")
    try:
        check_password(account, password)
    except Refusal as refusal:
        if refusal.code != "wrong_credentials":
            raise
        raise Refusal(refusal.code, "This is not your password, so nothing was changed. Type it again.") from refusal
    return moved(by, account, email, {})


def moved(by: Actor, account: User, email: str, told: dict[str, str]) -> Done[User]:
    """The bare change. To the log both addresses are disclosures."""
    old, new = account.email, email.strip()
    if not account.is_active:
        raise Refusal("account_inactive", "This account has been deactivated. Its mail address stays as it is.")
    try:
        validate_email(new)
    except ValidationError as error:
        raise Refusal("invalid_email", "This is no mail address. Write it like name@example.org.", "email") from error
    if new == old:
        raise Refusal("address_unchanged", "This is the mail address that the account has already.", "email")
    if User.objects.filter(email__iexact=new).exclude(pk=account.pk).exists():
        raise email_taken()
    account.email = new
    try:
        with transaction.atomic():
            account.save(update_fields=["email"])
    except IntegrityError as error:  # taken by somebody else in this moment
        raise email_taken() from error
    change = credential_changed(account, CredentialChange.Kind.MAIL_ADDRESS, caused_by=by)
    mail.tell_old_address(account, old, change, by)
    facts = {"account": str(account.opaque_id), "held_until": timestamp(change.held_until)}
    return Done(account, facts=facts, discloses={"email": new, "old_email": old, **told})


@governed(permission="accounts.manage_credentials", event="credentials.confirmed", on="account")
def confirm_credentials(*, by: Actor, account: User, reason: str) -> Done[User]:
    """Say that what changed lately was the person's own wish, so that they may sign at once.

    Raises Refusal `humans_only`, `own_account`, `same_person` where the confirmer caused a change of the last 30 days,
    `credentials_changed` where the confirmer's own are in doubt, `reason_needed` or `nothing_to_confirm`.
    """
    confirmer = a_person(by)
    if confirmer is None:
        raise Refusal("humans_only", "Only a person confirms that a change of credentials is right.")
    not_own(by, account, "These are your own credentials, so another administrator has to confirm them.")
    require_settled(confirmer)
    if caused_lately(account, confirmer):
        sentence = "You changed this address or sent this link, so another administrator has to confirm it."
        raise Refusal("same_person", sentence)
    require_reason(reason)
    if holding(account) is None:
        raise Refusal("nothing_to_confirm", "Nothing holds back this account's signatures.")
    changes = confirm_all(account, confirmer)
    facts = {"account": str(account.opaque_id), "changes": [change.kind for change in changes]}
    return Done(account, facts=facts, discloses={"reason": reason})
