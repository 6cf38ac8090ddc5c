"""What pages, health checks and bundles ask about anchors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from ledger.anchors import notices
from ledger.anchors.addresses import Fault, parse
from ledger.anchors.targets import Target
from ledger.anchors.witness import Witness
from ledger.models import Anchor, Checkpoint


@dataclass(frozen=True)
class Standing:
    """How one target of LOG_ANCHORS stands. `size` and `at` are of the newest checkpoint it has, or None.

    `behind` says that a newer one is published. `code`, `sentence`, `since` and `tried` tell of failures since the
    last success; code is empty where there are none. `misconfigured` is the code of an entry that cannot be read.
    """

    name: str
    kind: str
    place: str
    outside: bool
    size: int | None = None
    at: datetime | None = None
    behind: bool = False
    code: str = ""
    sentence: str = ""
    since: datetime | None = None
    tried: datetime | None = None

    @property
    def age(self) -> timedelta | None:
        return timezone.now() - self.at if self.at else None


def configured() -> tuple[list[Target], list[Fault]]:
    """The targets of LOG_ANCHORS, and what is wrong with entries that are none."""
    return parse(settings.LOG_ANCHORS, settings.LOG_ANCHORS_ALLOW_HTTP)


def witness_keys() -> list[str]:
    """Verifier keys of the witnesses in LOG_ANCHORS, to be published beside the log's own."""
    return [target.key.vkey for target in configured()[0] if isinstance(target, Witness)]


def anchors_of(size: int, origin: str | None = None) -> QuerySet[Anchor]:
    """Where the checkpoint of exactly this size is kept, by the targets' names."""
    return Anchor.objects.filter(origin=origin or settings.LOG_ORIGIN, size=size).order_by("target")


def newest_anchors(size: int | None = None, origin: str | None = None) -> QuerySet[Anchor]:
    """For each target that ever took one, also those no longer configured: its newest anchor, of at most `size`."""
    anchors = Anchor.objects.filter(origin=origin or settings.LOG_ORIGIN)
    if size is not None:
        anchors = anchors.filter(size__lte=size)
    return anchors.order_by("target", "-size").distinct("target")


def anchors_over(index: int, origin: str | None = None) -> QuerySet[Anchor]:
    """For each target, the first checkpoint it has that covers the entry of this index."""
    anchors = Anchor.objects.filter(origin=origin or settings.LOG_ORIGIN, size__gt=index)
    return anchors.order_by("target", "size").distinct("target")


def standing(origin: str | None = None) -> list[Standing]:
    """Each entry of LOG_ANCHORS in its order, those that cannot be read last. Three look-ups, whatever their number."""
    origin = origin or settings.LOG_ORIGIN
    targets, faults = configured()
    if not targets and not faults:
        return []
    newest = Checkpoint.objects.newest(origin)
    kept = {one.target: one for one in newest_anchors(origin=origin).defer("receipt")}
    told = notices.found(target.name for target in targets)
    found = []
    for target in targets:
        anchor, notice = kept.get(target.name), told.get(target.name)
        found.append(
            Standing(
                target.name, target.kind, target.place, target.outside,
                size=anchor.size if anchor else None, at=anchor.at if anchor else None,
                behind=newest is not None and (anchor is None or anchor.size < newest.size),
                code=notice.code if notice else "", sentence=notice.sentence if notice else "",
                since=notice.since if notice else None, tried=notice.tried if notice else None,
            )
        )  # fmt: skip
    bad = [Standing(fault.name, "", "", False, code="misconfigured", sentence=fault.sentence) for fault in faults]
    return found + bad


def anchored_outside(size: int, origin: str | None = None) -> bool:
    """Whether a checkpoint of at least this size is kept where the portal's administrators could not alter it."""
    names = [target.name for target in configured()[0] if target.outside]
    return Anchor.objects.filter(origin=origin or settings.LOG_ORIGIN, size__gte=size, target__in=names).exists()


ENDINGS = {"folder": ".json", "s3": ".json", "webhook": ".answer", "tsa": ".tsr", "witness": ""}


def bundle_path(anchor: Anchor) -> str:
    """Where its receipt stands in a log bundle: `anchors/<target>/<size>[.ext]`."""
    return f"anchors/{anchor.target}/{anchor.size}{ENDINGS[anchor.kind]}"
