"""A fresh proof of who signs: bound to one person, session and digest, good once, for two minutes."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from accounts.factors.checking import Answer, Proof, check_second
from accounts.models import User
from accounts.services import check_password, clear_attempts, count_attempt, refuse_locked
from approvals.models import Reauthentication, ReviewRequest
from ledger.actors import Actor
from ledger.door import Done, governed
from ledger.events import database_time
from ledger.refusals import Refusal

NONE = Answer()
# A password is enough to add a factor. Where it is not enough to sign, what it has just added is not either.
NEW = timedelta(hours=24)
NONCE_LIVES = timedelta(minutes=2)
PURPOSES = ("decision", "risk_acceptance")


def hashed(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def reauthenticate(
    *, by: User, request: ReviewRequest, digest: str, session_key: str, password: str = "", second: Answer = NONE,
    purpose: str = "decision",
) -> str:  # fmt: skip
    """A nonce that lets this person, in this session, sign this digest once within two minutes.

    `purpose` is what the digest is of: `decision` for the manifest, `risk_acceptance` for the text of one. It takes a
    password, a password and a code from an app, or a passkey, whose challenge is made from the digest. What is wrong
    counts towards the lock of the account. Raises Refusal `humans_only`, `changed_while_reading`,
    `second_factor_needed` where the policy wants more than a password, `account_locked`, `wrong_credentials`, or why
    the second factor does not count: `wrong_code`, `code_used`, `factor_unreadable`, `wrong_passkey`,
    `challenge_ended`, `challenge_used`, or `factor_too_new` where such a policy is given one of less than a day.
    """
    if not too_little(request, second):
        count_attempt(by)
    bound = {"digest": digest, "session_key": session_key, "purpose": purpose}
    return prove_identity(by=by, request=request, password=password, second=second, **bound)


@governed(permission="approvals.reauthenticate", event="signer.reauthenticated", on="request", lock=False)
def prove_identity(
    *, by: Actor, request: ReviewRequest, digest: str, session_key: str, password: str, second: Answer, purpose: str
) -> Done[str]:
    """What `reauthenticate` does once the attempt has been counted."""
    assert isinstance(by, User)
    if not by.is_person:
        raise Refusal("humans_only", "Only a person signs. A service account may submit and attach evidence.")
    if purpose == "decision" and digest != request.latest.digest:
        raise changed_while_reading()
    proof = proved(by, request, digest, password, replace(second, session=session_key))
    nonce, now = secrets.token_urlsafe(32), database_time()
    row = Reauthentication.objects.create(
        request=request, person=by, session=hashed(session_key), digest=digest, nonce=hashed(nonce),
        expires_at=now + NONCE_LIVES, method=proof.method, assertion=proof.assertion,
    )  # fmt: skip
    facts: dict[str, Any] = {
        "request": str(request.pk), "digest": digest, "method": proof.method, "purpose": purpose, **proof.facts,
    }  # fmt: skip
    if proof.assertion:
        facts["assertion"] = proof.assertion
    return Done(nonce, on=row, facts=facts)


def proved(by: User, request: ReviewRequest, digest: str, password: str, second: Answer) -> Proof:
    """How they proved who they are, by what the policy of the request asks for."""
    if too_little(request, second):  # said before the password is looked at, so no guess of it goes uncounted
        raise second_factor_needed()
    account = User.objects.select_for_update(no_key=True).get(pk=by.pk)
    if second.passkey:
        refuse_locked(account)
        return second_given(account, request, second, digest)
    try:
        check_password(account, password)
    except Refusal as refusal:
        if refusal.code != "wrong_credentials":
            raise
        raise Refusal(refusal.code, "This is not your password, so nothing was signed. Type it again.") from refusal
    if not second.code:
        return Proof("password")
    proof = second_given(account, request, second, digest)
    return replace(proof, method=f"password+{proof.method}")


def second_given(account: User, request: ReviewRequest, second: Answer, digest: str) -> Proof:
    proof = check_second(account, second, purpose="signature", subject=digest)
    added = account.factors.get(pk=proof.facts["factor"]).added_at
    if wants_second_factor(request) and added > database_time() - NEW:
        raise factor_too_new(added)
    clear_attempts(account)
    return proof


def too_little(request: ReviewRequest, second: Answer) -> bool:
    """Whether only a password is given where the policy wants more."""
    return wants_second_factor(request) and not (second.passkey or second.code)


def wants_second_factor(request: ReviewRequest) -> bool:
    return request.policy_version.rules.factor == "second_factor"


def second_factor_needed() -> Refusal:
    sentence = (
        "Under this policy a password alone does not sign. Sign with a passkey, or give the code of your authenticator "
        "app beside the password; you add either on your account page."
    )
    return Refusal("second_factor_needed", sentence)


def factor_too_new(added: datetime) -> Refusal:
    sentence = (
        "This policy wants a second factor, and yours was added less than a day ago: a password is enough to add one. "
        f"It signs from {added + NEW:%d %B %Y, %H:%M} UTC on."
    )
    return Refusal("factor_too_new", sentence)


def why_no_factor(account: User, request: ReviewRequest) -> Refusal | None:
    """What keeps an account from signing before anything is typed, where the policy wants a second factor."""
    if not wants_second_factor(request):
        return None
    oldest = account.factors.standing().order_by("added_at").first()
    if oldest is None:
        return second_factor_needed()
    return factor_too_new(oldest.added_at) if oldest.added_at > database_time() - NEW else None


def changed_while_reading() -> Refusal:
    sentence = "A newer revision was submitted while you were reading. Look at what changed, then sign that one."
    return Refusal("changed_while_reading", sentence)


def used(nonce: str, by: User, request: ReviewRequest, digest: str, session_key: str) -> Reauthentication:
    """Use up a nonce. Raises Refusal `reauthentication_needed` unless it is this person's, session's and digest's, and
    `second_factor_needed` where it was given for a mere password and the policy wants more.
    """
    row = Reauthentication.objects.select_for_update().filter(
        nonce=hashed(nonce), person=by, request=request, digest=digest, session=hashed(session_key), used_at=None
    ).first()  # fmt: skip
    now = database_time()
    if row is None or row.expires_at <= now:
        sentence = "Prove again who you are: type your password. A proof lasts two minutes and for one signature."
        raise Refusal("reauthentication_needed", sentence)
    if row.method == "password" and wants_second_factor(request):
        raise second_factor_needed()
    row.used_at = now
    row.save(update_fields=["used_at"])
    return row
