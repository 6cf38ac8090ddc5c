"""What the portal tells people by mail about their credentials. Without `EMAIL_URL` nothing is sent."""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings

from accounts.models import CredentialChange, User
from accounts.preferences.telling import tell_address
from accounts.takeover.links import factors_link, reset_link
from ledger.actors import Actor
from ledger.refusals import Refusal
from notifications.mail import Undelivered, post
from notifications.texts import written

log = logging.getLogger(__name__)


def send_reset(account: User, text: str, sender: User | None) -> None:
    """Raises Refusal `mail_failed`."""
    send_link(account, "reset_link", link=reset_link(text), sender=sender)


def send_factor_link(account: User, text: str, sender: User | None) -> None:
    """Raises Refusal `mail_failed`."""
    send_link(account, "factors_link", link=factors_link(text), sender=sender)


def send_link(account: User, template: str, **context: Any) -> None:
    """Not by the outbox: its rows are kept, and this holds a secret. Raises Refusal `mail_failed`."""
    if not settings.MAIL_ON:
        raise failed()
    try:
        post(account.email, *written(template, person=account, **context))
    except Undelivered as error:
        log.warning("a link could not be mailed: %s", error.sentence)
        raise failed() from error


def failed() -> Refusal:
    return Refusal("mail_failed", "The mail could not be sent. Try again later, or look after the mail server.")


def tell_reset(account: User, change: CredentialChange) -> None:
    tell_address(account.email, account, "credentials", f"credential change {change.pk}", template="password_reset")


def tell_factors_reset(account: User, change: CredentialChange) -> None:
    tell_address(account.email, account, "credentials", f"credential change {change.pk}", template="factors_reset")


def tell_old_address(account: User, old: str, change: CredentialChange, by: Actor) -> None:
    """Whoever the new address belongs to: the old one is still read by the person."""
    person = by if isinstance(by, User) else None
    about = f"credential change {change.pk}"
    tell_address(old, account, "credentials", about, template="address_changed", own=person == account, by=person)
