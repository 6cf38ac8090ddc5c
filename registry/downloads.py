"""Answers that carry an artifact's bytes."""

from __future__ import annotations

import base64

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header

from registry import storage
from registry.models import Artifact


def attachment(
    artifact: Artifact, filename: str, media_type: str = "application/octet-stream"
) -> StreamingHttpResponse:
    """The checked bytes as a download with their digest. Raises Refusal `artifact_missing` or `artifact_damaged`."""
    response = StreamingHttpResponse(storage.stream(artifact), content_type=media_type)
    response["Content-Length"] = str(artifact.size)
    response["Content-Disposition"] = content_disposition_header(True, filename) or "attachment"
    raw = bytes.fromhex(artifact.digest.removeprefix("sha256:"))
    response["Repr-Digest"] = f"sha-256=:{base64.b64encode(raw).decode()}:"
    # What somebody sent never runs in this portal's name, whatever a browser makes of it.
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response
