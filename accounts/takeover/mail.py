"""What the portal tells people by mail about their credentials. Without `EMAIL_URL` nothing is sent."""

from __future__ import annotations

import logging
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage

from accounts.models import User
from accounts.takeover.links import factors_link, reset_link
from ledger.refusals import Refusal

log = logging.getLogger(__name__)
RESET = """Hello {name},

with this link you set a new password for your Countersign account. It works once, for a day:

{link}

{who} Afterwards your account signs nothing for 24 hours, unless an administrator confirms the change. If you did not
ask for it, do nothing, and tell a platform administrator.
"""
WAS_RESET = """Hello {name},

the password of your Countersign account was reset by a one-time link. Your account signs nothing for 24 hours, unless
an administrator confirms the change. If this was not you, tell a platform administrator now.
"""
FACTORS = """Hello {name},

with this link and your password you remove the second factors of your Countersign account, because they are lost. It
works once, for a day:

{link}

{who} Afterwards your account signs nothing for 24 hours, unless an administrator confirms the change. If you have not
lost them, do nothing, and tell another platform administrator.
"""
FACTORS_GONE = """Hello {name},

the second factors of your Countersign account were removed by a one-time link and your password. Your account signs
nothing for 24 hours, unless an administrator confirms the change. If this was not you, tell a platform administrator
now.
"""
OTHER_ADDRESS = """Hello {name},

your Countersign account no longer uses this mail address. {who} The account signs nothing for 24 hours, unless an
administrator confirms the change. If you do not know of this, tell a platform administrator now.
"""


def send_reset(account: User, text: str, sender: User | None) -> None:
    """Raises Refusal `mail_failed`."""
    who = f"{sender.name} sent it." if sender else "Somebody who knows your mail address asked for it."
    body = RESET.format(name=account.name, link=reset_link(text), who=who)
    if not sent(account.email, "Set a new password", body):
        raise Refusal("mail_failed", "The mail could not be sent. Try again later, or look after the mail server.")


def send_factor_link(account: User, text: str, sender: User | None) -> None:
    """Raises Refusal `mail_failed`."""
    who = f"{sender.name} sent it." if sender else "It was made at the portal's console."
    body = FACTORS.format(name=account.name, link=factors_link(text), who=who)
    if not sent(account.email, "Remove your lost second factors", body):
        raise Refusal("mail_failed", "The mail could not be sent. Try again later, or look after the mail server.")


def tell_factors_reset(account: User) -> None:
    sent(account.email, "Your second factors were removed", FACTORS_GONE.format(name=account.name))


def tell_reset(account: User) -> None:
    sent(account.email, "Your password was reset", WAS_RESET.format(name=account.name))


def tell_old_address(account: User, old: str, by: User) -> None:
    who = "You changed it yourself." if by.pk == account.pk else f"{by.name}, an administrator, changed it."
    sent(old, "Your mail address was changed", OTHER_ADDRESS.format(name=account.name, who=who))


def sent(to: str, subject: str, body: str) -> bool:
    """Whether the mail server took it. Neither address nor text reaches the log: a link may stand in it."""
    if not settings.MAIL_ON:
        return False
    try:
        EmailMessage(f"Countersign: {subject}", body, to=[to]).send()
    except (SMTPException, OSError) as error:
        log.warning("a mail could not be sent: %s", type(error).__name__)
        return False
    return True
