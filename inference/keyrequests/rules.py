"""When keys take two people, and how a request for one stands. Knows no framework."""

from __future__ import annotations

from datetime import datetime

TIER, ALWAYS, NEVER = "tier", "always", "never"
KEY_RULES = {
    TIER: "Where the risk is high: in production, of a model of the highest risk tier",
    ALWAYS: "Always",
    NEVER: "Never, though the risk is high",
}
HIGHEST, LIVE = "high", "production"
# How a request can stand, in the order in which people look for them.
KEY_REQUEST_STATES = ("waiting", "approved", "taken", "declined", "withdrawn", "lapsed")


def high_risk(tier: str, environment: str) -> bool:
    """Whether what an endpoint serves decides about people for real, and much hangs on it."""
    return tier == HIGHEST and environment == LIVE


def take_two(rule: str, tier: str, environment: str) -> bool:
    """Whether a key to an endpoint needs a second person."""
    return rule == ALWAYS or (rule == TIER and high_risk(tier, environment))


def state_of(outcome: str, *, taken: bool, open_until: datetime, now: datetime) -> str:
    """One of KEY_REQUEST_STATES. `outcome` is what somebody said, or "" while nobody has."""
    if taken:
        return "taken"
    if outcome in ("declined", "withdrawn"):
        return outcome
    if open_until <= now:
        return "lapsed"
    return outcome or "waiting"
