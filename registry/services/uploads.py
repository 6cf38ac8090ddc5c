"""Bytes coming in and going out."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings

from accounts.models import Team
from ledger.actors import Actor
from ledger.door import Done, governed
from ledger.refusals import Denied, Refusal
from registry import storage
from registry.models import Artifact, Evidence, Upload, Version
from registry.processing.opening import check_rows_in
from registry.services.inputs import account_of
from registry.storage import Stored


def receive_upload(
    *, by: Actor, team: Team, chunks: Iterable[bytes], filename: str, expected: str | None = None
) -> Upload:
    """Store a stream of bytes, if `by` may, and record whose it is.

    Raises Refusal `too_large`, `digest_mismatch`, `disk_full`, and PermissionDenied before a byte is read.
    """
    stored: Stored | Refusal | None = None
    if by.has_perm("registry.upload_artifact", team):
        try:
            stored = storage.put(chunks, limit=settings.MAX_UPLOAD_BYTES, expected=expected)
        except Refusal as refusal:
            stored = refusal
    return record_upload(by=by, team=team, stored=stored, filename=filename)


@governed(permission="registry.upload_artifact", event="artifact.uploaded", on="team", lock=False)
def record_upload(*, by: Actor, team: Team, stored: Stored | Refusal | None, filename: str) -> Done[Upload]:
    """Record that a team may use bytes which are in the storage. A refusal by the storage is recorded as one."""
    if not isinstance(stored, Stored):
        raise stored or Denied("registry.upload_artifact")
    upload, _ = Upload.objects.get_or_create(
        artifact=artifact_of(stored), team=team, filename=plain_filename(filename), uploaded_by=account_of(by)
    )
    facts = {"artifact": stored.digest, "size": stored.size}
    return Done(upload, on=upload, facts=facts, discloses={"filename": upload.filename})


def artifact_of(stored: Stored) -> Artifact:
    """The artifact of stored bytes, within somebody's act."""
    artifact, _ = Artifact.objects.get_or_create(digest=stored.digest, defaults={"size": stored.size})
    return artifact


def plain_filename(name: str) -> str:
    """The last part of a path from whatever system, without what a terminal or a header would stumble over."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(character for character in last if character.isprintable()).strip()[-200:] or "unnamed"


def usable_upload(upload: Upload, team_id: int) -> Artifact:
    """The upload's artifact, for use by this team only. Raises Refusal `upload_of_another_team`."""
    if upload.team_id != team_id:
        raise Refusal(
            "upload_of_another_team", "This file was uploaded for another team. Upload it for this one.", "upload"
        )
    return upload.artifact


@governed(permission="registry.download_artifact", event="artifact.downloaded", on="of", lock=False)
def record_download(*, by: Actor, of: Version | Evidence | Upload) -> Done[Artifact]:
    """Record that somebody takes the bytes of a version, of evidence or of an upload away.

    Raises Denied, or Refusal `data_deleted` or `rows_closed`, where the file is a dataset.
    """
    check_rows_in(by, of.artifact)
    return Done(of.artifact, facts={"artifact": of.artifact.digest, "size": of.artifact.size})
