"""Which policy governs a request: the second line binds (team, use, risk tier) to policies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

P = TypeVar("P")


@dataclass(frozen=True)
class Binding(Generic[P]):
    """One rule, as it holds now; a field that is None means any."""

    policy: P
    team: int | None = None
    use: str | None = None
    tier: str | None = None

    def covers(self, team: int, use: str, tier: str) -> bool:
        return self.team in (None, team) and self.use in (None, use) and self.tier in (None, tier)

    @property
    def weight(self) -> tuple[bool, bool, bool]:
        """What names the use goes first, then what names the team, then the tier.

        A law is about a use, whoever has the model: a team's own rule never takes its place.
        """
        return (self.use is not None, self.team is not None, self.tier is not None)


def governing(bindings: Iterable[Binding[P]], team: int, use: str, tier: str) -> Binding[P] | None:
    """The binding that holds for a model of this team and tier and this use; None where none covers it."""
    covering = [each for each in bindings if each.covers(team, use, tier)]
    return max(covering, key=lambda each: each.weight, default=None)
