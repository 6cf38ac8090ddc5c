"""How often each key may ask: a rate a minute and a quota a day, kept by all processes of the gateway together.

A process holds a stock of tokens of each key that is in use, so that a request costs a look into a dictionary. What
is missing is asked for beside the requests (`leasing`). While Valkey cannot be asked each process counts for itself,
and allows its share of the limit. Everything here belongs to the event loop's thread.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from inference.gateway.board import KeyTerms, clock

MINUTE, DAY = 60.0, 86_400
# Requests of half a second are kept as one entry, which comes back whole: at most 121 of them make a minute.
TOGETHER = 0.5
# All processes together hold no more than this part of a limit in stock.
STOCK = 100
# A key that was not used for this long is forgotten at the next look.
LOOK_SECONDS = 60.0
ASKS_AT_ONCE = 256


class Window:
    """What was taken in the last minute. No minute has more than the limit, however it is cut out."""

    __slots__ = ("entries", "taken")

    def __init__(self) -> None:
        self.entries = deque[list[float]]()  # [first, last, count], times in seconds
        self.taken = 0

    def take(self, limit: int, now: float) -> float:
        """Seconds to wait before the next request; 0 where this one is admitted."""
        self.forget(now)
        if self.taken < limit:
            self.add(1, now)
            return 0.0
        left = self.taken
        for _, last, count in self.entries:
            left -= int(count)
            if left < limit:
                return min(MINUTE, last + MINUTE - now)
        raise AssertionError("a limit is at least 1")

    def forget(self, now: float) -> None:
        while self.entries and self.entries[0][1] + MINUTE <= now:
            self.taken -= int(self.entries.popleft()[2])

    def add(self, count: int, now: float) -> None:
        self.forget(now)
        self.taken += count
        if self.entries and now - self.entries[-1][0] < TOGETHER:
            self.entries[-1][1] = now
            self.entries[-1][2] += count
        else:
            self.entries.append([now, now, count])


class Over(NamedTuple):
    """A request that is too many: seconds to wait, and whether it is the day's quota that is used up."""

    seconds: float
    daily: bool


@dataclass(slots=True, eq=False)
class Held:
    """One key in this process. `left` tokens are held; `granted` and `spent` are what it got this minute and day."""

    terms: KeyTerms
    left: int = 0
    low: int = 0  # more are asked for when so many are left
    asking: bool = False
    closed_until: float = 0.0  # there are no more before this time of `clock`
    daily: bool = False  # … because of the quota
    idle: bool = False
    granted: Window = field(default_factory=Window)
    day: int = 0
    spent: int = 0
    owed: int = 0  # admitted while Valkey was away, and not told it yet
    waiting: deque[asyncio.Future[Over | None]] = field(default_factory=deque)


class Ask(NamedTuple):
    """What Valkey is asked about a key: tokens `wanted`, and what it was not told yet.

    `recent` and `owed` were admitted without it, in the last minute and this day; `back` was granted and is not used.
    """

    held: Held
    wanted: int
    recent: int
    owed: int
    back: int


class Grant(NamedTuple):
    """Its answer: tokens, and where they are fewer than wanted, seconds until there may be more, and why."""

    tokens: int
    wait: float
    daily: bool


