"""Accounts, passwords and tokens. Roles are granted in `granting`, credentials looked after in `takeover`."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Greatest, Now
from django.utils import timezone
from redis.exceptions import RedisError

from accounts.catalogue import PERMISSIONS
from accounts.granting.services import grant_role, revoke_grant
from accounts.models import ApiToken, Team, User
from accounts.sessions import close
from ledger.actors import ANONYMOUS, Actor, current_origin
from ledger.canonical import timestamp
from ledger.door import Done, governed, mechanical
from ledger.events import database_time
from ledger.refusals import Refusal, require_reason

__all__ = [
    "accept_invitation", "add_account", "add_team", "change_password", "check_password", "close_session",
    "count_attempt", "create_own_token", "deactivate_account", "grant_role", "invite", "invited", "issue_service_token",
    "limit_attempts", "require_reason", "revoke_grant", "revoke_own_token", "revoke_service_token", "set_password",
    "sign_in", "touch_token",
]  # fmt: skip

TOKEN_SHAPE = re.compile(r"^cst_([0-9a-z]{8})_([A-Za-z0-9_-]{43})$")
TOKEN_MAX_DAYS = 365
Made = Done[tuple[ApiToken, str]]


class Invitations(PasswordResetTokenGenerator):
    """Signed, not stored: the first password ends it, and so does a day."""

    key_salt = "accounts.services.invite"

    def _make_hash_value(self, user: AbstractBaseUser, timestamp: int) -> str:
        return f"{user.pk}{user.password}{timestamp}"

    def check_token(self, user: User | None, token: str | None) -> bool:
        return user is not None and not user.has_usable_password() and super().check_token(user, token)


invitations = Invitations()


def sign_in(*, email: str, password: str, browser: str = "") -> tuple[User, bool]:
    """The account of these credentials, and whether it is in: whoever has a second factor has to give it yet.

    Raises Refusal `rate_limited`, `wrong_credentials`, `account_locked` or `demo_account`. An unknown address costs
    the same time and gets the same sentence as a wrong password.
    """
    limit_attempts(current_origin().address or "unknown")
    account = User.objects.filter(email__iexact=email.strip(), kind=User.Kind.PERSON).first()
    if account is not None:
        count_attempt(account)
        if account.factors.standing().exists():
            return begin_session(by=ANONYMOUS, account=account, password=password), False
    return open_session(by=ANONYMOUS, account=account, password=password, browser=browser), True


def limit_attempts(address: str) -> None:
    """Raises Refusal `rate_limited` over the attempts a minute in settings, `service_unavailable` if uncounted."""
    key = f"sign-in:{hashlib.sha256(address.encode()).hexdigest()[:32]}"
    try:
        cache.add(key, 0, timeout=60)
        tries = cache.incr(key)
    except ValueError:  # the minute ended between the two lines
        tries = 1
    except (RedisError, OSError) as error:
        # Without the count, guessing would be unlimited: nobody signs in until it can be kept again.
        sentence = "Signing in is not possible for a moment: a part of the portal is restarting. Try again in a minute."
        raise Refusal("service_unavailable", sentence) from error
    if tries > settings.SIGN_IN_ATTEMPTS_PER_ADDRESS_AND_MINUTE:
        raise Refusal("rate_limited", "Too many attempts from your network. Wait one minute, then try again.")


@mechanical("counted before the password is looked at, so that parallel guesses cannot share one count")
def count_attempt(account: User) -> None:
    """Count one try of a password; the count is cleared by the right one, and starts anew after a lock has run out."""
    limit, lock = settings.SIGN_IN_FAILURES_BEFORE_LOCK, timedelta(minutes=settings.SIGN_IN_LOCK_MINUTES)
    over = Q(locked_until__lte=Now())
    User.objects.filter(pk=account.pk).update(
        failed_sign_ins=Case(When(over, then=Value(1)), default=F("failed_sign_ins") + 1),
        locked_until=Case(
            When(over, then=None),
            When(failed_sign_ins=limit - 1, then=Now() + lock),
            default=F("locked_until"),
        ),
    )


def check_password(account: User | None, password: str) -> None:
    """Within an act that has locked the account's row, after `count_attempt`. Clears the count when right.

    Raises Refusal `wrong_credentials` or `account_locked`.
    """
    if account is None or not account.is_active:
        make_password(password)
        raise Refusal("wrong_credentials", "Mail address or password is wrong. Check both and try again.")
    refuse_locked(account)
    if not account.check_password(password):
        if account.failed_sign_ins >= settings.SIGN_IN_FAILURES_BEFORE_LOCK:
            raise locked()
        raise Refusal("wrong_credentials", "Mail address or password is wrong. Check both and try again.")
    if account.factors.standing().exists():
        # Only both factors clear the count: whoever knows the password could otherwise guess codes without end.
        User.objects.filter(pk=account.pk).update(
            failed_sign_ins=Greatest(F("failed_sign_ins") - 1, 0), locked_until=None
        )
    else:
        clear_attempts(account)


def locked() -> Refusal:
    return Refusal(
        "account_locked",
        f"Too many wrong passwords. Signing in is locked for {settings.SIGN_IN_LOCK_MINUTES} minutes; wait, or ask a "
        "platform administrator for help.",
    )


def refuse_locked(account: User) -> None:
    """Raises Refusal `account_locked`."""
    if account.failed_sign_ins > settings.SIGN_IN_FAILURES_BEFORE_LOCK:
        raise locked()


def clear_attempts(account: User) -> None:
    User.objects.filter(pk=account.pk).update(failed_sign_ins=0, locked_until=None)


@governed(permission="accounts.sign_in", event="session.opened", on="account")
def open_session(*, by: Actor, account: User | None, password: str, browser: str = "") -> Done[User]:
    entered = admitted(account, password)
    if entered.factors.standing().exists():  # added in this moment
        raise Refusal("second_factor_needed", "Sign in again: this account has a second factor now.")
    facts = {"account": str(entered.opaque_id), "method": "password"}
    return Done(entered, facts=facts, discloses={"browser": browser})


@governed(permission="accounts.sign_in", event="sign_in.begun", on="account")
def begin_session(*, by: Actor, account: User, password: str) -> Done[User]:
    """The first of two steps; `accounts.factors.services.finish` is the second."""
    entered = admitted(account, password)
    return Done(entered, facts={"account": str(entered.opaque_id), "method": "password"})


def admitted(account: User | None, password: str) -> User:
    """Raises Refusal `wrong_credentials`, `account_locked` or `demo_account`."""
    check_password(account, password)
    assert account is not None
    if account.is_demo and not (settings.EMBEDDED or settings.TESTING):
        raise Refusal("demo_account", "Demo accounts work only in the embedded demo. Sign in with your own account.")
    return account


@governed(permission="accounts.manage_own_access", event="session.closed", on="account", lock=False)
def close_session(*, by: Actor, account: User) -> Done[None]:
    return Done(None)


@governed(permission="accounts.manage_own_access", event="password.changed", on="account")
def change_password(*, by: Actor, account: User, old: str, new: str, keep: str = "") -> Done[User]:
    """All sessions end but the one whose key is `keep`.

    Call `count_attempt` first. Raises Refusal `wrong_credentials`, `account_locked` or `weak_password`.
    """
    check_password(account, old)
    return Done(account, facts={"sessions_ended": set_password(account, new, keep)})


def set_password(account: User, new: str, keep: str = "") -> int:
    """Within an act. How many sessions ended: all but the one whose key is `keep`. Raises Refusal `weak_password`."""
    try:
        validate_password(new, account)
    except ValidationError as error:
        raise Refusal("weak_password", " ".join(error.messages), "new_password") from error
    account.set_password(new)
    account.password_changed_at = database_time()
    account.save(update_fields=["password", "password_changed_at"])
    return close(account.browser_sessions.open().exclude(key=keep))


@governed(permission="accounts.add_team", event="team.added", on=None)
def add_team(*, by: Actor, name: str, slug: str) -> Done[Team]:
    if Team.objects.filter(Q(name=name) | Q(slug=slug)).exists():
        raise Refusal("team_exists", "A team of this name is there already. Choose another name.", "name")
    team = Team.objects.create(name=name, slug=slug)
    return Done(team, on=team, facts={"slug": slug})


@governed(permission="accounts.add_account", event="account.added", on=None)
def add_account(
    *, by: Actor, name: str, email: str, kind: str = "person", team: Team | None = None, password: str | None = None,
    is_demo: bool = False,
) -> Done[User]:  # fmt: skip
    """Raises Refusal `email_taken`, `invalid_email`, `team_needed` (a service account has one) or `weak_password`."""
    try:
        validate_email(email)
    except ValidationError as error:
        raise Refusal("invalid_email", "This is no mail address. Write it like name@example.org.", "email") from error
    if User.objects.filter(email__iexact=email).exists():
        raise email_taken()
    if kind == User.Kind.SERVICE and team is None:
        raise Refusal("team_needed", "A service account belongs to a team. Choose which.", "team")
    account = User(name=name, email=email, kind=kind, team=team, is_demo=is_demo)
    account.set_unusable_password()
    try:
        with transaction.atomic():
            account.save(force_insert=True)
    except IntegrityError as error:  # added by somebody else in this moment
        raise email_taken() from error
    if password is not None:
        set_password(account, password)
    facts = {"account": str(account.opaque_id), "kind": kind, "demo": is_demo}
    return Done(account, on=account, facts=facts, discloses={"name": name, "email": email})


def email_taken() -> Refusal:
    return Refusal("email_taken", "Somebody with this mail address has an account already.", "email")


@governed(permission="accounts.add_account", event="invitation.made", on="account")
def invite(*, by: Actor, account: User) -> Done[str]:
    """The text of a one-time link with which a person sets their first password, shown once.

    It ends after a day and with its use. Nobody sets a password for another. Raises Refusal `not_invitable`.
    """
    if not account.is_person or not account.is_active or account.has_usable_password():
        raise Refusal("not_invitable", "Only a person who has not set a password yet can be invited.")
    return Done(f"{account.pk}-{invitations.make_token(account)}", facts={"account": str(account.opaque_id)})


def invited(text: str) -> User:
    """The account of an invitation. Raises Refusal `invitation_invalid`."""
    number, _, token = text.partition("-")
    account: User | None = (
        User.objects.filter(pk=int(number)).first() if number.isdecimal() and len(number) < 18 else None
    )
    if account is None or not account.is_active or not invitations.check_token(account, token):
        sentence = "This invitation has ended or was used already. Ask a platform administrator for a new one."
        raise Refusal("invitation_invalid", sentence)
    return account


@governed(permission="accounts.sign_in", event="invitation.accepted", on="account")
def accept_invitation(*, by: Actor, account: User, text: str, new: str) -> Done[User]:
    """Raises Refusal `invitation_invalid` or `weak_password`."""
    if invited(text) != account:
        raise Refusal("invitation_invalid", "This invitation is for another account. Ask for one of your own.")
    set_password(account, new)
    return Done(account, facts={"account": str(account.opaque_id)})


@governed(permission="accounts.deactivate_account", event="account.deactivated", on="account")
def deactivate_account(*, by: Actor, account: User, reason: str) -> Done[User]:
    if isinstance(by, User) and by.pk == account.pk:
        raise Refusal("own_account", "You cannot deactivate your own account. Ask another administrator.")
    require_reason(reason)
    account.is_active = False
    account.save(update_fields=["is_active"])
    ApiToken.objects.filter(user=account, revoked_at=None).update(revoked_at=Now())
    return Done(account, facts={"account": str(account.opaque_id)}, discloses={"reason": reason})


@governed(permission="accounts.manage_own_access", event="token.created", on="account")
def create_own_token(*, by: Actor, account: User, name: str, scopes: Iterable[str], days: int) -> Made:
    """The token's row and its text, which is shown once. Raises Refusal `unknown_scope`, `scope_needed`,
    `token_name_taken`, `expiry_invalid`, `account_inactive` or `token_scope` (a token cannot make tokens).
    """
    if isinstance(by, User) and by.scopes is not None:
        raise Refusal("token_scope", "A token cannot make tokens. Sign in with the browser to make one.")
    return new_token(by, account, name, scopes, days)


@governed(permission="accounts.issue_service_token", event="token.created", on="account")
def issue_service_token(*, by: Actor, account: User, name: str, scopes: Iterable[str], days: int) -> Made:
    """Like `create_own_token`, by an administrator and for a service account only (Refusal `not_a_service_account`)."""
    if account.is_person:
        raise Refusal("not_a_service_account", "People make their own tokens. Choose a service account.", "account")
    return new_token(by, account, name, scopes, days)


def new_token(by: Actor, account: User, name: str, scopes: Iterable[str], days: int) -> Made:
    if not account.is_active:
        raise Refusal("account_inactive", "This account has been deactivated. It cannot have tokens.")
    wanted = sorted(set(scopes))
    if unknown := [scope for scope in wanted if scope not in PERMISSIONS]:
        raise Refusal("unknown_scope", f"There is no permission called “{unknown[0]}”.", "scopes")
    if not wanted:
        raise Refusal("scope_needed", "Choose at least one thing that the token may do.", "scopes")
    if account.tokens.usable().filter(name=name).exists():
        raise Refusal("token_name_taken", "There is a token of this name already. Choose another name.", "name")
    if not 1 <= days <= TOKEN_MAX_DAYS:
        raise Refusal("expiry_invalid", f"A token lives between 1 and {TOKEN_MAX_DAYS} days.", "days")
    prefix, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    text = f"cst_{prefix}_{secret}"
    token = ApiToken.objects.create(
        user=account, name=name, prefix=prefix, digest=hashlib.sha256(text.encode()).digest(), scopes=wanted,
        created_by=by if isinstance(by, User) else account, expires_at=database_time() + timedelta(days=days),
    )  # fmt: skip
    expires = timestamp(token.expires_at)
    facts = {"token": prefix, "account": str(account.opaque_id), "scopes": wanted, "expires": expires}
    return Done((token, text), on=token, facts=facts, discloses={"token_name": name})


@governed(permission="accounts.manage_own_access", event="token.revoked", on="token")
def revoke_own_token(*, by: Actor, token: ApiToken) -> Done[ApiToken]:
    return end_token(token)


@governed(permission="accounts.issue_service_token", event="token.revoked", on="token")
def revoke_service_token(*, by: Actor, token: ApiToken) -> Done[ApiToken]:
    return end_token(token)


def end_token(token: ApiToken) -> Done[ApiToken]:
    if token.revoked_at is not None:
        raise Refusal("already_revoked", "This token has been revoked already.")
    token.revoked_at = database_time()
    token.save(update_fields=["revoked_at"])
    return Done(token, facts={"token": token.prefix})


@mechanical("last use of a token, by the minute; the acts it is used for have their own events")
def touch_token(token: ApiToken) -> None:
    if token.last_used_at and timezone.now() - token.last_used_at < timedelta(minutes=1):
        return
    recent = Now() - timedelta(minutes=1)
    ApiToken.objects.filter(Q(last_used_at=None) | Q(last_used_at__lt=recent), pk=token.pk).update(last_used_at=Now())
