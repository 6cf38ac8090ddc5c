"""Where models and versions stand: what was asked for them or serves them, and the gate's answer to each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from accounts.models import User
from approvals.gate import GateResult, evaluate, evaluate_many
from approvals.models import ReviewRequest
from approvals.workflow import ENVIRONMENTS
from inference.models import Endpoint
from registry.models import Version

ORDER = {environment: place for place, environment in enumerate(reversed(ENVIRONMENTS))}


@dataclass(frozen=True)
class Line:
    """One line of a gate box."""

    state: str
    text: str
    title: str = ""
    who: str = ""
    note: str = ""
    url: str = ""


@dataclass(frozen=True)
class Stand:
    """The gate's answer for a version in one environment and for one use."""

    version: Version
    result: GateResult

    @property
    def words(self) -> str:
        return f"{self.result.environment.capitalize()}, {self.result.use.replace('-', ' ')}"

    @property
    def title(self) -> str:
        verb = "May serve" if self.result.allowed else "May not serve"
        return f"{verb} in {self.result.environment} for {self.result.use}"

    @property
    def tone(self) -> str:
        if self.result.allowed:
            return "ok"
        return "wait" if self.result.state in ("in_review", "changes_requested", "no_approval") else "no"

    @property
    def lines(self) -> list[Line]:
        """Why not, or what it rests on; then the limitations that people know of and took into account."""
        result = self.result
        waiting = "waiting" if self.tone == "wait" else "not_met"
        shown = [Line(waiting, reason.sentence) for reason in result.reasons]
        if result.allowed:
            shown = [Line(each.state, each.sentence, each.requirement.title) for each in result.requirements]
        return shown + [Line("accepted", each.sentence) for each in result.obligations]

    @property
    def rank(self) -> tuple[int, bool, int]:
        return ORDER.get(self.result.environment, 9), not self.result.allowed, -self.version.number


def stands_of(versions: Iterable[Version], viewer: User) -> dict[int, list[Stand]]:
    """For each version's id what was asked or is served and may be seen, production first, allowed first."""
    known = {version.pk: version for version in versions}
    asked = ReviewRequest.objects.visible_to(viewer).filter(version__in=known)
    bound = Endpoint.objects.visible_to(viewer).filter(version__in=known)
    keys = {
        *asked.values_list("version_id", "environment", "use"),
        *bound.values_list("version_id", "environment", "use"),
    }
    found: dict[int, list[Stand]] = defaultdict(list)
    for (pk, _, _), result in evaluate_many(keys).items():
        found[pk].append(Stand(known[pk], result))
    return {pk: sorted(stands, key=lambda stand: stand.rank) for pk, stands in found.items()}


def prospect(version: Version) -> list[Line]:
    """What a version that nobody has asked about would still need under today's policy."""
    result = evaluate(version, "production", "any use")
    missing = [Line("waiting", reason.sentence) for reason in result.reasons if reason.code != "no_request"]
    return [Line("waiting", "Nobody has asked for approval yet."), *missing]


def best(stands: list[Stand]) -> list[Stand]:
    """One for each environment and use: what is allowed, else the newest version's."""
    chosen: dict[tuple[str, str], Stand] = {}
    for stand in sorted(stands, key=lambda each: each.rank):
        chosen.setdefault((stand.result.environment, stand.result.use), stand)
    return list(chosen.values())
