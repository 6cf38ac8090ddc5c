"""Adding and removing second factors, and the second step of signing in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.utils.crypto import constant_time_compare

from accounts.factors import passkeys, rules, sealing
from accounts.factors.checking import Answer, check_second, spend
from accounts.models import Factor, RecoveryCode, User
from accounts.services import check_password, clear_attempts, count_attempt, limit_attempts, refuse_locked
from ledger.actors import ANONYMOUS, Actor, current_origin
from ledger.canonical import sha256
from ledger.door import Done, governed
from ledger.events import database_time
from ledger.refusals import Refusal

OFFER_LIVES = timedelta(minutes=15)
MOST = 10
AGAIN = "Begin again: sign in with your password first."


@dataclass(frozen=True)
class Added:
    """A new factor. `codes` are the recovery codes that came with the first one, shown once."""

    factor: Factor
    codes: list[str]


def finish(*, account: User, begun: str, answer: Answer, browser: str = "") -> User:
    """Open the session of whoever has given their password and now gives a second factor.

    Raises Refusal `rate_limited`, `sign_in_ended`, `account_locked`, or why the factor does not count (`check_second`).
    """
    limit_attempts(current_origin().address or "unknown")
    count_attempt(account)
    return finish_session(by=ANONYMOUS, account=account, begun=begun, answer=answer, browser=browser)


@governed(permission="accounts.sign_in", event="session.opened", on="account")
def finish_session(*, by: Actor, account: User, begun: str, answer: Answer, browser: str) -> Done[User]:
    refuse_locked(account)
    if not account.is_active or not constant_time_compare(begun, account.get_session_auth_hash()):
        raise Refusal("sign_in_ended", f"Your password was changed meanwhile. {AGAIN}")
    proof = check_second(account, answer, purpose="sign in", recovery=True)
    clear_attempts(account)
    facts = {"account": str(account.opaque_id), "method": f"password+{proof.method}", **proof.facts}
    return Done(account, facts=facts, discloses={"browser": browser})


def offer_app(account: User) -> tuple[str, str]:
    """A new secret for an authenticator app, and the same as it travels through the form, sealed."""
    secret = rules.new_secret()
    return secret, sealing.offer(f"{account.pk} {secret}")


def offered_secret(account: User, offered: str) -> str:
    """Raises Refusal `offer_ended`."""
    owner, _, secret = (sealing.taken(offered, OFFER_LIVES) or "").partition(" ")
    if owner != str(account.pk):
        raise Refusal("offer_ended", "That took too long. Add the new code that is shown now to your app instead.")
    return secret


@governed(permission="accounts.manage_own_access", event="factor.added", on="account")
def add_app(*, by: Actor, account: User, name: str, password: str, offered: str, code: str) -> Done[Added]:
    """Call `count_attempt` first. Raises Refusal `wrong_credentials`, `account_locked`, `offer_ended`, `wrong_code`,
    `factor_name_taken` or `too_many_factors`.
    """
    check_password(account, password)
    secret = offered_secret(account, offered)
    step = rules.step_of(secret, rules.without_gaps(code), database_time().timestamp())
    if step is None:
        sentence = "The app shows another code. Type the one that it shows now, and see that its clock is right."
        raise Refusal("wrong_code", sentence, "code")
    factor = new_factor(account, Factor(kind=Factor.Kind.TOTP, name=name, secret=sealing.seal(secret), last_step=step))
    return added(account, factor, {})


@governed(permission="accounts.manage_own_access", event="factor.added", on="account")
def add_passkey(*, by: Actor, account: User, name: str, password: str, answer: Answer) -> Done[Added]:
    """Call `count_attempt` first. Raises Refusal `wrong_credentials`, `account_locked`, `challenge_ended`,
    `challenge_used`, `wrong_passkey`, `passkey_known`, `factor_name_taken` or `too_many_factors`.

    The passkey's public key is among the facts: what it signs later can be checked with the log alone.
    """
    check_password(account, password)
    challenge = passkeys.redeem(answer.ticket, "add", account, answer.session)
    attested, count = passkeys.registered(answer.origin, challenge, answer.passkey)
    spend(challenge)
    credential = sha256(attested.credential_id)
    if Factor.objects.filter(credential=credential).exists():
        raise Refusal("passkey_known", "This passkey was added before, and perhaps removed. Make a new one.")
    made = Factor(
        kind=Factor.Kind.PASSKEY, name=name, attested=bytes(attested), credential=credential, sign_count=count
    )
    public = passkeys.public_key(attested)
    return added(account, new_factor(account, made), {"credential": credential, "public_key": public})


def new_factor(account: User, factor: Factor) -> Factor:
    standing = account.factors.standing()
    factor.name = factor.name.strip()
    if not factor.name:
        raise Refusal("name_needed", "Give it a name by which you will know it, such as “work phone”.", "name")
    if standing.filter(name=factor.name).exists():
        raise Refusal("factor_name_taken", "One of your factors has this name already. Choose another.", "name")
    if standing.count() >= MOST:
        raise Refusal("too_many_factors", f"You have {MOST} factors. Remove one that you no longer use first.")
    factor.user = account
    factor.save(force_insert=True)
    return factor


def added(account: User, factor: Factor, more: dict[str, str]) -> Done[Added]:
    codes = [] if account.recovery_codes.filter(used_at=None).exists() else new_codes(account)
    facts = {"account": str(account.opaque_id), "factor": str(factor.pk), "kind": factor.kind, **more}
    return Done(Added(factor, codes), facts=facts, discloses={"factor_name": factor.name})


def new_codes(account: User) -> list[str]:
    """Ten new recovery codes in the place of all old ones. Only their hashes are kept."""
    account.recovery_codes.all().delete()
    codes = [rules.new_recovery_code() for _ in range(rules.RECOVERY_CODES)]
    plain = [rules.recovery_code(code) or "" for code in codes]
    RecoveryCode.objects.bulk_create(RecoveryCode(user=account, digest=sealing.digest_of(one)) for one in plain)
    return codes


@governed(permission="accounts.manage_own_access", event="recovery_codes.made", on="account")
def make_recovery_codes(*, by: Actor, account: User, password: str) -> Done[list[str]]:
    """Call `count_attempt` first. Raises Refusal `wrong_credentials`, `account_locked` or `no_factor`."""
    check_password(account, password)
    if not account.factors.standing().exists():
        raise Refusal("no_factor", "Recovery codes stand in for a second factor. Add a passkey or an app first.")
    codes = new_codes(account)
    return Done(codes, facts={"account": str(account.opaque_id), "count": len(codes)})


@governed(permission="accounts.manage_own_access", event="factor.removed", on="account")
def remove_factor(*, by: Actor, account: User, factor: Factor, password: str) -> Done[Factor]:
    """With the last one go the recovery codes. Call `count_attempt` first.

    Raises Refusal `wrong_credentials`, `account_locked` or `already_removed`.
    """
    check_password(account, password)
    row = account.factors.standing().filter(pk=factor.pk).first()
    if row is None:
        raise Refusal("already_removed", "This factor has been removed already.")
    row.removed_at, row.secret = database_time(), b""
    row.save(update_fields=["removed_at", "secret"])
    if not account.factors.standing().exists():
        account.recovery_codes.all().delete()
    facts = {"account": str(account.opaque_id), "factor": str(row.pk), "kind": row.kind}
    return Done(row, facts=facts, discloses={"factor_name": row.name})
