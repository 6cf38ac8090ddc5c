"""What a key may be issued with, and who may hold it: the same whether it is issued or asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from accounts.models import User
from inference.addresses import network_of
from inference.models import Endpoint, KeyScope
from ledger.actors import Actor
from ledger.refusals import Refusal, require_reason

MAX_RATE_PER_MINUTE = 1_000_000
MAX_QUOTA_PER_DAY = MAX_RATE_PER_MINUTE * 60 * 24
MOST_NETWORKS = 50


@dataclass(frozen=True)
class KeyTerms:
    """As they were found right: each in its usual writing."""

    name: str
    actions: list[str]
    days: int
    rate_per_minute: int
    quota_per_day: int | None
    networks: list[str]
    holder: User
    reason: str

    def facts(self) -> dict[str, Any]:
        return {
            "actions": self.actions, "holder": str(self.holder.opaque_id), "rate_per_minute": self.rate_per_minute,
            "quota_per_day": self.quota_per_day,
        }  # fmt: skip

    def discloses(self) -> dict[str, str]:
        """What of them can be forgotten: whose addresses they are, too."""
        told = {"key_name": self.name, "reason": self.reason}
        return {**told, "networks": ", ".join(self.networks)} if self.networks else told


def fitting(
    by: Actor, endpoint: Endpoint, *, name: str, actions: Iterable[str], days: int, rate_per_minute: int, reason: str,
    holder: User | None = None, quota_per_day: int | None = None, networks: Iterable[str] = (),
) -> KeyTerms:  # fmt: skip
    """The terms, where a key can have them.

    Raises Refusal `key_name_needed`, `unknown_action`, `expiry_invalid`, `rate_invalid`, `quota_invalid`,
    `network_invalid`, `reason_needed` or `holder_invalid`.
    """
    wanted = sorted(set(actions))
    if not name.strip():
        raise Refusal("key_name_needed", "Give the key a name that says where it will be used.", "name")
    if not wanted or set(wanted) - set(KeyScope.Action.values):
        raise Refusal("unknown_action", f"Choose at least one of: {', '.join(KeyScope.Action.values)}.", "actions")
    if not 1 <= days <= settings.INFERENCE_KEY_DAYS:
        raise Refusal("expiry_invalid", f"A key lives between 1 and {settings.INFERENCE_KEY_DAYS} days.", "days")
    if not 1 <= rate_per_minute <= MAX_RATE_PER_MINUTE:
        sentence = f"Allow between 1 and {MAX_RATE_PER_MINUTE:,} requests a minute."
        raise Refusal("rate_invalid", sentence, "rate_per_minute")
    if quota_per_day is not None and not 1 <= quota_per_day <= MAX_QUOTA_PER_DAY:
        sentence = f"Allow between 1 and {MAX_QUOTA_PER_DAY:,} requests a day, or leave it open."
        raise Refusal("quota_invalid", sentence, "quota_per_day")
    allowed = networks_of(networks)
    require_reason(reason)
    holder = holder or (by if isinstance(by, User) else None)
    if holder is None or not may_hold(holder, by, endpoint.team_id):
        raise holder_invalid()
    return KeyTerms(name.strip(), wanted, days, rate_per_minute, quota_per_day, allowed, holder, reason.strip())


def networks_of(given: Iterable[str]) -> list[str]:
    """Networks in their usual writing, each once. Raises Refusal `network_invalid` with the place in the list."""
    found = []
    for number, text in enumerate(given):
        try:
            found.append(str(network_of(text.strip())))
        except ValueError:
            sentence = (
                f"“{text[:50]}” is no network such as 192.0.2.0/24 or 2001:db8::/32, with zeros after the prefix."
            )
            raise Refusal("network_invalid", sentence, f"networks.{number}") from None
    if len(found) > MOST_NETWORKS:
        raise Refusal("network_invalid", f"Name up to {MOST_NETWORKS} networks: larger ones, if need be.", "networks")
    return list(dict.fromkeys(found))


def may_hold(holder: User, by: Actor, team: int) -> bool:
    """Whether an account can be the holder of a key of a team that `by` issues."""
    ours = not holder.is_person and holder.team_id == team
    return holder.is_active and (ours or (isinstance(by, User) and holder.pk == by.pk))


def holder_invalid() -> Refusal:
    sentence = "A key is held by you or by a service account of the endpoint's team. Choose one of them."
    return Refusal("holder_invalid", sentence, "holder")
