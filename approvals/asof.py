"""Requests as they stood, and what the gate said then: by the same rules, from what was on record at the moment."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from approvals import dossier as records
from approvals import gate
from approvals.findings import reading
from approvals.models import Decision, PolicyVersion, ReviewRequest, Revision, Revocation
from approvals.seals import seals_of
from audits import asof
from ledger.models import Event
from registry.asof import evidence_at, versions_at

REQUEST = ReviewRequest._meta.label_lower


def request_at(request: ReviewRequest, at: datetime) -> tuple[records.Dossier, asof.Looked]:
    """The dossier of a request as it stood. Raises Refusal `not_on_record` where it was not there."""
    looked = asof.look(REQUEST, request.pk, at)
    found = dossiers_at([request.pk], at).get(request.pk)
    if found is None:
        raise asof.unrecorded(None)
    return found, looked


def dossiers_at(ids: Iterable[int], at: datetime) -> dict[int, records.Dossier]:
    """Dossiers of the moment by the request's id, without requests of which no record was kept by then.

    A fixed number of queries. What is append-only counts by its own time; what may change, by its record. Where the
    log does not agree with the record of the request, its version or its model, no signature counts.
    """
    rows = records.whole(ReviewRequest.objects.filter(pk__in=ids, submitted_at__lte=at), until=at)
    present = {row.pk: row for row in rows}
    kept = asof.kept_at(REQUEST, present, at)
    versions = versions_at([row.version for row in present.values()], at)
    revisions: dict[int, list[Revision]] = defaultdict(list)
    frozen = Revision.objects.filter(request__in=present, submitted_at__lte=at)
    for revision in frozen.order_by("number"):
        revisions[revision.request_id].append(revision)
    wanted = {pk for each in revisions.values() for pk in each[-1].evidence_ids}
    evidence = {row.pk: row for row in evidence_at(records.evidence_by_id(wanted).values(), at)}
    decisions: dict[int, list[Decision]] = defaultdict(list)
    for decision in Decision.objects.filter(request__in=present, at__lte=at).order_by("id"):
        decisions[decision.request_id].append(decision)
    resting = [pk for each in revisions.values() for pk in each[-1].rests_on]
    revoked = Revocation.objects.filter(request__in=[*present, *resting], at__lte=at)
    ended = {row.request_id: row for row in revoked}
    records.name_people(present.values(), revisions, decisions, ended.values(), evidence.values())
    everything = [each for given in decisions.values() for each in given]
    active_again(everything, at)
    about = reading.read(
        {row.version_id for row in present.values()},
        [pk for each in revisions.values() for pk in each[-1].step_ids],
        until=at,
    )
    seals = seals_of([*everything, *about.rows], until=at)
    outside = records.anchored_where_asked(present.values(), decisions, until=at)
    pinned = {each.digest: each for each in policies_of(kept.values())}
    last = {pk: each[-1] for pk, each in revisions.items()}
    left = records.left_out_where_asked((row for row in present.values() if row.pk in last), last)
    found = {}
    for pk, row in present.items():
        version = versions.get(row.version_id)
        if str(pk) in kept and version and revisions[pk]:
            then = restored(row, kept[str(pk)].record, pinned)
            then.version = version.version
            if kept[str(pk)].state != "verified" or not version.intact:
                seals |= dict.fromkeys(decisions[pk], "broken")
            there = [evidence[each] for each in revisions[pk][-1].evidence_ids if each in evidence]
            found[pk] = records.dossier(
                then, revisions[pk], there, version.contributors, decisions[pk], ended.get(pk), seals, about, outside,
                left[pk], ended,
            )  # fmt: skip
    return found


def policies_of(kept: Iterable[Any]) -> Iterable[PolicyVersion]:
    digests = {each.record["policy"] for each in kept}
    return PolicyVersion.objects.filter(digest__in=digests).select_related("policy")


def restored(request: ReviewRequest, record: dict[str, Any], pinned: Mapping[str, PolicyVersion]) -> ReviewRequest:
    """The request as its record has it. Before format 2 of policies nothing was ever pinned anew."""
    then = copy.copy(request)
    then.policy_version = pinned[record["policy"]]
    then.policy_pinned_at = datetime.fromisoformat(record.get("policy_pinned_at", record["submitted_at"]))
    then.state = record["state"]
    then.closed_at = datetime.fromisoformat(record["closed_at"]) if record["closed_at"] else None
    return then


def active_again(decisions: Iterable[Decision], at: datetime) -> None:
    """Let those who signed and have left since be active, as they were at the moment."""
    left = {str(each.signer_id): each for each in decisions if not each.signer.is_active}
    gone = set(
        Event.objects.filter(
            object_type="accounts.user", object_id__in=left, event="account.deactivated", time__lte=at
        ).values_list("object_id", flat=True)
    )
    for each in decisions:
        if not each.signer.is_active and str(each.signer_id) not in gone:
            each.signer.is_active = True


def answers_at(ids: Iterable[int], at: datetime) -> dict[gate.Key, gate.GateResult]:
    """The gate's answers of the moment for whatever these requests asked for."""
    with gate.snapshot():
        asked: dict[gate.Key, list[records.Dossier]] = defaultdict(list)
        for _, found in sorted(dossiers_at(ids, at).items()):
            request = found.request
            asked[request.version_id, request.environment, request.use].append(found)
        artifacts = {found[0].request.version.artifact_id for found in asked.values()}
        revoked = gate.revoked_elsewhere(artifacts, until=at)
        return {
            key: gate.of_requests(found, at, revoked[found[0].request.version.artifact_id])
            for key, found in asked.items()
        }
