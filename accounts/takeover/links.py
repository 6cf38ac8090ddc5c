"""One-time links: signed, not stored. The first use ends one, and so do a day, another password and another address."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.urls import reverse

from accounts.models import User
from ledger.refusals import Refusal


class Resets(PasswordResetTokenGenerator):
    """Tokens of links that one sender (an account's number, or 0) made: who sent it is part of what is signed."""

    def __init__(self, sender: int) -> None:
        super().__init__()
        self.key_salt = f"accounts.takeover.links.{sender}"

    def _make_hash_value(self, user: AbstractBaseUser, timestamp: int) -> str:
        assert isinstance(user, User)
        return f"{user.pk} {user.password} {user.email} {timestamp}"


def reset_text(account: User, sender: User | None) -> str:
    """The part of a link that is secret: whose it is, who sent it, and the token."""
    number = sender.pk if sender else 0
    return f"{account.pk}-{number}-{Resets(number).make_token(account)}"


def reset_link(text: str) -> str:
    return f"{settings.PUBLIC_URL}{reverse('password-reset', args=[text])}"


def of_reset(text: str) -> tuple[User, User | None]:
    """The account of a link and who sent it. Raises Refusal `link_invalid`."""
    number, _, rest = text.partition("-")
    sent_by, _, token = rest.partition("-")
    if all(part.isascii() and part.isdecimal() and len(part) < 18 for part in (number, sent_by)):
        account = User.objects.filter(pk=int(number), is_active=True).first()
        sender = User.objects.filter(pk=int(sent_by), is_active=True).first()
        # Links of an administrator end with their rights.
        stands = sent_by == "0" or (sender is not None and sender.has_perm("accounts.manage_credentials", account))
        if account and account.has_usable_password() and stands and Resets(int(sent_by)).check_token(account, token):
            return account, sender
    raise Refusal("link_invalid", "This link has ended or was used already. Ask for a new one.")
