"""Every kind of notification, and in which ways somebody can have it. Each has its text in templates/notifications/."""

from __future__ import annotations

from dataclasses import dataclass

AT_ONCE, DIGEST, OFF = "at_once", "digest", "off"
WAYS = {AT_ONCE: "At once", DIGEST: "In the daily digest", OFF: "Not at all"}
DIGEST_KIND = "digest"


@dataclass(frozen=True)
class Kind:
    """`ways` are those that somebody can choose from; with a single one there is no choice."""

    slug: str
    title: str
    when: str
    ways: tuple[str, ...] = (AT_ONCE, DIGEST, OFF)
    default: str = AT_ONCE

    @property
    def chosen(self) -> bool:
        return len(self.ways) > 1


KINDS = {
    each.slug: each
    for each in (
        Kind("your_turn", "Your turn to sign", "A stage has opened that you may sign."),
        Kind("changes_requested", "Changes requested", "A reviewer wants changes to something you made or own."),
        Kind("approved", "Approved", "Everybody has signed something you made or own."),
        Kind("rejected", "Rejected", "Something you made or own was rejected."),
        Kind(
            "approval_ended", "Revoked, suspended or run out",
            "An approval of something you made, own or signed no longer holds.",
        ),
        Kind(
            "feeder_ended", "What feeds your model is no longer approved",
            "An approval of a model whose output a model of yours uses no longer holds.",
        ),
        Kind("expiring", "Expiring", "30 days, 7 days and 1 day before an approval of something you made or own ends."),
        Kind("mentioned", "Mentioned in a conversation", "Somebody mentioned you in the conversation of a request."),
        Kind("finding_assigned", "A finding to answer", "You were named as the one who answers for a finding."),
        Kind("finding_overdue", "A finding is overdue", "A finding that you answer for was not settled in time."),
        Kind("key_requested", "A key to decide about", "Somebody asks for a key that takes two people."),
        Kind("key_decided", "A key that you asked for", "It was approved and can be taken for some days, or declined."),
        Kind(
            "attestation_due", "A model to attest",
            "30 days, 7 days and 1 day before the year ends, where you have not attested a model that you own.",
        ),
        Kind(
            "reminder", "What still waits for you",
            "Once a day: what waits for you, findings that are overdue, and what expires. Nothing where nothing waits.",
            (DIGEST, OFF), DIGEST,
        ),
        Kind(
            "receipt", "Receipts for what you sign",
            "What you signed is sealed in the log. The mail proves it, even against the log.", (AT_ONCE,),
        ),
        Kind(
            "credentials", "Changes of your password or mail address",
            "So that nobody takes over your account without your knowing.", (AT_ONCE,),
        ),
    )
}  # fmt: skip
# What webhooks are told: what becomes of requests and approvals. A test of one is of a kind of its own.
HOOKED = ("your_turn", "changes_requested", "approved", "rejected", "approval_ended", "expiring")
PING = "ping"
