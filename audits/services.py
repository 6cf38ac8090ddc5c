"""What the audits floor does: it reads, and taking the log out is an act."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import IO

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse

from accounts.models import Team, User
from audits.exports import keeping
from audits.exports.choosing import events_of
from audits.exports.making import Made, too_many
from audits.exports.selection import Selection
from audits.models import Export
from jobs.claims import Claim
from jobs.services import enqueue
from jobs.services import publish as end_job
from ledger.actors import Actor, Identity
from ledger.door import Done, governed, mechanical
from ledger.refusals import Denied, Refusal

WRITE_EXPORT = "audits.write_export"


@governed(permission="audits.export_log", event="export.requested", on="team", lock=False)
def request_export(*, by: Actor, account: User, team: Team | None, kind: str, selection: Selection) -> Done[Export]:
    """The export with its job; `team` is the team whose log this is, None for the whole house.

    Raises Refusal `unknown_format`, `bundle_is_whole`, `filter_invalid`, `too_many_for_pdf`.
    """
    if kind not in Export.Kind.values:
        names = ", ".join(Export.Kind.values)
        raise Refusal("unknown_format", f"The log can be exported as one of: {names}.", "kind")
    if kind == Export.Kind.BUNDLE:
        check_whole(team, selection)
    elif kind == Export.Kind.PDF:
        most = settings.EXPORT_PDF_ENTRIES
        if events_of(selection, account, team)[: most + 1].count() > most:
            raise too_many()
    else:
        events_of(selection, account, team)
    # Asked twice is two exports: in between the log has grown.
    inputs = {"kind": kind, "asked": str(uuid.uuid4())}
    subject = f"Audit log as {Export.Kind(kind).label}"
    job = enqueue(
        kind=WRITE_EXPORT, inputs=inputs, team_id=team.pk if team else None, subject=subject,
        subject_url=reverse("exports"), by=by,
    )  # fmt: skip
    export = Export.objects.create(job=job, kind=kind, team=team, filter=selection.as_json(), asked_by=account)
    facts = {"format": kind, "job": str(job.pk), "filter": selection.as_facts()}
    return Done(export, on=export, facts=facts, discloses=selection.as_disclosures())


def check_whole(team: Team | None, selection: Selection) -> None:
    """A bundle proves that nothing is missing, so it is never a part."""
    if team is not None:
        raise Denied("audits.export_log")
    if not selection.everything:
        sentence = "A log bundle holds the whole log, as that is what it proves. Leave the filters away."
        raise Refusal("bundle_is_whole", sentence, "filter")


@dataclass(frozen=True)
class OnBehalf:
    """The worker, for the person who asked: it may do what they still may."""

    account: User
    identity = Identity("system", "worker")

    @property
    def on_behalf_of(self) -> Identity:
        return self.account.identity

    def has_perm(self, perm: str, obj: object | None = None) -> bool:
        return perm == "audits.export_log" and self.account.has_perm(perm, obj)


@governed(permission="audits.export_log", event="log.exported", on="export", lock=False)
def publish_export(*, by: Actor, export: Export, made: Made, claim: Claim) -> Done[Export]:
    """Say what is in the file, and end the job, both or neither. Raises Lost or Cancelled, which leave nothing."""
    tally, head = made.tally, made.head
    Export.objects.filter(pk=export.pk).update(
        written_at=Now(), digest=made.digest, size=made.size, file=made.file, count=tally.count,
        unsealed=tally.unsealed, first=tally.first, last=tally.last, origin=head.origin, tree_size=head.size,
        root=head.root,
    )  # fmt: skip
    end_job(claim, result_url=export.get_absolute_url())
    facts = {
        "format": export.kind, "sha256": made.digest, "size": made.size, "count": tally.count,
        "unsealed": tally.unsealed, "first": tally.first or None, "last": tally.last or None,
        "tree": {"origin": head.origin, "size": head.size, "root": head.root or None},
        "filter": export.selection.as_facts(), "job": str(claim.job.pk), "attempt": claim.attempt,
    }  # fmt: skip
    return Done(export, facts=facts, discloses=export.selection.as_disclosures())


def open_export(*, by: Actor, export: Export) -> IO[bytes]:
    """The file, after it was recorded who takes it. Raises Refusal `export_not_ready`, `export_removed` and others."""
    return keeping.opened(*record_export_download(by=by, export=export))


@governed(permission="audits.export_log", event="export.downloaded", on="export", lock=False)
def record_export_download(*, by: Actor, export: Export) -> Done[tuple[str, str]]:
    """Name in the storage and digest of what somebody takes away."""
    if export.removed_at:
        sentence = "This file was removed because its time was over. Ask for the export again; the log has it all."
        raise Refusal("export_removed", sentence)
    if not export.file:
        raise Refusal("export_not_ready", "There is no file yet. Look at the export's state, and ask again when it is.")
    facts = {"format": export.kind, "sha256": export.digest, "size": export.size}
    return Done((export.file, export.digest), facts=facts)


@mechanical("removes files whose time is over, as the export's page says it will; the export and its events stay")
def remove_old_files() -> int:
    """How many files went: old ones, and those of workers that ended before they could say what they had written."""
    over = Q(written_at__lt=Now() - timedelta(days=settings.EXPORT_DAYS), removed_at=None)
    gone = 0
    for export in Export.objects.filter(over).exclude(file=""):
        keeping.remove(export.file)
        Export.objects.filter(pk=export.pk).update(removed_at=Now(), file="")
        gone += 1
    for name in keeping.strays(set(Export.objects.exclude(file="").values_list("file", flat=True))):
        keeping.remove(name)
        gone += 1
    return gone
