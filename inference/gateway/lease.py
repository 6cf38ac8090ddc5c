"""The serving lease: what the gateway may serve, asked of gate and database again every half second.

A revocation refuses within a second while the database can be reached. When it cannot, the last answer stands until
the lease ends; then everything is refused, and earlier what rests on a policy that sets less. One thread asks, another
loads models, and requests only read the board.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.db import connection

from inference.addresses import network_of
from inference.gateway.board import Approved, Board, Challenger, KeyTerms, Served, Snapshot, Unusable, clock
from inference.gateway.runner import DigestDiffers, RunFailed, Runner
from inference.gateway.tensors import tensor
from ledger.refusals import Refusal
from registry.onnx.decision import DecisionRule
from registry.pinned.rules import UPSTREAM

log = logging.getLogger("inference.gateway")
RENEW_SECONDS = 0.5
STATEMENT_MILLISECONDS = 5_000
TOUCH_SECONDS = 60.0
LOAD_AGAIN_SECONDS = 10.0
# What decides within a model's graph how much of it runs.
LOOPING = frozenset({"Loop", "Scan", "If"})
# Waits that end before anybody takes the database for silent, and a network that swallows everything for alive.
PATIENCE = {"connect_timeout": 3, "tcp_user_timeout": 5_000}
# The lease's thread lets waiting requests in this often; Python's own 5 ms would show in their slowest hundredth.
SWITCH_SECONDS = 0.0005
DAMAGED = "The stored bytes are not those that were approved. An administrator must restore them."
MISSING = "The approved bytes are not in the store. An administrator must restore them."
UNBOUND = {"code": "unbound", "sentence": "The endpoint is bound to no version. Bind one on the endpoint's page."}


class Lease:
    def __init__(self, board: Board) -> None:
        self.board = board
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.keep, name="lease", daemon=True)
        self.loader = ThreadPoolExecutor(1, thread_name_prefix="loader")
        self.loading: set[str] = set()
        self.touched = clock()
        self.failing = False

    def start(self) -> str:
        """Begin to renew; returns the pepper that keys are checked with."""
        if not apps.ready:
            django.setup()
        sys.setswitchinterval(SWITCH_SECONDS)
        self.thread.start()
        pepper: str = settings.KEY_PEPPER
        return pepper

    def stop(self) -> None:
        self.stopping.set()
        self.thread.join(timeout=2)
        self.loader.shutdown(wait=False, cancel_futures=True)

    def keep(self) -> None:
        options = connection.settings_dict["OPTIONS"]
        connection.settings_dict["OPTIONS"] = {**PATIENCE, **options}
        while not self.stopping.is_set():
            started = clock()
            try:
                self.renew()
                if self.failing:
                    log.warning("the lease is renewed again")
                self.failing = False
            except Exception as error:
                # Said once and not twice a second; the lease's end speaks for itself at /v2/health/ready.
                if not self.failing:
                    log.error("the lease cannot be renewed: %s", type(error).__name__, exc_info=error)
                self.failing = True
                with contextlib.suppress(Exception):
                    connection.close()
            self.stopping.wait(max(0.0, RENEW_SECONDS - (clock() - started)))
        connection.close()

    def renew(self) -> None:
        """Ask once, put the answer on the board, and see to the models it needs."""
        asked = clock()
        snapshot = current(asked)
        self.board.snapshot = snapshot
        wanted = {
            one.approved.artifact: one.approved.may_loop
            for one in snapshot.everything()
            if one.approved and one.upstream is None
        }
        for artifact in self.board.runners.keys() - wanted.keys():
            self.board.runners.pop(artifact, None)
        for artifact, may_loop in wanted.items():
            there = self.board.runners.get(artifact)
            stale = isinstance(there, Unusable) and asked >= there.again
            if (there is None or stale) and artifact not in self.loading:
                self.loading.add(artifact)
                self.loader.submit(self.load, artifact, may_loop)
        if asked - self.touched >= TOUCH_SECONDS:
            self.touch(asked)

    def touch(self, asked: float) -> None:
        from inference.services import touch_keys

        used, self.board.used, self.touched = self.board.used, set(), asked
        touch_keys(used)

    def load(self, artifact: str, may_loop: bool) -> None:
        """Read the approved bytes and make them ready to run; the digest is taken of what was read."""
        from registry import storage
        from registry.models import Artifact

        try:
            data = storage.read(Artifact(digest=artifact))
            self.board.runners[artifact] = Runner(data, artifact, may_loop)
        except Refusal as refusal:
            log.error("the artifact %s cannot be served: %s", artifact, refusal.code)
            self.unusable(artifact, refusal.code, DAMAGED if refusal.code == "artifact_damaged" else MISSING)
        except DigestDiffers:
            self.unusable(artifact, "artifact_damaged", DAMAGED)
        except RunFailed:
            self.unusable(artifact, "model_unusable", "The approved model cannot be loaded by this gateway's runtime.")
        except Exception:
            log.exception("the artifact %s cannot be loaded", artifact)
            self.unusable(artifact, "artifact_unreadable", "The approved bytes cannot be read. Try again in a moment.")
        finally:
            self.loading.discard(artifact)

    def unusable(self, artifact: str, code: str, sentence: str) -> None:
        self.board.runners[artifact] = Unusable(code, sentence, clock() + LOAD_AGAIN_SECONDS)


def current(asked: float) -> Snapshot:
    """All endpoints, what the gate says of them, and all usable keys, as of one moment of the database."""
    from approvals import gate
    from inference.models import Endpoint, InferenceKey, Rollout
    from ledger.events import database_time

    with gate.snapshot():
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(STATEMENT_MILLISECONDS)])
        at = database_time()
        endpoints = list(Endpoint.objects.select_related("version__artifact", "version__pins", "upstream"))
        keys = list(InferenceKey.objects.usable().prefetch_related("scopes"))
        rollouts = {one.endpoint_id: one for one in Rollout.objects.standing().select_related("version__artifact")}
        bound = [(one.version_id, one.environment, one.use) for one in endpoints if one.version_id is not None]
        places = {one.pk: (one.environment, one.use) for one in endpoints}
        bound += [(one.version_id, *places[pk]) for pk, one in rollouts.items() if pk in places]
        answers = gate.evaluate_many(bound)

    def by_clock(moment: datetime | None) -> float:
        return float("inf") if moment is None else asked + (moment - at).total_seconds()

    def answer(one: Any, version: Any) -> Any:
        return answers.get((version.pk, one.environment, one.use)) if version is not None else None

    served = {}
    for one in endpoints:
        found = described(one, one.version, answer(one, one.version), asked, by_clock)
        rollout = rollouts.get(one.pk)
        if rollout is not None:
            beside = described(one, rollout.version, answer(one, rollout.version), asked, by_clock, rollout.kind)
            found = replace(found, challenger=Challenger(rollout.pk, rollout.share / 100, beside))
        served[one.name] = found
    terms = {
        key.key_id: KeyTerms(
            key.pk,
            bytes(key.digest),
            {scope.endpoint_id: frozenset(scope.actions) for scope in key.scopes.all()},
            key.rate_per_minute,
            by_clock(key.expires_at),
            key.quota_per_day,
            tuple(network_of(each) for each in key.networks),
        )
        for key in keys
    }
    return Snapshot(served, terms, asked, asked + settings.SERVING_LEASE_SECONDS)


def described(endpoint: Any, version: Any, answer: Any, asked: float, by_clock: Any, role: str = "") -> Served:
    """An endpoint with one of its versions for the board; approved only where the gate says yes, and then for the bytes
    and rule it signed, and no longer than its policy lets it be served without asking.
    """
    from inference.upstreams.targets import target_of

    signature = version.signature if version else {"inputs": [], "outputs": [], "operators": []}
    outputs = tuple(tensor(each) for each in signature["outputs"])
    reasons: tuple[dict[str, str], ...] = (UNBOUND,)
    approved = None
    if answer is not None:
        reasons = tuple({"code": each.code, "sentence": each.sentence} for each in answer.reasons)
        rule = rule_of(answer.manifest["decision_rule"]) if answer.allowed else None
        if rule is not None:
            ends, most = by_clock(answer.valid_until), answer.max_lease_seconds
            approved = Approved(
                artifact=answer.manifest["artifact"]["digest"],
                rule=rule,
                revision=answer.revision_digest,
                until=ends if most is None else min(ends, asked + most),
                may_loop=may_loop(signature["operators"]),
                ends=ends,
                lease_seconds=most,
            )
    return Served(
        pk=endpoint.pk,
        name=endpoint.name,
        version=str(version.number) if version else "",
        environment=endpoint.environment,
        use=endpoint.use,
        inputs=tuple(tensor(each) for each in signature["inputs"]),
        outputs=outputs,
        decision=free_name("decision", {each.name for each in outputs}),
        max_rows=endpoint.rows_at_once,
        max_body_bytes=endpoint.max_body_bytes,
        approved=approved,
        state=answer.state if answer is not None else "unbound",
        reasons=reasons,
        features=tuple(version.features) if version else (),
        log=endpoint.log_terms,
        role=role,
        upstream=target_of(endpoint),
    )


def rule_of(given: Mapping[str, Any]) -> DecisionRule | None:
    """The signed rule; None where a version without bytes leaves it to words."""
    declared = given.get("rule") if given["kind"] == UPSTREAM else given
    return None if declared is None else DecisionRule.from_mapping(declared)


def may_loop(operators: Iterable[str]) -> bool:
    """Whether how long the model runs may depend on its input; names as the sandbox writes them (`ai.onnx.Loop`)."""
    return not LOOPING.isdisjoint(name.rpartition(".")[2] for name in operators)


def free_name(wanted: str, taken: Iterable[str]) -> str:
    """The name, or with underscores before it where the model itself has an output of that name."""
    while wanted in taken:
        wanted = f"_{wanted}"
    return wanted
