"""The log as programs read it, under `/log/`: checkpoint, tiles, bundles of entries (c2sp.org/tlog-tiles), keys."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import Http404, HttpResponse
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker
from ledger.merkle import WIDTH, parse_tile_path
from ledger.models import PublicKey
from ledger.reading import newest_checkpoint
from ledger.refusals import Denied
from ledger.tiles import TileStore, folder_of

# A full tile never changes; a partial one is replaced by the full one some day.
FULL, PARTIAL = "private, max-age=31536000, immutable", "private, max-age=600"


class AnyType(JSONRenderer):
    """Lets a client ask for whatever type it likes; only errors and keys are rendered."""

    format = "log"
    media_type = "*/*"


class LogView(APIView):
    renderer_classes = [JSONRenderer, AnyType]


@extend_schema(exclude=True)
class NewestCheckpoint(LogView):
    """The newest signed checkpoint. It shows nothing of what is in the log, only how large it is."""

    permissions: dict[str, str | None] = {"GET": None}

    def get(self, request: Request) -> HttpResponse:
        newest = newest_checkpoint()
        if newest is None:
            raise Http404
        headers = {"Cache-Control": "no-cache"}
        return HttpResponse(bytes(newest.note), content_type="text/plain; charset=utf-8", headers=headers)


@extend_schema(exclude=True)
class LogTile(LogView):
    """A tile of hashes, or a bundle of entries: of the whole house's log, so for those who may read all of it."""

    permissions = {"GET": "audits.view_log"}

    def get(self, request: Request, place: str) -> HttpResponse:
        if not asker(request).scope("audits.view_log").everywhere:
            raise Denied("audits.view_log")
        try:
            tile = parse_tile_path(f"tile/{place}")
            data = TileStore(folder_of(settings.LOG_ROOT, settings.LOG_ORIGIN)).read(tile)
        except (ValueError, FileNotFoundError):
            raise Http404 from None
        headers = {"Cache-Control": FULL if tile.width == WIDTH else PARTIAL}
        return HttpResponse(data, content_type="application/octet-stream", headers=headers)


@extend_schema(exclude=True)
class Keys(LogView):
    """Every public key that has ever signed for this log. Compare them with what you were given another way."""

    permissions: dict[str, str | None] = {"GET": None}

    def get(self, request: Request) -> Response:
        rows: list[dict[str, Any]] = [
            {"vkey": key.vkey, "role": key.role, "since": key.since}
            for key in PublicKey.objects.order_by("since", "pk")
        ]
        return Response({"origin": settings.LOG_ORIGIN, "keys": rows}, headers={"Cache-Control": "no-cache"})


routes = [
    path("checkpoint", NewestCheckpoint.as_view(), name="log-checkpoint"),
    path("keys", Keys.as_view(), name="log-keys"),
    path("tile/<path:place>", LogTile.as_view(), name="log-tile"),
]
