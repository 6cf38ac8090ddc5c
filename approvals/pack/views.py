"""Pages of evidence packs: those of a request, one of them, its file."""

from __future__ import annotations

import base64
from typing import Any

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.views.decorators.http import require_GET, require_http_methods

from accounts.asking import asker
from accounts.models import User
from approvals.models import ReviewRequest
from approvals.pack import services
from approvals.pack.models import EvidencePack
from ledger.models import PublicKey
from ledger.refusals import Denied

SHOWN = 20


@require_http_methods(["GET", "POST"])
def of_request(request: HttpRequest, pk: int) -> HttpResponse:
    """The packs made of a request so far, and a button that makes another."""
    rows = ReviewRequest.objects.visible_to(request.user)
    found = get_object_or_404(rows.select_related("version__model__team"), pk=pk)
    user = asker(request)
    if request.method == "POST":
        return redirect(services.request_pack(by=user, request=found))
    if not user.has_perm("approvals.export_pack", found):
        raise Denied("approvals.export_pack")
    context = {"found": found, "rows": EvidencePack.objects.filter(request=found).with_parts()[:SHOWN]}
    return render(request, "approvals/pack/of_request.html", context)


def seen(request: HttpRequest, pk: int) -> EvidencePack:
    return get_object_or_404(EvidencePack.objects.visible_to(request.user).with_parts(), pk=pk)


@require_GET
def pack(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "approvals/pack/pack.html", context_of(seen(request, pk)))


@require_GET
def live(request: HttpRequest, pk: int) -> HttpResponse:
    """The part of the page that changes while the pack is made."""
    return render(request, "approvals/pack/_live.html", context_of(seen(request, pk)))


def context_of(found: EvidencePack) -> dict[str, Any]:
    keys = PublicKey.objects.exclude(role=PublicKey.Role.WITNESS).order_by("since", "pk")
    return {
        "pack": found, "job": found.job, "found": found.request, "keys": [key.vkey for key in keys],
        "section": "requests",
    }  # fmt: skip


@require_GET
def content(request: HttpRequest, pk: int) -> HttpResponseBase:
    return as_file(asker(request), seen(request, pk))


def as_file(user: User, found: EvidencePack) -> FileResponse:
    file = services.open_pack(by=user, pack=found)
    response = FileResponse(file, as_attachment=True, filename=found.filename, content_type="application/zip")
    response["Content-Length"] = str(found.size)
    digest = base64.b64encode(bytes.fromhex(found.digest.removeprefix("sha256:"))).decode()
    response["Repr-Digest"] = f"sha-256=:{digest}:"
    # What people submitted is in it: nothing in it runs in this portal's name.
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


urlpatterns = [
    path("requests/<int:pk>/pack/", of_request, name="request-pack"),
    path("packs/<int:pk>/", pack, name="pack"),
    path("packs/<int:pk>/live/", live, name="pack-live"),
    path("packs/<int:pk>/content/", content, name="pack-content"),
]
