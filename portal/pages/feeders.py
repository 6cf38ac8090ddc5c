"""What feeds a model and what it feeds, each with where it stands by the gate's rule at this moment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from accounts.models import User
from portal.inventory.standing import every_stand
from portal.pages.standing import Stand, best
from registry.feeders import reading
from registry.feeders.reading import Link
from registry.models import Model

# What an approval is that counted once and does not any more.
ENDED = ("revoked", "suspended", "outdated", "expired")


@dataclass(frozen=True)
class Feeding:
    """`lost` is what feeds this model and was approved once for something that nothing of it is approved for now."""

    fed_by: list[tuple[Link, list[Stand]]]
    feeds: list[tuple[Link, list[Stand]]]
    removed: list[Link]
    lost: list[tuple[Link, Stand]]


def feeding(model: Model, viewer: User) -> Feeding:
    """However many there are, in a fixed number of queries; in one where there are none."""
    links = reading.of_model(model, viewer)
    others = {link.other.pk for link in (*links.fed_by, *links.feeds) if link.other}
    found = every_stand(others, viewer) if others else {}

    def of(link: Link) -> list[Stand]:
        return found.get(link.other.pk, []) if link.other else []

    return Feeding(
        [(link, best(of(link))) for link in links.fed_by],
        [(link, best(of(link))) for link in links.feeds],
        links.removed,
        [(link, stand) for link in links.fed_by for stand in lost(of(link))],
    )


def lost(stands: Iterable[Stand]) -> list[Stand]:
    """The ended approvals of a model in whose place nothing else is allowed, the newest for each place."""
    told = list(stands)
    holding = {place(stand) for stand in told if stand.result.allowed}
    ended = [stand for stand in told if stand.result.state in ENDED and place(stand) not in holding]
    return best(ended)


def place(stand: Stand) -> tuple[str, str]:
    return stand.result.environment, stand.result.use
