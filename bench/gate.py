"""How quick the gate answers in a house with a hundred thousand versions. `python -m bench.gate [--quick]`.

Each question goes through Django's test client as a bearer token's: URL, token, permission, snapshot, rules and answer,
without the network. `ratio` is the median of the same question in a house of twenty versions over the one here.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench import emit
from bench.gateway import database
from bench.versions import ASKED, MODEL, STRIDE, an_approved_house, multiply

BENCH = "gate"
REAL = 20
GOAL_MS = 20


class Asker:
    """A pipeline with a token, which asks about versions or bytes."""

    def __init__(self) -> None:
        from django.test import Client

        from accounts.services import create_own_token
        from tests.cast import Cast

        asker = Cast().auditor
        _, secret = create_own_token(by=asker, account=asker, name="bench", scopes=["approvals.check_gate"], days=1)
        self.client = Client(headers={"Host": "localhost", "Authorization": f"Bearer {secret}"})
        self.client.get("/healthz")  # loads what `portal.wsgi` has loaded before it does the same
        gc.freeze()

    def ask(self, allowed: bool, **subject: Any) -> float:
        """Milliseconds of one answer. It has to be the one expected, else the figures would mean nothing."""
        from tests.approvals.world import USE

        start = time.perf_counter()
        answer = self.client.get("/api/v1/gate", {"environment": "production", "use": USE, **subject})
        taken = (time.perf_counter() - start) * 1000
        if answer.status_code != 200 or answer.json()["allowed"] is not allowed:
            raise SystemExit(f"{subject} answered {answer.status_code} {answer.content[:300]!r}")
        return taken


def timed(question: Callable[[int], float], times: int) -> list[float]:
    for number in range(3):
        question(number)
    return sorted(question(number) for number in range(times))


def at(taken: Sequence[float], part: float) -> float:
    return round(taken[min(len(taken) - 1, int(len(taken) * part))], 2)


def measure(top: Path, count: int, times: int) -> None:
    import django

    django.setup()
    requests = an_approved_house(top, REAL)
    asker, chance = Asker(), random.Random(4)
    first = requests[0].version.pk
    copied = [first + number * STRIDE for number in range(1, count + 1)]
    newest, unasked = copied[MODEL - 1 :: MODEL], [pk for place, pk in enumerate(copied, 1) if place % ASKED]
    asked = [pk for place, pk in enumerate(copied, 1) if place % ASKED == 0 and place % MODEL]

    def approved(number: int) -> float:
        return asker.ask(True, version=requests[number % REAL].version.pk)

    def by_digest(number: int) -> float:
        version = requests[number % REAL].version  # the same bytes as other models', so the model is named
        return asker.ask(True, digest=version.artifact.digest, model=version.model.slug)

    small = {"approved": timed(approved, times), "approved, by digest": timed(by_digest, times)}
    start = time.perf_counter()
    multiply(requests[0], count)
    emit(BENCH, "fill", detail={"versions": count + REAL, "seconds": round(time.perf_counter() - start)})
    large = {
        "approved": timed(approved, times),
        "approved, by digest": timed(by_digest, times),
        "approved, anywhere in the house": timed(lambda _: asker.ask(True, version=chance.choice(newest)), times),
        "other bytes than were signed": timed(lambda _: asker.ask(False, version=chance.choice(asked)), times),
        "nobody asked": timed(lambda _: asker.ask(False, version=chance.choice(unasked)), times),
    }
    for name, taken in large.items():
        told = {"median_ms": at(taken, 0.5), "p99_ms": at(taken, 0.99), "versions": count + REAL, "asked": len(taken)}
        ratio = at(small[name], 0.5) / at(taken, 0.5) if name in small else None
        emit(BENCH, name, ratio, None, f"the same among {REAL} versions", told)
    everything = sorted(itertools.chain(*large.values()))
    told = {"median_ms": at(everything, 0.5), "p99_ms": at(everything, 0.99), "goal_p99_ms": GOAL_MS}
    emit(BENCH, "all cases", detail=told)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.gate", description="How quick the gate answers.")
    parser.add_argument("--quick", action="store_true", help="under 50 s: 20,000 versions")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory(prefix="bench-") as top, database(Path(top)):
        Path(top, "static").mkdir()  # WhiteNoise warns about a missing one
        measure(Path(top), 20_000 if quick else 100_000, 100 if quick else 400)


if __name__ == "__main__":
    main()
