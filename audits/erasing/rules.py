"""What may be erased, of whom, and what stays: plain rules, no database."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

# What the log itself discloses about whoever acted; every other label is the act's own.
ACTOR = frozenset({"actor_name", "actor_email", "address"})
# What says who somebody is: chosen unless the asker takes it away.
IDENTITY = ("actor_email", "actor_name", "address", "email", "name", "old_email")

SIGNATURE = (
    "A signer's name stays: a signature shows who signed, when and what it means (21 CFR 11.50), and is kept for legal "
    "claims and duties (GDPR, Article 17(3)(b) and (e))."
)
ACCOUNT = (
    "The name of who decided about an erasure or a legal hold stays: it is how the decision is accounted for (GDPR, "
    "Article 5(2))."
)
# Events whose actor's name is never erased, with the reason. Meaning and digest of a signature are facts of the entry
# and no disclosures, so nothing can erase them. Attempts (`….refused`) are no signatures and are not listed.
KEPT: dict[str, str] = {
    "decision.signed": SIGNATURE,
    "risk_acceptance.signed": SIGNATURE,
    "signer.reauthenticated": SIGNATURE,
    "approval.revoked": SIGNATURE,
    "request.submitted": SIGNATURE,
    "request.revised": SIGNATURE,
    "request.withdrawn": SIGNATURE,
    "erasure.requested": ACCOUNT,
    "erasure.approved": ACCOUNT,
    "erasure.rejected": ACCOUNT,
    "hold.placed": ACCOUNT,
    "hold.lifted": ACCOUNT,
}
KEPT_LABEL = "actor_name"

GROUNDS = {
    "no_longer_necessary": "No longer necessary for what it was collected for (Article 17(1)(a))",
    "consent_withdrawn": "Consent was withdrawn (Article 17(1)(b))",
    "objection": "The person objects, and nothing overrides that (Article 17(1)(c))",
    "unlawful": "It was processed unlawfully (Article 17(1)(d))",
    "legal_duty": "A law asks for the erasure (Article 17(1)(e))",
    "mistake": "It was written by mistake: it should never have been in the log",
}


def why_kept(event: str, label: str) -> str:
    """Why this disclosure of this event stays for good, or "" where it can be erased."""
    return KEPT.get(event, "") if label == KEPT_LABEL else ""


def is_theirs(label: str, *, acted: bool, anonymous: bool) -> bool:
    """Whether a disclosure of an event by somebody (`acted`) or about them is theirs, and not another actor's.

    Of an event about them, names and address are those of who acted, except where nobody was signed in yet.
    """
    return acted or label not in ACTOR or (anonymous and label == "address")


def digest_of_items(items: Iterable[tuple[str, str]]) -> str:
    """What is to be erased, as one digest: SHA-256 of sorted lines `<event id> <label>`. SQL computes the same."""
    lines = "\n".join(f"{event} {label}" for event, label in sorted(items))
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"
