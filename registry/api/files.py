"""Uploads: raw bytes in, raw bytes out."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.http import HttpResponseBase, UnreadablePostError
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker
from accounts.models import Team
from ledger.refusals import Refusal
from registry import storage
from registry.api.answers import BYTES, UploadOut
from registry.downloads import attachment
from registry.models import Upload
from registry.services import receive_upload, record_download

REPR_DIGEST = re.compile(r"sha-256=:?([A-Za-z0-9+/]{43}=):?", re.IGNORECASE)


WHERE_TO = [
    OpenApiParameter("team", int, required=True, description="Id of the team that may use it"),
    OpenApiParameter("filename", str, required=True),
    OpenApiParameter(
        "X-Content-SHA256", str, OpenApiParameter.HEADER, description="Checked, if sent: 64 hexadecimal digits"
    ),
    OpenApiParameter("Repr-Digest", str, OpenApiParameter.HEADER, description="The same as RFC 9530 writes it"),
]


class RawParser(BaseParser):
    """Hands the unread stream over: what is sent is never held in memory."""

    media_type = "application/octet-stream"

    def parse(self, stream: Any, media_type: str | None = None, context: Any = None) -> Any:
        return stream


class WhereTo(serializers.Serializer[Any]):
    team = serializers.PrimaryKeyRelatedField(queryset=Team.objects.all())
    filename = serializers.CharField(max_length=200)


def pieces(request: Request) -> Iterator[bytes]:
    """The body in pieces, judged by its declared length before the first is read."""
    text = request.headers.get("Content-Length", "")
    if not text.isdigit():
        raise Refusal("length_required", "Send the file with its Content-Length, not in chunks of unknown number.")
    length = int(text)
    if length > settings.MAX_UPLOAD_BYTES:
        raise storage.too_large(settings.MAX_UPLOAD_BYTES)
    if not length:
        raise Refusal("empty_file", "The file is empty (0 bytes). Send its bytes as the body of the request.", "body")
    body: Any = request.data
    read = 0
    while read < length:
        try:
            piece = body.read(min(storage.CHUNK, length - read))
        except UnreadablePostError:
            piece = b""
        if not piece:
            raise Refusal(
                "upload_incomplete",
                f"Only {read:,} of {length:,} bytes arrived before the connection broke off. Send again.",
            )
        read += len(piece)
        yield piece


def expected_digest(request: Request) -> str | None:
    """The digest that the sender promises: `X-Content-SHA256` in hexadecimal, or `Repr-Digest` or `Digest`."""
    if promised := request.headers.get("X-Content-SHA256", "").strip().lower():
        return promised if promised.startswith("sha256:") else f"sha256:{promised}"
    header = request.headers.get("Repr-Digest") or request.headers.get("Digest")
    if not header:
        return None
    found = REPR_DIGEST.search(header)
    try:
        return f"sha256:{base64.b64decode(found[1], validate=True).hex()}" if found else "sha256:?"
    except binascii.Error:
        return "sha256:?"


class Uploads(ListAPIView[Upload]):
    """Files sent for a team. A file is used by the id of its upload."""

    permissions = {
        "GET": "registry.view_model",
        "POST": "registry.upload_artifact",
        "PUT": "registry.upload_artifact",
    }
    queryset = Upload.objects.none()
    serializer_class = UploadOut
    parser_classes = [RawParser]
    filterset_fields = ["team"]

    def get_queryset(self) -> Any:
        return Upload.objects.visible_to(self.request.user).select_related("artifact", "team", "uploaded_by")

    @extend_schema(summary="List uploads")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(
        summary="Upload a file",
        description="The body is the file itself. Sending the same file again answers with the same upload.",
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={201: UploadOut},
        parameters=WHERE_TO,
    )
    def post(self, request: Request) -> Response:
        where = WhereTo(data=request.query_params)
        where.is_valid(raise_exception=True)
        upload = receive_upload(
            by=asker(request), chunks=pieces(request), expected=expected_digest(request), **where.validated_data
        )
        return Response(UploadOut(upload).data, status=201)

    @extend_schema(
        operation_id="artifacts_put",
        summary="Upload a file, as POST does",
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={201: UploadOut},
        parameters=WHERE_TO,
    )
    def put(self, request: Request) -> Response:
        return self.post(request)


def visible(request: Request, pk: int) -> Upload:
    uploads = Upload.objects.visible_to(request.user).select_related("artifact", "team", "uploaded_by")
    found: Upload = get_object_or_404(uploads, pk=pk)
    return found


class UploadDetail(APIView):
    """Digest, size and origin of one upload."""

    permissions = {"GET": "registry.view_model"}

    @extend_schema(summary="Look at an upload", responses={200: UploadOut})
    def get(self, request: Request, pk: int) -> Response:
        return Response(UploadOut(visible(request, pk)).data)


class UploadContent(APIView):
    """The bytes of one upload; each download is recorded."""

    permissions = {"GET": "registry.download_artifact"}

    @extend_schema(summary="Download an upload", responses=BYTES)
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        upload = visible(request, pk)
        return attachment(record_download(by=request.user, of=upload), upload.filename)
