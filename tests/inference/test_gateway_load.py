"""Real gateways under load: what is revoked is refused everywhere within a second, and memory stays flat."""

from __future__ import annotations

import contextlib
import itertools
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import httpx
import psutil
import pytest

from tests import worlds
from tests.approvals import policies
from tests.approvals.world import a_request, sign
from tests.inference.gateway import a_key, an_endpoint, bearer, bind, body, running, until

ROUNDS = 50
MINUTES = 10
WARM, FLAT = 3, 1.05


def ask(client: httpx.Client, name: str, secret: str, rows: int = 1) -> httpx.Response:
    table = [[0.4, -0.1]] * rows
    return client.post(f"/v2/models/{name}/infer", json=body(table), headers=bearer(secret))


def approved(cast: Any, version: Any, use: str) -> Any:
    request = a_request(cast, version, use=use)
    sign(cast.approver, request, "approval")
    return request


@contextlib.contextmanager
def under_load(clients: list[httpx.Client], name: str, secret: str, threads: int = 4) -> Iterator[list[int]]:
    """Yields the statuses that callers got, while they go on asking."""
    stop, statuses = Event(), list[int]()

    def call(number: int) -> None:
        with httpx.Client(base_url=clients[number % len(clients)].base_url, timeout=10) as client:
            while not stop.is_set():
                kind = random.randrange(10)  # noqa: S311
                wrong = "cs_live_wrong" if kind == 0 else secret
                statuses.append(ask(client, name, wrong, rows=100 if kind == 1 else 1).status_code)

    with ThreadPoolExecutor(threads) as pool:
        calls = [pool.submit(call, number) for number in range(threads)]
        try:
            yield statuses
        finally:
            stop.set()
            for each in calls:
                each.result()


@pytest.mark.long
def test_a_hundred_revocations_are_heard_everywhere_within_a_second(cast, committing_db, process_environment, capsys):
    from approvals.services import revoke
    from inference.services import revoke_key

    policies.a_policy(cast, policies.a_document(evidence=[]), everywhere=True)
    version = worlds.a_version(cast)
    for use in ("loans", "always"):
        approved(cast, version, use)
        bind(cast, an_endpoint(cast, version.model, name=use, use=use), version)
    loans, always = version.model.endpoints.order_by("-name")
    _, good = a_key(cast, always, rate=1_000_000)
    _, opens = a_key(cast, loans, rate=1_000_000)
    waits: dict[str, list[float]] = {"key": [], "approval": []}
    with running(process_environment) as first, running(process_environment) as second:
        both = [first, second]

        def everywhere(secret: str, status: int, seconds: float = 10.0) -> float:
            return until(lambda: all(ask(each, "loans", secret).status_code == status for each in both), seconds)

        until(lambda: all(ask(each, "always", good).status_code == 200 for each in both), 10)
        with under_load(both, "always", good) as statuses:
            for number in range(ROUNDS):
                key, secret = a_key(cast, loans, rate=1_000_000)
                everywhere(secret, 200)
                revoke_key(by=cast.model_owner, key=key, reason="Seen in a chat.")
                waits["key"].append(everywhere(secret, 401))
                revoke(by=cast.approver, request=version.requests.filter(use="loans").latest("pk"), reason="Drift.")
                waits["approval"].append(everywhere(opens, 409))
                approved(cast, version, "loans")
                everywhere(opens, 200)
                assert number < ROUNDS
        assert set(statuses) == {200, 401}, "nobody else was disturbed"
    with capsys.disabled():
        for what, took in waits.items():
            took.sort()
            print(
                f"\n{len(took)} times a {what}: median {took[len(took) // 2]:.2f} s, longest {took[-1]:.2f} s", end=""
            )
        print(f"; {len(statuses):,} requests beside")
    assert max(itertools.chain(*waits.values())) <= 1.0


@pytest.mark.long
def test_ten_minutes_of_load_leave_memory_flat(cast, committing_db, process_environment, capsys):
    policies.a_policy(cast, policies.a_document(evidence=[]), everywhere=True)
    version = worlds.a_version(cast)
    approved(cast, version, "loans")
    endpoint = an_endpoint(cast, version.model, name="loans", use="loans")
    bind(cast, endpoint, version)
    _, secret = a_key(cast, endpoint, rate=1_000_000)
    with running(process_environment) as client:
        (gateway,) = (
            each for each in psutil.Process().children(recursive=True) if "inference.gateway.serve" in each.cmdline()
        )
        until(lambda: ask(client, "loans", secret).status_code == 200, 10)
        most: list[int] = []
        with under_load([client], "loans", secret) as statuses:
            for _ in range(MINUTES):
                seen, end = 0, time.monotonic() + 60
                while time.monotonic() < end:
                    seen = max(seen, gateway.memory_info().rss)
                    time.sleep(1)
                most.append(seen)
    with capsys.disabled():
        told = ", ".join(f"{each / 1024**2:.0f}" for each in most)
        print(f"\nthe most of each minute: {told} MiB; {len(statuses):,} requests")
    assert set(statuses) == {200, 401}
    assert max(most[-WARM:]) <= FLAT * max(most[:WARM]), told
