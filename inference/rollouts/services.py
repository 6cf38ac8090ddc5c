"""Trying a version beside another, promoting or withdrawing it, and rolling back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import F

from accounts.models import User
from accounts.services import require_reason
from approvals import gate
from approvals.gate import GateResult
from inference.models import Endpoint
from inference.rollouts.models import Binding, Comparison, Rollout
from inference.upstreams.places import check_place, misplaced
from ledger.actors import Actor
from ledger.door import Done, governed, mechanical
from ledger.events import database_time
from ledger.refusals import Refusal
from registry.models import Version

MOST_EARLIER = 20


def account(by: Actor) -> User | None:
    return by if isinstance(by, User) else None


def servable(endpoint: Endpoint, version: Version) -> None:
    """Raises Refusal `other_model`, `bytes_here`, `bytes_not_here` or `interface_missing`."""
    if version.model_id != endpoint.model_id:
        sentence = f"Choose a version of {endpoint.model}: this one belongs to another model."
        raise Refusal("other_model", sentence, "version")
    check_place(version, endpoint.upstream_kind, "version")


def described(version: Version | None) -> dict[str, str] | None:
    if version is None:
        return None
    return {"version": str(version.pk), "number": str(version.number), "artifact": version.artifact.digest}


def rebind(endpoint: Endpoint, version: Version | None, how: str, by: Actor) -> list[Rollout]:
    """The bare change beneath binding, promotion and rollback: what the endpoint serves from now on, and that it did.

    A rollout that stands ends; returns those that did.
    """
    at = database_time()
    endpoint.version, endpoint.bound_at, endpoint.bound_by = version, at, account(by)
    endpoint.save(update_fields=["version", "bound_at", "bound_by"])
    Binding.objects.create(endpoint=endpoint, version=version, how=how, by=account(by), at=at)
    outcome = Rollout.Outcome.PROMOTED if how == Binding.How.PROMOTED else Rollout.Outcome.REPLACED
    return [end(each, outcome, by) for each in Rollout.objects.standing().filter(endpoint=endpoint)]


def end(rollout: Rollout, outcome: str, by: Actor) -> Rollout:
    rollout.ended_at, rollout.ended_by, rollout.outcome = database_time(), account(by), outcome
    rollout.save(update_fields=["ended_at", "ended_by", "outcome"])
    return rollout


@governed(permission="inference.bind_endpoint", event="rollout.started", on="endpoint")
def start_rollout(*, by: Actor, endpoint: Endpoint, version: Version, kind: str, share: int = 0) -> Done[Rollout]:
    """Try a version beside the one that is served. `share` is how many of a hundred requests a canary answers.

    The gate decides about the challenger as about the champion: while it says no, the champion answers all requests.
    Raises Refusal `upstream_elsewhere`, what `servable` does, `nothing_bound`, `already_bound`, `unknown_kind`,
    `share_invalid` or `rollout_standing`.
    """
    if endpoint.elsewhere is not None:
        sentence = "Another server predicts here, and it answers for one version. Add an endpoint for the other."
        raise Refusal("upstream_elsewhere", sentence)
    servable(endpoint, version)
    champion = endpoint.version
    if champion is None:
        raise Refusal("nothing_bound", "The endpoint serves nothing yet. Bind a version first, then try another.")
    if version == champion:
        raise Refusal("already_bound", "The endpoint serves this version already. Choose another.", "version")
    if kind not in Rollout.Kind.values:
        raise Refusal("unknown_kind", f"Choose one of: {', '.join(Rollout.Kind.values)}.", "kind")
    if kind == Rollout.Kind.CANARY:
        check_share(share)
    if Rollout.objects.standing().filter(endpoint=endpoint).exists():
        sentence = "Another version is tried here already. Promote or withdraw it first."
        raise Refusal("rollout_standing", sentence)
    rollout = Rollout.objects.create(
        endpoint=endpoint, champion=champion, version=version, kind=kind, started_by=account(by),
        share=share if kind == Rollout.Kind.CANARY else 0,
    )  # fmt: skip
    Comparison.objects.create(rollout=rollout)
    rollout.refresh_from_db(fields=["started_at"])
    said = gate.evaluate(version, endpoint.environment, endpoint.use)
    facts = {
        **told(rollout), "champion": described(champion), "challenger": described(version), "gate": verdict(said),
    }  # fmt: skip
    return Done(rollout, facts=facts, changed=[rollout])


def check_share(share: int) -> None:
    if not 1 <= share <= 99:
        raise Refusal("share_invalid", "A canary answers between 1 and 99 of a hundred requests.", "share")


def told(rollout: Rollout) -> dict[str, object]:
    return {"endpoint": rollout.endpoint.name, "rollout": rollout.pk, "kind": rollout.kind, "share": rollout.share}


def verdict(said: GateResult) -> dict[str, object]:
    return {"allowed": said.allowed, "state": said.state}


def under_way(endpoint: Endpoint) -> Rollout:
    """Raises Refusal `no_rollout`."""
    found = Rollout.objects.standing().filter(endpoint=endpoint).with_parts().first()
    if found is None:
        raise Refusal("no_rollout", "No version is tried at this endpoint now. It was promoted or withdrawn meanwhile.")
    return found


@governed(permission="inference.bind_endpoint", event="rollout.share_changed", on="endpoint")
def change_share(*, by: Actor, endpoint: Endpoint, share: int) -> Done[Rollout]:
    """Raises Refusal `no_rollout`, `no_canary` or `share_invalid`."""
    rollout = under_way(endpoint)
    if rollout.kind != Rollout.Kind.CANARY:
        raise Refusal("no_canary", "A shadow answers no request. Withdraw it and start a canary.")
    check_share(share)
    before, rollout.share = rollout.share, share
    rollout.save(update_fields=["share"])
    return Done(rollout, facts={**told(rollout), "before": before}, changed=[rollout])


@governed(permission="inference.bind_endpoint", event="rollout.promoted", on="endpoint")
def promote(*, by: Actor, endpoint: Endpoint) -> Done[Endpoint]:
    """Let the challenger answer every request. Asks the gate again. Raises Refusal `no_rollout` or `not_approved`."""
    rollout = under_way(endpoint)
    said = gate.evaluate_holding(rollout.version, endpoint.environment, endpoint.use)
    if not said.allowed:
        sentence = f"The gate does not allow {rollout.version.title.lower()} to serve here: {said.reasons[0].sentence}"
        raise Refusal("not_approved", sentence)
    before = endpoint.version
    ended = rebind(endpoint, rollout.version, Binding.How.PROMOTED, by)
    facts = {
        **told(rollout), "from": described(before), "to": described(rollout.version), "gate": verdict(said),
        "request": said.request_id,
    }  # fmt: skip
    return Done(endpoint, facts=facts, changed=ended)


@governed(permission="inference.bind_endpoint", event="rollout.withdrawn", on="endpoint")
def withdraw_rollout(*, by: Actor, endpoint: Endpoint, reason: str) -> Done[Rollout]:
    """End a trial; the champion goes on as before. Raises Refusal `reason_needed` or `no_rollout`."""
    require_reason(reason)
    rollout = end(under_way(endpoint), Rollout.Outcome.WITHDRAWN, by)
    return Done(rollout, facts=told(rollout), discloses={"reason": reason.strip()}, changed=[rollout])


@dataclass(frozen=True)
class Earlier:
    """A version that the endpoint served before, and what the gate says of it now."""

    version: Version
    said: GateResult


def earlier(endpoint: Endpoint) -> list[Earlier]:
    """Versions that were served before the one that is and could be by its upstream, the latest first; each once."""
    rows = Binding.objects.filter(endpoint=endpoint).exclude(version=None).exclude(version=endpoint.version_id)
    found: dict[int, Version] = {}
    parts = ("version__model", "version__artifact", "version__pins")
    for row in rows.select_related(*parts).order_by("-pk")[: 5 * MOST_EARLIER]:
        fits = row.version is not None and misplaced(row.version, endpoint.upstream_kind) is None
        if fits and row.version is not None and len(found) < MOST_EARLIER:
            found.setdefault(row.version.pk, row.version)
    asked = [(pk, endpoint.environment, endpoint.use) for pk in found]
    said = gate.evaluate_many(asked)
    return [Earlier(found[key[0]], said[key]) for key in asked]


@governed(permission="inference.roll_back_endpoint", event="endpoint.rolled_back", on="endpoint")
def roll_back(*, by: Actor, endpoint: Endpoint, reason: str) -> Done[Endpoint]:
    """Serve the version that was served last before this one and that the gate allows now; a trial ends with it.

    Raises Refusal `reason_needed` or `nothing_to_roll_back_to`.
    """
    require_reason(reason)
    there = earlier(endpoint)
    target = next((each for each in there if each.said.allowed), None)
    said = gate.evaluate_holding(target.version, endpoint.environment, endpoint.use) if target else None
    if target is None or said is None or not said.allowed:
        why = [f"{each.version.title}: {each.said.reasons[0].sentence}" for each in there[:1] if each.said.reasons]
        parts = "No version that was served here before may serve now.", *why, "Bind the endpoint to nothing instead."
        raise Refusal("nothing_to_roll_back_to", " ".join(parts))
    before = endpoint.version
    ended = rebind(endpoint, target.version, Binding.How.ROLLED_BACK, by)
    facts = {
        "endpoint": endpoint.name, "from": described(before), "to": described(target.version), "gate": verdict(said),
        "request": said.request_id, "ended": [each.pk for each in ended],
    }  # fmt: skip
    return Done(endpoint, facts=facts, discloses={"reason": reason.strip()}, changed=ended)


@mechanical("how often a shadow agreed; each of its answers has its row in the prediction log")
def add_compared(found: Mapping[int, Mapping[str, int]]) -> None:
    """Add counts by rollout and name of a field of Comparison."""
    for pk, counts in sorted(found.items()):
        Comparison.objects.filter(pk=pk).update(**{name: F(name) + count for name, count in counts.items()})
