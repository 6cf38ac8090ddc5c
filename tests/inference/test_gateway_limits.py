"""Rates and quotas of keys: by one process alone, and by several that share a real Valkey, on a clock of our own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections import Counter

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import RedisError

from inference import keys
from inference.gateway.admission import Admission, Caller
from inference.gateway.board import Board, KeyTerms, Snapshot
from inference.gateway.leasing import Leasing
from inference.gateway.limits import DAY, LOOK_SECONDS, MINUTE, Limits, Window
from inference.gateway.refused import Refused

NUMBERS = itertools.count(1_000_000)
# Ten seconds after a midnight, and ten seconds before the next one.
MORNING, NIGHT = 20_000 * DAY + 10.0, 20_001 * DAY - 10.0


def terms(rate, quota=None):
    return KeyTerms(next(NUMBERS), b"", {}, rate, float("inf"), quota)


class Fleet:
    """Gateway processes that share a Valkey, one clock for all."""

    def __init__(self, url, count, now=MORNING):
        self.time = now
        self.limits = [Limits(count, self.now, self.now) for _ in range(count)]
        self.leasings = [Leasing(each, url) for each in self.limits]

    def now(self):
        return self.time

    async def settle(self, *which):
        """Let the processes ask Valkey until nobody wants anything."""
        for number in which or range(len(self.leasings)):
            leasing = self.leasings[number]
            await leasing.exchange(round(self.time * 1000))
            while leasing.limits.asking:
                await leasing.exchange(round(self.time * 1000))

    async def ask(self, number, key, times=1):
        """How many of several requests at one moment to one process are admitted; the last refusal beside it."""
        limits = self.limits[number]
        turns = [asyncio.ensure_future(limits.turn(key)) for _ in range(times) if not limits.take(key)]
        await asyncio.sleep(0)
        while not all(turn.done() for turn in turns):
            await self.settle(number)
            await asyncio.sleep(0)
        over = [turn.result() for turn in turns if turn.result() is not None]
        return times - len(over), over[-1] if over else None


@pytest.fixture
def store(valkey):
    """A database of its own, empty."""
    url = valkey.replace("db=0", "db=3")
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


def shared(url, count, test, **given):
    async def run():
        fleet = Fleet(url, count, **given)
        try:
            await fleet.settle()
            await test(fleet)
        finally:
            for leasing in fleet.leasings:
                await leasing.close()

    asyncio.run(run())


@given(st.integers(1, 1000), st.lists(st.floats(0, 30), max_size=60))
def test_no_minute_has_more_than_the_limit(rate, pauses):
    """Whatever the rhythm; and whoever waits as told gets in."""
    window, now, admitted = Window(), 0.0, []
    for pause in [*pauses, *[0.0] * 20]:
        now += pause
        wait = window.take(rate, now)
        if not wait:
            admitted.append(now)
        assert 0 <= wait <= MINUTE
    for start in admitted:
        assert len([at for at in admitted if start <= at < start + MINUTE]) <= rate
    assert len(window.entries) <= 121
    wait = window.take(rate, now)
    assert not wait or not window.take(rate, now + wait + 1e-6)


@pytest.mark.parametrize("rate", [1, 60, 600, 3_000])
def test_two_processes_admit_the_limit_of_a_minute_between_them(store, rate):
    """Asked for three times as much for two minutes, unevenly: each minute has the limit, to within 2 %."""
    key, dice = terms(rate), random.Random(7)  # noqa: S311
    step = max(1, rate // 60)

    async def hammer(fleet):
        for _ in range(2):
            admitted = Counter()
            for _ in range(60):
                for number in (0, 1):
                    count, over = await fleet.ask(number, key, dice.randint(1, 3 * step + 2))
                    admitted[number] += count
                    assert over is None or (0 < over.seconds <= 60.5 and not over.daily)
                fleet.time += 1
            total = sum(admitted.values())
            assert abs(total - rate) <= max(0.02 * rate, 0 if rate < 50 else 1), admitted
            if rate > 1:
                assert min(admitted.values()) > 0

    shared(store, 2, hammer)


def test_one_busy_process_gets_what_the_other_does_not_use(store):
    key = terms(600)

    async def alone(fleet):
        assert (await fleet.ask(1, key))[0] == 1
        count, over = await fleet.ask(0, key, 1000)
        assert 594 <= count <= 599
        assert 59 < over.seconds <= 60
        # Who has waited as told gets in, and no earlier.
        fleet.time += over.seconds - 0.01
        assert (await fleet.ask(0, key))[0] == 0
        fleet.time += 0.01
        assert (await fleet.ask(0, key))[0] == 1

    shared(store, 2, alone)


def test_what_is_in_stock_costs_no_question(store):
    key = terms(60_000)

    async def ask(fleet):
        await fleet.ask(0, key)
        limits = fleet.limits[0]
        held = limits.held[key.pk]
        assert held.left == 300  # of two processes, one in a hundred between them
        for _ in range(149):
            assert limits.take(key)
        assert not limits.asking
        assert limits.take(key)
        # At half of it more is asked for, and meanwhile the rest goes on.
        assert [each.terms for each in limits.asking] == [key]
        assert limits.take(key)
        await fleet.settle(0)
        assert held.left == 300

    shared(store, 2, ask)


def test_the_quota_of_a_day_is_shared_and_ends_at_midnight(store):
    small, large = terms(1000, quota=10), terms(100_000, quota=2_000)

    async def count(fleet):
        for key, quota in ((small, 10), (large, 2_000)):
            first, _ = await fleet.ask(0, key, quota // 2)
            second, over = await fleet.ask(1, key, quota)
            assert 0.99 * quota <= first + second <= quota
            assert (over.daily, round(over.seconds)) == (True, 10)
        fleet.time += 11
        assert (await fleet.ask(1, small))[0] == 1
        assert (await fleet.ask(0, small, 20))[0] == 9

    shared(store, 2, count, now=NIGHT)


def test_unused_tokens_of_a_quota_go_back_and_idle_keys_are_forgotten(store):
    rare, plain = terms(100_000, quota=1_000), terms(100_000)

    async def idle(fleet):
        await fleet.ask(0, rare)
        await fleet.ask(0, plain)
        limits = fleet.limits[0]
        assert limits.held[rare.pk].left == 5
        for _ in range(4):
            fleet.time += LOOK_SECONDS
            await fleet.settle(0)
        assert limits.held == {}
        count, over = await fleet.ask(1, rare, 1_200)
        assert (count, over.daily) == (999, True)

    shared(store, 2, idle)


def test_without_valkey_each_process_takes_its_share_and_tells_afterwards(store, caplog):
    key, fresh, daily = terms(600), terms(600), terms(600, quota=100)

    async def lose(fleet):
        first, second = fleet.limits
        assert first.shared
        assert (await fleet.ask(0, key, 200))[0] == 200
        for leasing in fleet.leasings:
            leasing.away = leasing.client
            leasing.script.registered_client = leasing.client = Leasing(leasing.limits, "redis://127.0.0.1:1/0").client
            with contextlib.suppress(RedisError):
                await leasing.exchange()
        assert not first.shared
        # What a process got in the minute before counts; 3 tokens more were in stock.
        assert (await fleet.ask(0, key, 1000))[0] == 300 - 200
        assert (await fleet.ask(1, key, 1000))[0] == 300
        count, over = await fleet.ask(0, fresh, 1000)
        assert (count, over.daily, round(over.seconds)) == (300, False, 60)
        count, over = await fleet.ask(0, daily, 1000)
        assert (count, over.daily) == (50, True)
        for leasing in fleet.leasings:
            await leasing.client.aclose()
            leasing.script.registered_client = leasing.client = leasing.away
        await fleet.settle()
        assert first.shared
        assert second.shared
        # All that was admitted meanwhile is known to all now.
        assert 294 <= (await fleet.ask(1, fresh, 1000))[0] <= 300
        count, over = await fleet.ask(1, daily, 1000)
        assert (count, over.daily) == (50, True)
        assert (await fleet.ask(0, key, 10))[0] <= 3

    shared(store, 2, lose)


def test_after_a_long_time_without_valkey_a_key_pays_for_its_last_minute_and_its_day(store):
    """What was admitted earlier than that has come back already."""
    key, daily = terms(600), terms(600, quota=4_000)

    async def lose(fleet):
        (limits,) = fleet.limits
        limits.lost()
        for _ in range(5):
            fleet.time += MINUTE
            assert (await fleet.ask(0, key, 700))[0] == 600
            assert (await fleet.ask(0, daily, 700))[0] == 600
        fleet.time += MINUTE - 1
        assert (await fleet.ask(0, key, 100))[0] == 0
        fleet.time += 1
        assert (await fleet.ask(0, key, 100))[0] == 100
        await fleet.settle()
        assert limits.shared
        assert (await fleet.ask(0, key, 700))[0] == 500
        assert (await fleet.ask(0, daily, 700))[0] == 600
        fleet.time += MINUTE
        # A quota does not come back with the minute: 3,600 of 4,000 are gone.
        count, over = await fleet.ask(0, daily, 700)
        assert (count, over.daily) == (400, True)

    shared(store, 1, lose)


def test_it_says_once_that_valkey_is_away_and_once_that_it_is_back(store, caplog):
    async def lose():
        limits = Limits()
        leasing = Leasing(limits, "redis://127.0.0.1:1/0", beat=0.1)
        client = leasing.client
        keeping = asyncio.create_task(leasing.keep())
        key = terms(5)
        assert await limits.turn(key) is None
        while not leasing.failing:
            await asyncio.sleep(0.01)
        leasing.script.registered_client = leasing.client = Leasing(limits, store).client
        while not limits.shared:
            await asyncio.sleep(0.01)
        # Waits for no beat: who asks wakes it.
        assert [await asyncio.wait_for(limits.turn(key), 5) is None for _ in range(5)] == [True] * 4 + [False]
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await client.aclose()
        await leasing.close()

    asyncio.run(lose())
    told = [record.getMessage() for record in caplog.records if record.name == "inference.gateway"]
    assert [each.partition(":")[0] for each in told] == [
        "each process counts keys alone, by 1/1 of their limits",
        "keys are counted for all processes together again",
    ]


def test_wrong_keys_leave_nothing_behind_and_ask_nobody(caplog):
    """Whoever guesses costs a digest and an answer: no room, no question, no line in a log, nobody's limits."""
    parts, limits = keys.new(), Limits(1)
    right = KeyTerms(7, keys.digest(parts.secret, ""), {5: frozenset({"infer"})}, 2, float("inf"))
    board = Board(Snapshot({}, {parts.id: right}, 0.0, float("inf")))
    admission = Admission(board, "", limits)
    for _ in range(500):
        for wrong in (keys.new(), keys.Parts(parts.id, keys.new().secret)):
            with pytest.raises(Refused) as found:
                admission.admit(Caller(f"Bearer {keys.text_of(wrong)}".encode(), "192.0.2.7"), "loans", None, "infer")
            assert found.value.code == "key_invalid"
    assert (limits.held, list(limits.asking), board.used, caplog.records) == ({}, [], set(), [])
    assert asyncio.run(admission.spend(right)) is None


def test_refusals_say_when_to_come_back():
    async def spend(admission, key):
        for _ in range(min(key.rate_per_minute, key.quota_per_day or 100)):
            await admission.spend(key)
        with pytest.raises(Refused) as found:
            await admission.spend(key)
        told = dict(found.value.headers)
        return found.value.status, found.value.code, int(told[b"retry-after"]), found.value.sentence

    admission = Admission(Board(), "", Limits(1, lambda: 5.0, lambda: NIGHT + 0.5))
    assert asyncio.run(spend(admission, terms(7)))[:3] == (429, "rate_limited", 60)
    told = asyncio.run(spend(admission, terms(100, quota=3)))
    assert told[:3] == (429, "quota_exhausted", 10)
    assert told[3] == "This key may ask 3 times a day. Go on after midnight (UTC)."
    assert Caller().authorization == b""
