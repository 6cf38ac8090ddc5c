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


class FactorResets(Resets):
    """The same for links that remove second factors: they end with any change of the factors, too."""

    def __init__(self, sender: int) -> None:
        super().__init__(sender)
        self.key_salt = f"accounts.takeover.links.factors.{sender}"

    def _make_hash_value(self, user: AbstractBaseUser, timestamp: int) -> str:
        assert isinstance(user, User)
        standing = ",".join(str(pk) for pk in user.factors.standing().values_list("pk", flat=True))
        return f"{super()._make_hash_value(user, timestamp)} {standing}"


def reset_text(account: User, sender: User | None) -> str:
    """The part of a link that is secret: whose it is, who sent it, and the token."""
    return text_of(account, sender, Resets)


def factors_text(account: User, sender: User | None) -> str:
    return text_of(account, sender, FactorResets)


def text_of(account: User, sender: User | None, kind: type[Resets]) -> str:
    number = sender.pk if sender else 0
    return f"{account.pk}-{number}-{kind(number).make_token(account)}"


def reset_link(text: str) -> str:
    return f"{settings.PUBLIC_URL}{reverse('password-reset', args=[text])}"


def factors_link(text: str) -> str:
    return f"{settings.PUBLIC_URL}{reverse('factors-reset', args=[text])}"


def of_reset(text: str) -> tuple[User, User | None]:
    """The account of a link for a new password and who sent it. Raises Refusal `link_invalid`."""
    return of_link(text, Resets)


def of_factors(text: str) -> tuple[User, User | None]:
    """Likewise of a link that removes second factors."""
    account, sender = of_link(text, FactorResets)
    if not account.factors.standing().exists():
        raise ended()
    return account, sender


def of_link(text: str, kind: type[Resets]) -> tuple[User, User | None]:
    number, _, rest = text.partition("-")
    sent_by, _, token = rest.partition("-")
    if all(part.isascii() and part.isdecimal() and len(part) < 18 for part in (number, sent_by)):
        account = User.objects.filter(pk=int(number), is_active=True).first()
        sender = User.objects.filter(pk=int(sent_by), is_active=True).first()
        # Links of an administrator end with their rights.
        stands = sent_by == "0" or (sender is not None and sender.has_perm("accounts.manage_credentials", account))
        if account and account.has_usable_password() and stands and kind(int(sent_by)).check_token(account, token):
            return account, sender
    raise ended()


def ended() -> Refusal:
    return Refusal("link_invalid", "This link has ended or was used already. Ask for a new one.")