class Limits:
    """`shared` says whether Valkey counts for all processes; `processes` is how many there are."""

    def __init__(
        self, processes: int = 1, now: Callable[[], float] = clock, wall: Callable[[], float] = time.time
    ) -> None:
        self.least_processes = self.processes = processes
        self.now, self.wall = now, wall
        self.held: dict[int, Held] = {}
        self.asking = deque[Held]()
        self.woken = asyncio.Event()
        self.shared = False
        self.looked = now()

    def take(self, terms: KeyTerms) -> bool:
        """Whether a token was in stock. Where none was, `turn` says how it stands."""
        held = self.held.get(terms.pk)
        if held is None or not held.left:
            return False
        held.left -= 1
        held.idle = False
        if held.left <= held.low and not held.asking and self.shared and held.closed_until <= self.now():
            self.ask(held)
        return True

    async def turn(self, terms: KeyTerms) -> Over | None:
        """None where the request is admitted. Waits for Valkey only where nobody knows whether there are more."""
        held = self.held.get(terms.pk)
        if held is None:
            held = self.held[terms.pk] = Held(terms)
        held.idle = False
        if not self.shared:
            return self.alone(held)
        left = held.closed_until - self.now()
        if left > 0:
            return Over(left, held.daily)
        future: asyncio.Future[Over | None] = asyncio.get_running_loop().create_future()
        held.waiting.append(future)
        self.ask(held)
        return await future

    def ask(self, held: Held) -> None:
        if not held.asking:
            held.asking = True
            self.asking.append(held)
            self.woken.set()

    def alone(self, held: Held) -> Over | None:
        """One request by this process's share of the limits."""
        self.today(held)
        quota = held.terms.quota_per_day
        if quota is not None and held.spent >= max(1, quota // self.processes):
            return Over(DAY - self.wall() % DAY, True)
        wait = held.granted.take(max(1, held.terms.rate_per_minute // self.processes), self.now())
        if wait:
            return Over(wait, False)
        held.spent += 1
        held.owed += 1
        return None

    def today(self, held: Held) -> None:
        day = int(self.wall() // DAY)
        if held.day != day:
            held.day, held.spent = day, 0

    def stock(self, terms: KeyTerms) -> int:
        """Tokens that a process holds ahead. None of a small limit: it would be too large a part of it."""
        limit = terms.rate_per_minute
        if terms.quota_per_day is not None:
            limit = min(limit, terms.quota_per_day)
        return limit // (STOCK * self.processes)

    # What `leasing` calls, between one request and the next.

    def asks(self) -> list[Ask]:
        """What to ask Valkey now; `granted` or `lost` must follow."""
        self.woken.clear()
        found: list[Ask] = []
        while self.asking and len(found) < ASKS_AT_ONCE:
            held = self.asking.popleft()
            self.today(held)
            held.granted.forget(self.now())
            # What is longer ago counts neither for the minute nor for the day.
            recent, owed, held.owed = min(held.owed, held.granted.taken), min(held.owed, held.spent), 0
            if held.idle and not held.waiting:
                back, held.left = held.left, 0
                found.append(Ask(held, 0, recent, owed, min(back, held.spent)))
                continue
            wanted = max(0, self.stock(held.terms) - held.left) + len(held.waiting)
            found.append(Ask(held, wanted, recent, owed, 0))
        if self.asking:
            self.woken.set()
        return found

    def granted(self, asks: Sequence[Ask], grants: Sequence[Grant], processes: int) -> bool:
        """Take what Valkey gave. Returns whether it counts again after it could not be asked."""
        now, again = self.now(), not self.shared
        self.shared, self.processes = True, max(self.least_processes, processes)
        for (held, wanted, _, _, back), grant in zip(asks, grants, strict=True):
            held.asking = False
            held.left += grant.tokens
            held.low = self.stock(held.terms) // 2
            held.spent += grant.tokens - back
            if grant.tokens:
                held.granted.add(grant.tokens, now)
            held.closed_until, held.daily = (now + grant.wait, grant.daily) if grant.tokens < wanted else (0.0, False)
            self.serve(held, now)
        if again:
            for held in self.held.values():
                if held.owed:
                    self.ask(held)
        return again

    def serve(self, held: Held, now: float) -> None:
        """Answer those who wait for this key, as far as it can be said."""
        while held.waiting:
            if held.left:
                held.left -= told(held.waiting.popleft(), None)
            elif held.closed_until > now:
                told(held.waiting.popleft(), Over(held.closed_until - now, held.daily))
            else:
                self.ask(held)
                return

    def lost(self, asks: Sequence[Ask] = ()) -> bool:
        """Valkey did not answer: count alone from now on. Returns whether it was asked with success until now."""
        before, self.shared = self.shared, False
        for held, _, recent, owed, back in asks:
            held.owed += max(recent, owed)
            held.left += back
        for held in (*(ask.held for ask in asks), *self.asking):
            held.asking = False
            while held.waiting:
                told(held.waiting.popleft(), self.alone(held))
        self.asking.clear()
        return before

    def look(self) -> None:
        """Forget keys that nobody has used since the last look; what was held of their quota goes back."""
        if self.now() - self.looked < LOOK_SECONDS:
            return
        self.looked = self.now()
        for pk, held in list(self.held.items()):
            if not held.idle or held.asking or held.waiting:
                held.idle = True
                continue
            self.today(held)
            counted = held.terms.quota_per_day is not None and held.spent > 0
            if self.shared and counted and (held.left or held.owed):
                self.ask(held)
            elif self.shared or not counted:
                del self.held[pk]


def told(waiting: asyncio.Future[Over | None], over: Over | None) -> bool:
    """Answer one who waits. Whether they still did."""
    if waiting.done():
        return False
    waiting.set_result(over)
    return True
