"""Whether a second factor was given: within an act that has locked the account's row, after `count_attempt`.

Every code and every answer of a passkey is good once. What is wrong stays counted towards the lock of the account.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from accounts.factors import passkeys, rules, sealing
from accounts.models import Factor, SpentChallenge, User
from ledger.events import database_time
from ledger.refusals import Refusal


@dataclass(frozen=True)
class Answer:
    """What somebody gave: a code, or a passkey's answer with the ticket of its challenge. `session` is where they are.

    `origin` is what `passkeys.origin_of` says of the request.
    """

    code: str = ""
    passkey: str = ""
    ticket: str = ""
    origin: str = ""
    session: str = ""


@dataclass(frozen=True)
class Proof:
    """A second factor that was given. `assertion` is what a passkey signed, public parts only."""

    method: str  # totp, recovery_code, passkey
    facts: dict[str, str] = field(default_factory=dict)
    assertion: dict[str, str] | None = None


def check_second(account: User, answer: Answer, *, purpose: str, subject: str = "", recovery: bool = False) -> Proof:
    """Raises Refusal `wrong_code`, `code_used`, `factor_unreadable`, `wrong_passkey`, `challenge_ended` or
    `challenge_used`. Recovery codes count only where `recovery` says so.
    """
    if answer.passkey:
        return check_passkey(account, answer, purpose, subject)
    code = rules.without_gaps(answer.code)
    if recovery and (typed := rules.recovery_code(code)):
        return check_recovery_code(account, typed)
    return check_app(account, code)


def check_app(account: User, code: str) -> Proof:
    now, used = database_time(), False
    for factor in account.factors.standing().filter(kind=Factor.Kind.TOTP):
        step = rules.step_of(sealing.unseal(bytes(factor.secret)), code, now.timestamp())
        if step is None:
            continue
        if step > factor.last_step:
            factor.last_step, factor.last_used_at = step, now
            factor.save(update_fields=["last_step", "last_used_at"])
            return Proof("totp", {"factor": str(factor.pk)})
        used = True
    if used:
        raise Refusal("code_used", "This code was used already. Wait for the next one in your app.", "code")
    raise Refusal("wrong_code", "This code is wrong, or no longer good. Type the one that your app shows now.", "code")


def check_recovery_code(account: User, typed: str) -> Proof:
    row = account.recovery_codes.filter(digest=sealing.digest_of(typed)).first()
    if row is None:
        raise Refusal("wrong_code", "This is none of your recovery codes. Type one as it was shown.", "code")
    if row.used_at is not None:
        raise Refusal("code_used", "This recovery code was used already. Take the next one.", "code")
    row.used_at = database_time()
    row.save(update_fields=["used_at"])
    left = account.recovery_codes.filter(used_at=None).count()
    return Proof("recovery_code", {"recovery_codes_left": str(left)})


def check_passkey(account: User, answer: Answer, purpose: str, subject: str) -> Proof:
    challenge = passkeys.redeem(answer.ticket, purpose, account, answer.session, subject)
    known = {each.credential: each for each in account.factors.standing().filter(kind=Factor.Kind.PASSKEY)}
    attested = [bytes(each.attested) for each in known.values()]
    given = passkeys.asserted(answer.origin, challenge, attested, answer.passkey)
    factor = known[given.credential]
    if (given.sign_count or factor.sign_count) and given.sign_count <= factor.sign_count:
        raise passkeys.wrong_passkey()  # a copy of this passkey has signed in between
    spend(challenge)
    factor.sign_count, factor.last_used_at = given.sign_count, database_time()
    factor.save(update_fields=["sign_count", "last_used_at"])
    return Proof("passkey", {"factor": str(factor.pk)}, given.public)


def spend(challenge: passkeys.Challenge) -> None:
    """Raises Refusal `challenge_used` the second time."""
    SpentChallenge.objects.filter(at__lt=Now() - 2 * max(passkeys.LIVES.values())).delete()
    try:
        with transaction.atomic():
            SpentChallenge.objects.create(digest=challenge.digest)
    except IntegrityError as error:
        raise Refusal("challenge_used", "The passkey has answered this already. Ask it again.") from error
