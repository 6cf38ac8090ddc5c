"""Acts about evidence packs: asking for one, publishing what a worker made, taking it away."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import IO

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse

from accounts.models import User
from approvals.models import ReviewRequest
from approvals.pack.making import FOLDER, Made
from approvals.pack.models import EvidencePack
from audits.exports import keeping
from jobs.claims import Claim
from jobs.services import enqueue
from jobs.services import publish as end_job
from ledger.actors import Actor, Identity
from ledger.door import Done, governed, mechanical
from ledger.refusals import Denied, Refusal

WRITE_PACK = "approvals.write_pack"
AGAIN = "Ask for the pack again; the records and the log are still there."


@governed(permission="approvals.export_pack", event="evidence_pack.requested", on="request", lock=False)
def request_pack(*, by: Actor, request: ReviewRequest) -> Done[EvidencePack]:
    """The pack with its job. Whoever takes it takes the evidence's files along, so that right is asked for too."""
    assert isinstance(by, User)
    if not by.has_perm("registry.download_artifact", request):
        raise Denied("registry.download_artifact")
    # Asked twice is two packs: in between something may have been signed.
    job = enqueue(
        kind=WRITE_PACK, inputs={"request": str(request.pk), "asked": str(uuid.uuid4())}, team_id=request.team_id,
        subject=f"Evidence pack of request {request.pk}", subject_url=reverse("request-pack", args=[request.pk]), by=by,
    )  # fmt: skip
    pack = EvidencePack.objects.create(job=job, request=request, asked_by=by)
    facts = {"request": str(request.pk), "digest": request.latest.digest, "job": str(job.pk)}
    return Done(pack, on=pack, facts=facts)


@dataclass(frozen=True)
class OnBehalf:
    """The worker, for the person who asked: it may do what they still may."""

    account: User
    identity = Identity("system", "worker")

    @property
    def on_behalf_of(self) -> Identity:
        return self.account.identity

    def has_perm(self, perm: str, obj: object | None = None) -> bool:
        needed = ("approvals.export_pack", "registry.download_artifact")
        return perm in needed and all(self.account.has_perm(one, obj) for one in needed)


@governed(permission="approvals.export_pack", event="evidence_pack.made", on="pack", lock=False)
def publish_pack(*, by: Actor, pack: EvidencePack, made: Made, claim: Claim) -> Done[EvidencePack]:
    """Say what is in the file, and end the job, both or neither. Raises Lost or Cancelled, which leave nothing."""
    found = made.found
    origin, size, root = found.note.decode().split("\n")[:3]
    EvidencePack.objects.filter(pk=pack.pk).update(
        written_at=Now(), digest=made.digest, size=made.size, index_digest=made.index, files=made.files, file=made.file,
        revision=found.dossier.revision.number, state_then=found.answer.state, origin=origin, tree_size=int(size),
        root=root,
    )  # fmt: skip
    end_job(claim, result_url=pack.get_absolute_url())
    facts = {
        "request": str(pack.request_id), "digest": found.dossier.revision.digest, "sha256": made.digest,
        "size": made.size, "index": made.index, "files": made.files, "allowed": found.answer.allowed,
        "state": found.answer.state, "tree": {"origin": origin, "size": int(size), "root": root},
        "job": str(claim.job.pk), "attempt": claim.attempt,
    }  # fmt: skip
    return Done(pack, facts=facts)


def open_pack(*, by: Actor, pack: EvidencePack) -> IO[bytes]:
    """The file, after it was recorded who takes it. Raises Refusal `pack_not_ready`, `pack_removed` and others."""
    return keeping.opened(*record_pack_download(by=by, pack=pack), again=AGAIN)


@governed(permission="approvals.export_pack", event="evidence_pack.downloaded", on="pack", lock=False)
def record_pack_download(*, by: Actor, pack: EvidencePack) -> Done[tuple[str, str]]:
    """Name in the storage and digest of what somebody takes away."""
    if not by.has_perm("registry.download_artifact", pack):
        raise Denied("registry.download_artifact")
    if pack.removed_at:
        raise Refusal("pack_removed", f"This file was removed because its time was over. {AGAIN}")
    if not pack.file:
        raise Refusal("pack_not_ready", "There is no file yet. Look at the pack's state, and ask again when it is.")
    facts = {"request": str(pack.request_id), "sha256": pack.digest, "size": pack.size, "index": pack.index_digest}
    return Done((pack.file, pack.digest), facts=facts)


@mechanical("removes files whose time is over, as the pack's page says it will; the pack and its events stay")
def remove_old_packs() -> int:
    """How many files went: old ones, and those of workers that ended before they could say what they had written."""
    over = Q(written_at__lt=Now() - timedelta(days=settings.EXPORT_DAYS), removed_at=None)
    gone = 0
    for pack in EvidencePack.objects.filter(over).exclude(file=""):
        keeping.remove(pack.file)
        EvidencePack.objects.filter(pk=pack.pk).update(removed_at=Now(), file="")
        gone += 1
    for name in keeping.strays(set(EvidencePack.objects.exclude(file="").values_list("file", flat=True)), FOLDER):
        keeping.remove(name)
        gone += 1
    return gone
