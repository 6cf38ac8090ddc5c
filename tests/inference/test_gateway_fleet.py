"""Two real gateways beside a real Valkey, by the clock on the wall."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from tests.inference.gateway import a_key, a_world, bearer, body, running, until


@pytest.mark.long  # the same on a clock of our own is in test_gateway_limits.py
def test_a_minute_at_two_gateways_has_the_keys_limit(cast, committing_db, process_environment, valkey):
    world = a_world(cast)
    _, secret = a_key(cast, world.endpoint, rate=600)
    told = {**process_environment, "REDIS_URL": valkey.replace("db=0", "db=4"), "GATEWAY_PROCESSES": "2"}
    with redis.Redis.from_url(told["REDIS_URL"]) as store:
        store.flushdb()

    def hammer(client, end):
        """How many of the requests until then were answered, three callers at a time."""
        admitted = 0
        while time.monotonic() < end:
            answer = client.post(f"{world.path}/infer", json=body(), headers=bearer(secret))
            assert answer.status_code in (200, 429), answer.text
            assert answer.status_code == 200 or 1 <= int(answer.headers["retry-after"]) <= 61
            admitted += answer.status_code == 200
            time.sleep(0.02)
        return admitted

    with running(told) as first, running(told) as second, ThreadPoolExecutor(6) as pool:
        for client in (first, second):
            until(lambda client=client: client.get("/v2/health/ready").json()["limits"] == "shared", 5)
            ready = {"headers": bearer(world.secret)}
            until(lambda client=client, ready=ready: client.get(f"{world.path}/ready", **ready).status_code == 200, 5)
        for _ in range(2):
            end = time.monotonic() + 60
            counts = [pool.submit(hammer, client, end) for client in (first, second) for _ in range(3)]
            admitted = sum(count.result() for count in counts)
            assert abs(admitted - 600) <= 12, admitted
