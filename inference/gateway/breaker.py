"""When a server elsewhere is left alone: a circuit breaker for each. Knows no clock; whoever asks says what time it is.

Closed, everybody may ask. After so many failures in a row it opens, and nobody may until a while has passed. Then one
may try (half-open): if that succeeds it closes, otherwise it stays open for as long again.
"""

from __future__ import annotations

FAILURES = 5
OPEN_SECONDS = 10.0


class Breaker:
    def __init__(self, failures: int = FAILURES, seconds: float = OPEN_SECONDS) -> None:
        self.most, self.seconds = failures, seconds
        self.failures = 0
        self.open_until: float | None = None
        self.trying = False

    def wait(self, now: float) -> float:
        """Seconds until somebody may ask; 0 where this one may, who then has to say how it went."""
        if self.open_until is None:
            return 0.0
        if now < self.open_until:
            return self.open_until - now
        if self.trying:
            return self.seconds
        self.trying = True
        return 0.0

    def succeeded(self) -> None:
        self.failures, self.open_until, self.trying = 0, None, False

    def failed(self, now: float) -> None:
        self.failures += 1
        if self.trying or self.failures >= self.most:
            self.open_until, self.trying = now + self.seconds, False

    def left(self) -> None:
        """Whoever asked went away before it was known how it went: the next one may try."""
        self.trying = False
