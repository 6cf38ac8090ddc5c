"""Tokens of keys, leased from Valkey in batches beside the requests. One script counts for all processes at once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Sequence

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from inference.gateway.limits import Grant, Limits

log = logging.getLogger("inference.gateway")
PREFIX = "countersign:gateway"
BEAT_SECONDS = 1.0
PATIENCE_SECONDS = 1.0
# A process that has not asked for this long is not counted any more.
GONE_MILLISECONDS = 5_000

# KEYS: the processes, then one for each key. ARGV: the time in milliseconds or nothing for the server's own, the name
# of this process, then for each key: rate, quota (0: none), wanted, recent, owed, back.
# Kept of a key: the day, what was taken in it, then first, last and count of each half second of the last minute.
# Answers: the number of processes, then for each key: tokens, milliseconds to wait, whether because of the quota.
SCRIPT = f"""
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local day = math.floor(now / 86400000)
local midnight = (day + 1) * 86400000 - now
redis.call('ZADD', KEYS[1], now, ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - {GONE_MILLISECONDS})
local answer = {{redis.call('ZCARD', KEYS[1])}}
for i = 2, #KEYS do
  local at = 6 * i - 9
  local rate, quota, wanted = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local recent, owed, back = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  local found = redis.call('GET', KEYS[i])
  local kept = found and cmsgpack.unpack(found) or {{day, 0}}
  local spent = kept[1] == day and math.max(0, kept[2] - back) or 0
  local now_kept, taken = {{day, 0}}, 0
  for e = 3, #kept, 3 do
    local last = math.min(kept[e + 1], now)
    if last + 60000 > now then
      local n = #now_kept
      now_kept[n + 1], now_kept[n + 2], now_kept[n + 3] = math.min(kept[e], now), last, kept[e + 2]
      taken = taken + kept[e + 2]
    end
  end
  local free, daily = rate - taken - recent, 0
  if quota > 0 and quota - spent - owed < free then
    free, daily = quota - spent - owed, 1
  end
  local tokens = math.max(0, math.min(wanted, free))
  local more, n = tokens + recent, #now_kept
  if more > 0 then
    if n > 2 and now - now_kept[n - 2] < 500 then
      now_kept[n - 1], now_kept[n] = now, now_kept[n] + more
    else
      now_kept[n + 1], now_kept[n + 2], now_kept[n + 3] = now, now, more
    end
  end
  local wait = 0
  if tokens < wanted then
    wait = daily == 1 and midnight or now_kept[4] + 60000 - now
  else
    daily = 0
  end
  if more + owed + back > 0 then
    now_kept[2] = spent + tokens + owed
    local until_gone = quota > 0 and math.max(midnight + 1000, 61000) or 61000
    redis.call('SET', KEYS[i], cmsgpack.pack(now_kept), 'PX', until_gone)
  end
  answer[#answer + 1] = tokens
  answer[#answer + 1] = wait
  answer[#answer + 1] = daily
end
return answer
"""


class Leasing:
    """`keep` runs beside the requests for as long as the gateway does."""

    def __init__(self, limits: Limits, url: str, beat: float = BEAT_SECONDS) -> None:
        self.limits, self.beat = limits, beat
        # Not asked twice: what was granted the first time would be lost, and those who wait would wait longer.
        self.client = Redis.from_url(
            url, socket_timeout=PATIENCE_SECONDS, socket_connect_timeout=PATIENCE_SECONDS, retry=Retry(NoBackoff(), 0)
        )
        self.script = self.client.register_script(SCRIPT)
        self.name = os.urandom(8).hex()
        self.failing = False

    async def keep(self) -> None:
        while True:
            try:
                await self.exchange()
            except (RedisError, OSError) as error:
                if not self.failing:
                    log.error(
                        "each process counts keys alone, by 1/%d of their limits: Valkey gives no answer (%s)",
                        self.limits.processes, type(error).__name__,
                    )  # fmt: skip
                self.failing = True
                await asyncio.sleep(self.beat)
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.limits.woken.wait(), self.beat)

    async def exchange(self, at: int | None = None) -> None:
        """Ask once for all keys that want something; `at` is a time in milliseconds in place of the server's.

        Raises RedisError or OSError, and then each process counts alone.
        """
        self.limits.look()
        asks = self.limits.asks()
        keys = [f"{PREFIX}:processes", *(f"{PREFIX}:key:{ask.held.terms.pk}" for ask in asks)]
        given: list[str | int] = ["" if at is None else at, self.name]
        for ask in asks:
            terms = ask.held.terms
            given += [terms.rate_per_minute, terms.quota_per_day or 0, ask.wanted, ask.recent, ask.owed, ask.back]
        try:
            answer: Sequence[int] = await self.script(keys=keys, args=given)
        except BaseException:
            self.limits.lost(asks)
            raise
        grants = [Grant(answer[n], answer[n + 1] / 1000, bool(answer[n + 2])) for n in range(1, len(answer), 3)]
        self.limits.granted(asks, grants, answer[0])
        if self.failing:
            log.warning("keys are counted for all processes together again")
        self.failing = False

    async def close(self) -> None:
        await self.client.aclose()
