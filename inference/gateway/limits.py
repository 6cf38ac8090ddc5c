"""How many requests a minute each key may send, kept in this process."""

from __future__ import annotations


class Buckets:
    """A token bucket a key: a minute's worth may come at once, then they come back one by one.

    Each process counts for itself. Only `take` decides, so that tokens can later be leased in batches.
    """

    def __init__(self) -> None:
        self.left: dict[int, tuple[float, float]] = {}

    def take(self, key: int, rate_per_minute: int, now: float) -> float:
        """Seconds to wait before the next request; 0 where this one is admitted."""
        tokens, at = self.left.get(key, (float(rate_per_minute), now))
        tokens = min(float(rate_per_minute), tokens + (now - at) * rate_per_minute / 60)
        if tokens < 1:
            self.left[key] = (tokens, now)
            return (1 - tokens) * 60 / rate_per_minute
        self.left[key] = (tokens - 1, now)
        return 0.0
