"""What the pages show of endpoints and keys: the gate's answers in words, and how each key stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from accounts.models import User
from approvals import gate
from approvals.gate import GateResult
from inference.models import Endpoint, InferenceKey, KeyRequest
from ledger.events import database_time

UNDER_WAY = ("in_review", "changes_requested", "no_approval")


@dataclass(frozen=True)
class Line:
    """One line of the gate box."""

    state: str
    text: str
    title: str = ""
    who: str = ""
    note: str = ""
    url: str = ""


@dataclass(frozen=True)
class Serving:
    """An endpoint and what the gate says now of the version bound to it; None where there is none."""

    endpoint: Endpoint
    result: GateResult | None

    @property
    def state(self) -> str:
        if self.result is None:
            return "unbound"
        return "serving" if self.result.allowed else self.result.state

    @property
    def tone(self) -> str:
        if self.result is None:
            return "off"
        if self.result.allowed:
            return "ok"
        return "wait" if self.result.state in UNDER_WAY else "no"

    @property
    def title(self) -> str:
        if self.result is None or self.endpoint.version is None:
            return "Serves nothing: no version is bound"
        which = f"version {self.endpoint.version.number}"
        where = f"in {self.endpoint.environment} for {self.endpoint.use}"
        return f"Serves {which} {where}" if self.result.allowed else f"Refuses to serve {which} {where}"

    @property
    def lines(self) -> list[Line]:
        """Why not, then who signed or may sign, then the limitations that were taken into account."""
        if self.result is None:
            return []
        result, waiting = self.result, "waiting" if self.tone == "wait" else "not_met"
        return [
            *(Line(waiting, reason.sentence) for reason in result.reasons),
            *(Line(each.state, each.sentence, each.requirement.title) for each in result.requirements),
            *(Line("accepted", each.sentence) for each in result.obligations),
        ]

    @property
    def request_url(self) -> str:
        """Of the request that the answer rests on, or to make one; empty where nothing is bound."""
        if self.result is None or self.endpoint.version is None:
            return ""
        if self.result.request_id:
            return reverse("request", args=[self.result.request_id])
        new = reverse("request-new", args=[self.endpoint.version.pk])
        return f"{new}?environment={self.endpoint.environment}&use={self.endpoint.use}"


def serving(endpoints: Iterable[Endpoint]) -> list[Serving]:
    """Each endpoint with the gate's answer, all of one moment."""
    rows = list(endpoints)
    asked = {row.pk: (row.version_id, row.environment, row.use) for row in rows if row.version_id is not None}
    said = gate.evaluate_many(asked.values())
    return [Serving(row, said[asked[row.pk]] if row.pk in asked else None) for row in rows]


def offered(endpoint: Endpoint) -> list[tuple[str, str]]:
    """Versions that can be bound, newest first: id, and what the gate says of each."""
    versions = list(endpoint.model.versions.select_related("model").order_by("-number"))
    said = gate.evaluate_many([(each.pk, endpoint.environment, endpoint.use) for each in versions])
    return [
        (str(each.pk), f"{each.title}: {verdict(said[each.pk, endpoint.environment, endpoint.use])}")
        for each in versions
    ]


def verdict(result: GateResult) -> str:
    if result.allowed:
        return "may serve now."
    return f"may not serve now. {result.reasons[0].sentence}"


def standings(keys: Iterable[InferenceKey], viewer: User) -> list[dict[str, Any]]:
    """Each key with its state by the database's clock, and whether the viewer may open its page."""
    now, scope = database_time(), viewer.scope("inference.view_endpoint")
    return [
        {"key": key, "state": key.state(now), "open": scope.everywhere or key.team_id in scope.teams} for key in keys
    ]


def key_tabs(viewer: User) -> list[dict[str, Any]]:
    """Of the pages on keys."""
    here, teams = reverse("keys"), InferenceKey.objects.visible_to(viewer)
    asked = KeyRequest.objects.visible_to(viewer)
    return [
        {"key": "mine", "label": "Held by you", "url": here, "count": viewer.inference_keys.count()},
        {"key": "team", "label": "Of your teams", "url": f"{here}?tab=team", "count": teams.count()},
        {"key": "asked", "label": "Asked for", "url": reverse("key-requests"), "count": asked.count()},
    ]


def holders(endpoint: Endpoint, by: User) -> Any:
    """Accounts that can hold a key which this person issues: they themselves, and the team's service accounts."""
    mine, robots = User.objects.filter(pk=by.pk), User.objects.filter(team=endpoint.team_id, kind=User.Kind.SERVICE)
    return (mine | robots).filter(is_active=True).order_by("kind", "name")
