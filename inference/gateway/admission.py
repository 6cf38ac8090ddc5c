"""Who may ask what, from the board and the tokens held: key, address, lease, endpoint, scope, rate and quota."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass

from inference import keys
from inference.addresses import Network, sender_of, within
from inference.gateway.board import Board, KeyTerms, Served, Snapshot, Unusable, clock
from inference.gateway.limits import Limits
from inference.gateway.refused import Refused, unavailable

# Which requests a canary answers decides nothing that has to be kept from anybody.
CHANCE = random.Random(os.urandom(32))  # noqa: S311
CHALLENGE = ((b"www-authenticate", b'Bearer realm="countersign"'),)


@dataclass(slots=True)
class Caller:
    """What a request says of who sends it: the key, the other end of the connection, and what proxies add."""

    authorization: bytes = b""
    peer: str = ""
    forwarded: Sequence[bytes] = ()


class Admission:
    def __init__(
        self, board: Board, pepper: str, limits: Limits | None = None, trusted: Sequence[Network] = ()
    ) -> None:
        self.board = board
        self.pepper = pepper
        self.limits = limits or Limits()
        self.trusted = trusted

    def snapshot(self) -> Snapshot:
        """What is known, while the lease holds. Raises Refused 503 `starting` or `lease_expired`."""
        snapshot = self.board.snapshot
        if snapshot is None:
            raise unavailable("starting", "The gateway has not reached the database yet. Try again in a moment.")
        if clock() >= snapshot.until:
            sentence = (
                "The gateway cannot ask any more whether its models are still approved, so it refuses all of them. "
                "Operators: see whether the gateway reaches the database."
            )
            raise unavailable("lease_expired", sentence, 5)
        return snapshot

    def admit(self, caller: Caller, name: str, version: str | None, action: str) -> tuple[KeyTerms, Served]:
        """The key, and the endpoint with the version that answers. Raises Refused 401, 403, 404 or 503; never says to
        strangers what exists.
        """
        terms, served = self.opened(caller, name, action)
        return terms, self.chosen(served, version, by_chance=action == "infer")

    def opened(self, caller: Caller, name: str, action: str) -> tuple[KeyTerms, Served]:
        """The key, and the endpoint with the version that it serves."""
        snapshot = self.snapshot()
        terms = self.key(snapshot, caller)
        served = snapshot.endpoints.get(name)
        if served is None:
            raise Refused(404, "unknown_endpoint", "There is no endpoint of this name. Look for it under Endpoints.")
        if action not in terms.actions.get(served.pk, ()):
            sentence = f"This key does not have the scope “{action}” for the endpoint {name}. Ask for another key."
            raise Refused(403, "scope_missing", sentence)
        self.board.used.add(terms.pk)
        return terms, served

    def chosen(self, served: Served, version: str | None, *, by_chance: bool) -> Served:
        """The champion, or a canary that can answer: asked for by number, or by chance for its share of requests."""
        beside = served.challenger
        if beside is not None and beside.share and version != served.version and self.able(beside.served):
            wanted = version == beside.served.version
            if wanted or (version is None and by_chance and CHANCE.random() < beside.share):
                return beside.served
        if version is not None and version != served.version:
            sentence = (
                f"The endpoint {served.name} serves version {served.version or 'none'}. Ask without a version, or for "
                "it."
            )
            raise Refused(404, "unknown_version", sentence)
        return served

    def able(self, served: Served) -> bool:
        """Whether the gate allows it and its bytes are loaded."""
        approved = served.approved
        if approved is None or clock() >= approved.until:
            return False
        runner = self.board.runners.get(approved.artifact)
        return runner is not None and not isinstance(runner, Unusable)

    def again(self, caller: Caller, before: Served) -> Served:
        """The same version as it is now. Raises Refused as `admit`, and 503 where it does not answer here any more."""
        _, now = self.opened(caller, before.name, "infer")
        if now.version == before.version:
            return now
        if now.challenger is not None and now.challenger.served.version == before.version:
            return now.challenger.served
        raise endpoint_changed()

    def only_endpoint(self, caller: Caller) -> str:
        """The endpoint that the key predicts with. Raises Refused 401, 403, or 404 where there is not exactly one."""
        snapshot = self.snapshot()
        opened = self.key(snapshot, caller).actions
        names = [each.name for each in snapshot.endpoints.values() if "infer" in opened.get(each.pk, ())]
        if len(names) != 1:
            sentence = "This key predicts with several endpoints or none. Name one: /endpoints/<name>/invocations."
            raise Refused(404, "endpoint_needed", sentence)
        return names[0]

    def key(self, snapshot: Snapshot, caller: Caller) -> KeyTerms:
        """Raises Refused 401, in the same time for a wrong secret and for a key that does not exist, or 403."""
        scheme, _, text = caller.authorization.decode("latin-1").partition(" ")
        parts = keys.split(text) if scheme in ("Bearer", "bearer") else None
        if parts is not None:
            terms = snapshot.keys.get(parts.id)
            if keys.matches(terms.digest if terms else None, parts.secret, self.pepper):
                assert terms is not None
                if clock() < terms.until:
                    self.address(terms, caller)
                    return terms
        sentence = "Send a key that is valid here: Authorization: Bearer cs_live_… It may be wrong, expired or revoked."
        raise Refused(401, "key_invalid", sentence, headers=CHALLENGE)

    def address(self, terms: KeyTerms, caller: Caller) -> None:
        """Raises Refused 403 where the key may not be sent from there. The answer does not say from where it may."""
        if terms.networks and not within(sender_of(caller.peer, caller.forwarded, self.trusted), terms.networks):
            sentence = "This key may not be sent from this network address. Ask whoever issued it from where it may."
            raise Refused(403, "address_not_allowed", sentence)

    async def spend(self, terms: KeyTerms) -> None:
        """Count one request. Raises Refused 429."""
        if self.limits.take(terms):
            return
        over = await self.limits.turn(terms)
        if over is None:
            return
        after = max(1, math.ceil(over.seconds))
        headers = ((b"retry-after", str(after).encode()),)
        if over.daily:
            sentence = f"This key may ask {terms.quota_per_day:,} times a day. Go on after midnight (UTC)."
            raise Refused(429, "quota_exhausted", sentence, headers=headers)
        sentence = f"This key may ask {terms.rate_per_minute:,} times a minute. Wait {after} s, then go on."
        raise Refused(429, "rate_limited", sentence, headers=headers)

    def approved(self, served: Served) -> None:
        """Raises Refused 409 `not_approved` with the reasons of the gate, or 503 `lease_expired` where its policy lets
        nobody serve any longer without asking.
        """
        approved = served.approved
        if approved is None or clock() >= approved.until:
            if approved is not None and approved.lease_seconds is not None and clock() < approved.ends:
                raise lease_expired(served.name, approved.lease_seconds)
            reasons = served.reasons or (
                {"code": "approval_ended", "sentence": "The approval has come to its end. Ask for a new one."},
            )
            sentence = f"The gate does not allow the endpoint {served.name} to serve: {reasons[0]['sentence']}"
            raise Refused(409, "not_approved", sentence, reasons=reasons, extra={"state": served.state})


def lease_expired(name: str, seconds: int) -> Refused:
    sentence = (
        f"The gate could not be asked whether the endpoint {name} may still serve for longer than its policy allows "
        f"({seconds} s), so it is refused. Operators: see whether the gateway reaches the database."
    )
    return unavailable("lease_expired", sentence, 5)


def endpoint_changed() -> Refused:
    return unavailable("endpoint_changed", "The endpoint changed while the model ran. Ask again.")
