"""Signed checkpoints as people read them: the list with the state of the log, and one with who signed and keeps it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path
from django.views.decorators.http import require_GET

from accounts.models import User
from audits.proving import Head, head_of
from ledger import reading
from ledger.anchors import anchors_of, standing
from ledger.models import Anchor, Checkpoint, CheckpointQuerySet, PublicKey
from ledger.refusals import Denied

VERIFIER = settings.BASE_DIR / "client" / "countersign_verify.py"


@dataclass(frozen=True)
class Shown:
    """A checkpoint in the list: the names of the places that keep it, and of the witnesses among them."""

    head: Head
    at: datetime
    kept: list[str]
    witnesses: list[str]


@dataclass(frozen=True)
class Page:
    heads: list[Shown]
    newer: str = ""
    older: str = ""


def readable(request: HttpRequest) -> CheckpointQuerySet:
    """Checkpoints hold no act: who reads any part of the log may see them all. Raises Denied for others."""
    if not cast(User, request.user).may_somewhere("audits.view_log"):
        raise Denied("audits.view_log")
    return Checkpoint.objects.filter(origin=settings.LOG_ORIGIN)


def page(
    checkpoints: CheckpointQuerySet, *, before: int | None = None, after: int | None = None, size: int = 50
) -> Page:
    """Newest first: the page of smaller trees than `before`, or of larger ones than `after`. Two queries."""
    if after is not None:
        found = list(checkpoints.filter(size__gt=after).order_by("size")[: size + 1])
        rows, newer, older = found[:size][::-1], len(found) > size, True
    else:
        older_ones = checkpoints if before is None else checkpoints.filter(size__lt=before)
        found = list(older_ones.order_by("-size")[: size + 1])
        rows, newer, older = found[:size], before is not None, len(found) > size
    if not rows:
        return Page([])
    kept: dict[int, list[Anchor]] = defaultdict(list)
    sizes = [row.size for row in rows]
    for anchor in Anchor.objects.filter(origin=rows[0].origin, size__in=sizes).defer("receipt").order_by("target"):
        kept[anchor.size].append(anchor)
    shown = [
        Shown(
            head := head_of(bytes(row.note)), row.at, [one.target for one in kept[row.size]],
            list(dict.fromkeys([*head.cosigners, *(one.target for one in kept[row.size] if one.kind == "witness")])),
        )
        for row in rows
    ]  # fmt: skip
    return Page(shown, str(rows[0].size) if newer else "", str(rows[-1].size) if older else "")


def place(request: HttpRequest, name: str) -> int | None:
    """A size out of the query string; None for what is none."""
    text = request.GET.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 19 else None


@require_GET
def checkpoints(request: HttpRequest) -> HttpResponse:
    shown = page(readable(request), before=place(request, "before"), after=place(request, "after"))
    context: dict[str, Any] = {"page": shown, "origin": settings.LOG_ORIGIN, "standing": standing()}
    context |= {"keys": PublicKey.objects.order_by("-since", "-pk")}
    context |= {"health": reading.health(), "newest": reading.newest_checkpoint()}
    return render(request, "audits/checkpoints.html", context)


@require_GET
def checkpoint(request: HttpRequest, size: int) -> HttpResponse:
    found = get_object_or_404(readable(request), size=size)
    head = head_of(bytes(found.note))
    context: dict[str, Any] = {"checkpoint": found, "head": head, "anchors": anchors_of(size).defer("receipt")}
    context |= {"signatures": head.signatures(PublicKey.objects.all()), "title": f"Checkpoint {size:,}"}
    return render(request, "audits/checkpoint.html", context)


@require_GET
def note(request: HttpRequest, size: int) -> HttpResponse:
    """The signed note as it was published, to be kept elsewhere."""
    found = get_object_or_404(readable(request), size=size)
    headers = {"Content-Disposition": f'attachment; filename="checkpoint-{size}"'}
    return HttpResponse(bytes(found.note), content_type="text/plain; charset=utf-8", headers=headers)


@require_GET
def verifier(request: HttpRequest) -> FileResponse:
    """The stand-alone verifier of this release: one file that needs Python and nothing else."""
    readable(request)
    return FileResponse(VERIFIER.open("rb"), as_attachment=True, filename=VERIFIER.name, content_type="text/x-python")


urlpatterns = [
    path("audit/verifier/", verifier, name="audit-verifier"),
    path("audit/checkpoints/", checkpoints, name="checkpoints"),
    path("audit/checkpoints/<int:size>/", checkpoint, name="checkpoint"),
    path("audit/checkpoints/<int:size>/note/", note, name="checkpoint-note"),
]
