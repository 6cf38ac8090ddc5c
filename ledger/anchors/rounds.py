"""Takes the newest published checkpoint to every target that has not got it, to all at once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from django.conf import settings
from django.db.models import Max
from django.db.models.functions import Now

from ledger.anchors import notices, proofs
from ledger.anchors.reading import configured
from ledger.anchors.targets import Failed, Known, NeedsProof, Published, Receipt, Target
from ledger.door import mechanical
from ledger.models import Anchor, Checkpoint

log = logging.getLogger(__name__)
ROUND_SECONDS = 25.0
MOST_PROOFS = 3  # one from the size that we know, one from the size that a witness names, one if it has just grown
TURN_SECONDS = 0.02  # each is waited for in turn, so that what has come is kept while others are still under way
Prove = Callable[[int, int], Sequence[bytes]]
"""(old size, new size) → consistency proof. Raises Failed."""


class Errand(threading.Thread):
    """One way to one target. It may hang for ever (a dead network disk): then it is left behind, and ends with us."""

    under_way: dict[str, Errand] = {}

    def __init__(self, target: Target, what: Published, known: Known) -> None:
        super().__init__(name=f"anchor-{target.name}", daemon=True)
        self.target, self.what, self.known = target, what, known
        self.result: Receipt | NeedsProof | Failed = Failed(
            "timed_out", f"{target.place} took too long. It is tried again at the next run."
        )

    def run(self) -> None:
        try:
            self.result = self.target.take(self.what, self.known)
        except (NeedsProof, Failed) as reason:
            self.result = reason
        except Exception:
            log.exception("anchor %s: unforeseen", self.target.name)
            sentence = "Something went wrong on our side. It has been written to the worker's log."
            self.result = Failed("internal_error", sentence)

    @classmethod
    def begin(cls, target: Target, what: Published, known: Known) -> Errand:
        """Start one, unless the last one to this target still hangs: then that one."""
        last = cls.under_way.get(target.name)
        if last and last.is_alive() and last.target == target:
            return last
        errand = cls.under_way[target.name] = cls(target, what, known)
        errand.start()
        return errand


def carry_configured() -> dict[str, str]:
    """Take the newest checkpoint to every target of LOG_ANCHORS; see `carry`."""
    targets, faults = configured()
    for fault in faults:
        log.error("LOG_ANCHORS: %s cannot be used. %s", fault.name, fault.sentence)
    return carry(targets, settings.LOG_ORIGIN, proofs.between)


def carry(targets: Sequence[Target], origin: str, prove: Prove, seconds: float = ROUND_SECONDS) -> dict[str, str]:
    """Take the newest checkpoint of `origin` to every target; what came of it by target: `done` or a code.

    Safe to run twice at once and to kill anywhere: each target takes a repetition for one, and so does its row.
    Targets that have the checkpoint, or had one less than `every` seconds ago, are left out.
    """
    newest = Checkpoint.objects.newest(origin)
    if newest is None:
        return {}
    what = Published(origin, newest.size, bytes(newest.note))
    sizes = dict(Anchor.objects.filter(origin=origin).values_list("target").annotate(Max("size")))
    end, told, errands = time.monotonic() + seconds, dict[str, str](), list[Errand]()
    for target in targets:
        last = sizes.get(target.name, 0)
        if last < what.size and not rests(target, origin):
            errands.append(Errand.begin(target, what, Known(last)))
    while errands:
        errand = errands.pop(0)
        errand.join(TURN_SECONDS)
        if errand.is_alive() and time.monotonic() < end:
            errands.append(errand)
            continue
        result = errand.result
        if isinstance(result, NeedsProof) and len(errand.known.proofs) < MOST_PROOFS:
            try:
                proof = {result.old: prove(result.old, errand.what.size)}
                known = Known(result.old, {**errand.known.proofs, **proof})
                errands.append(Errand.begin(errand.target, errand.what, known))
                continue
            except Failed as reason:
                result = reason
        told[errand.target.name] = settle(errand.target, errand.what, result)
    return told


def rests(target: Target, origin: str) -> bool:
    """Whether the target had a checkpoint less than `every` seconds ago, by the database's clock."""
    since = Now() - timedelta(seconds=target.every)
    return bool(target.every) and Anchor.objects.filter(origin=origin, target=target.name, at__gt=since).exists()


@mechanical("notes where a published checkpoint has been kept; the checkpoint itself is in the log's own hand")
def settle(target: Target, what: Published, result: Receipt | NeedsProof | Failed) -> str:
    """Keep the receipt, or why there is none."""
    if isinstance(result, Receipt):
        row = Anchor(
            origin=what.origin, size=what.size, target=target.name, kind=target.kind, place=result.place[:500],
            receipt=result.content,
        )  # fmt: skip
        Anchor.objects.bulk_create([row], ignore_conflicts=True)
        notices.clear(target.name)
        return "done"
    if isinstance(result, NeedsProof):
        result = Failed("unsteady", f"{target.place} names another size each time. Ask its operator.")
    if Anchor.objects.filter(origin=what.origin, target=target.name, size__gte=what.size).exists():
        return "done"  # another round was quicker, and this one was late
    log.warning("anchor %s has not taken size %s: %s %s", target.name, what.size, result.code, result.sentence)
    notices.keep(target.name, result)
    return result.code
