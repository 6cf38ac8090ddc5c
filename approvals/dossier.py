"""Everything on record about requests, read in a fixed number of queries and turned into plain values for the rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.models import User
from accounts.people import fill_in
from approvals import workflow
from approvals.findings import reading
from approvals.frozen import as_item, ids, manifest_of
from approvals.models import (
    Decision,
    Finding,
    FindingStep,
    PolicyVersion,
    Recusal,
    ReviewRequest,
    Revision,
    Revocation,
    RiskAcceptance,
)  # fmt: skip
from approvals.seals import anchored, seals_of
from ledger.prepared import Prepared
from registry.models import Evidence, Version


@dataclass(frozen=True)
class Dossier:
    """A request with its latest revision, the evidence frozen there as it is now, and the case for the rules.

    `steps` are the newest steps of the findings and conditions that bear on it; `acceptances` the risks accepted here.
    """

    request: ReviewRequest
    revision: Revision
    revisions: tuple[Revision, ...]
    evidence: tuple[Evidence, ...]
    decisions: tuple[Decision, ...]
    revocation: Revocation | None
    manifest: dict[str, Any]
    case: workflow.Case
    steps: tuple[FindingStep, ...] = ()
    acceptances: tuple[RiskAcceptance, ...] = ()

    @property
    def policy(self) -> workflow.Policy:
        return self.case.policy


def open_dossiers(requests: Iterable[ReviewRequest], made: Collection[Any] = ()) -> dict[int, Dossier]:
    """Dossiers by the request's id: thirteen queries at most, however many requests, and seven at least.

    `made` is what the act that asks has decided, whose event is written only when the act ends.
    """
    return read_dossiers(REQUESTS([request.pk for request in requests]), made)


def whole(requests: QuerySet[ReviewRequest], until: datetime | None = None) -> QuerySet[ReviewRequest]:
    """Each with what `read_dossiers` needs (as of a moment), but for the people.

    `noted` is whether there is any finding or accepted risk for its version, `taken_back` whether any approval of its
    bytes was revoked: most have neither, and what is not there need not be asked for.
    """
    rows = requests.select_related(
        "version__model__team", "version__artifact", "version__pins", "policy_version__policy"
    )
    noted = Q(Exists(Finding.objects.filter(version=OuterRef("version"))))
    noted |= Q(Exists(RiskAcceptance.objects.filter(version=OuterRef("version"))))
    revoked = Revocation.objects.filter(request__version__artifact=OuterRef("version__artifact"))
    return rows.annotate(superseded=superseded(until), recused=recused(until), noted=noted, taken_back=Exists(revoked))


def name_people(
    requests: Collection[ReviewRequest], revisions: Mapping[int, list[Revision]],
    decisions: Mapping[int, list[Decision]], revocations: Collection[Revocation], evidence: Collection[Evidence],
    contributors: Collection[Any] = (),
) -> None:  # fmt: skip
    """Fill in whom requests and their parts name, and the revision of each decision. One query."""
    versions = [request.version for request in requests]
    fill_in(
        (requests, ("submitted_by",)), (versions, ("registered_by",)),
        ([version.model for version in versions], ("owner", "risk_tier_set_by")),
        (chain(*revisions.values()), ("submitted_by",)), (revocations, ("revoked_by",)),
        (chain(*decisions.values()), ("signer", "on_behalf_of")), (evidence, ("produced_by",)),
        (contributors, ("user",)),
    )  # fmt: skip
    by_id = {each.pk: each for each in chain(*revisions.values())}
    for decision in chain(*decisions.values()):
        decision.revision = by_id[decision.revision_id]


def read_dossiers(requests: Iterable[ReviewRequest], made: Collection[Any] = ()) -> dict[int, Dossier]:
    """Dossiers of the requests that `whole` gave."""
    found = {request.pk: request for request in requests}
    if not found:
        return {}
    ids = list(found)
    revisions: dict[int, list[Revision]] = defaultdict(list)
    for revision in REVISIONS(ids):
        revisions[revision.request_id].append(revision)
    latest = {pk: rows[-1] for pk, rows in revisions.items()}
    evidence = evidence_by_id({pk for revision in latest.values() for pk in revision.evidence_ids})
    contributors = CONTRIBUTORS(list({request.version_id for request in found.values()}))
    decisions: dict[int, list[Decision]] = defaultdict(list)
    for decision in DECISIONS(ids):
        decisions[decision.request_id].append(decision)
    rests_on = [pk for each in latest.values() for pk in each.rests_on]
    ended = [*(pk for pk, each in found.items() if getattr(each, "taken_back")), *rests_on]  # noqa: B009
    revocations = {row.request_id: row for row in REVOCATIONS(ended)} if ended else {}
    name_people(found.values(), revisions, decisions, revocations.values(), evidence.values(), contributors)
    kept = reading.read(
        {each.version_id for each in found.values() if getattr(each, "noted")},  # noqa: B009
        [pk for each in latest.values() for pk in each.step_ids],
    )
    seals = seals_of([*(each for given in decisions.values() for each in given), *kept.rows], made)
    outside = anchored_where_asked(found.values(), decisions)
    left = left_out_where_asked(found.values(), latest)
    by_version = by_version_of(contributors)
    return {
        pk: dossier(
            request, revisions[pk], [evidence[each] for each in latest[pk].evidence_ids if each in evidence],
            by_version[request.version_id], decisions[pk], revocations.get(pk), seals, kept, outside, left[pk],
            revocations,
        )
        for pk, request in found.items()
    }  # fmt: skip


REQUESTS = Prepared(lambda pk: whole(ReviewRequest.objects.filter(pk__in=[pk])), int)
REVISIONS = Prepared(lambda request: Revision.objects.filter(request__in=[request]).order_by("number"), int)
DECISIONS = Prepared(lambda request: Decision.objects.filter(request__in=[request]).order_by("id"), int)
REVOCATIONS = Prepared(lambda request: Revocation.objects.filter(request__in=[request]), int)
EVIDENCE: Prepared[Evidence] = Prepared(lambda pk: Evidence.objects.filter(pk__in=[pk]).with_files(), int)
CONTRIBUTORS: Prepared[Any] = Prepared(
    lambda version: Version.contributors.through.objects.filter(version__in=[version]), int
)


def open_dossier(request: ReviewRequest, made: Collection[Any] = ()) -> Dossier:
    return open_dossiers([request], made)[request.pk]


def dossier(
    request: ReviewRequest, revisions: Sequence[Revision], evidence: Sequence[Evidence], contributors: Collection[User],
    decisions: Sequence[Decision], revocation: Revocation | None, seals: Mapping[Any, str], kept: reading.Kept,
    outside: Collection[str], left_out: Sequence[Evidence] = (), revoked: Collection[int] = (),
) -> Dossier:  # fmt: skip
    """`request` is annotated with `superseded` and `recused`; `outside` and `left_out` are what `anchored_where_asked`
    and `left_out_where_asked` give, `revoked` the ids of requests that were: those that it rests on at least.
    """
    latest = revisions[-1]
    acceptances = kept.accepted.get((request.version_id, request.environment, request.use), [])
    steps = reading.bearing(kept.newest.get(request.version_id, []), request.pk)
    items = {each.pk: as_item(each) for each in evidence}
    manifest = manifest_of(
        request.version, evidence, contributors, request.policy_version, environment=request.environment,
        use=request.use, request_id=request.pk, number=latest.number, submitter=latest.submitted_by,
        form=latest.format, steps=[kept.frozen[pk] for pk in latest.step_ids if pk in kept.frozen],
        acceptances=[each for each in acceptances if each.pk in latest.acceptance_ids],
        change=latest.material_change, items=items,
    )  # fmt: skip
    # A rejection on record binds, whatever the request's own column says.
    rejected = any(each.outcome == Decision.Outcome.REJECT for each in decisions)
    policy = applying(request, latest.change)
    carries = any(each.carry_over_if for each in policy.requirements)
    case = workflow.Case(
        policy=policy,
        team=request.version.model.team.name,
        state=ReviewRequest.State.REJECTED if rejected else request.state,
        frozen=latest.digest,
        computed=workflow.manifest_digest(manifest),
        artifact=request.version.artifact.digest,
        decision_rule=workflow.manifest_digest(request.version.decision_rule),
        evidence=tuple(items.values()),
        people=people_of(request, revisions, evidence, contributors),
        signatures=tuple(
            workflow.Signature(
                each.requirement,
                str(each.signer.opaque_id),
                each.outcome,
                each.digest,
                each.at,
                each.signer.is_active,
                seals[each],
                untouched(each, revisions, manifest) if carries else frozenset(),
                str(each.on_behalf_of.opaque_id) if each.on_behalf_of else "",
                str(each.pk) in outside,
            )
            for each in decisions
        ),
        revoked=revocation is not None,
        pinned_until=request.policy_pinned_at + timedelta(days=days) if (days := policy.max_pinned_days) else None,
        superseded=getattr(request, "superseded"),  # noqa: B009
        findings=tuple(reading.as_finding(each, seals[each]) for each in steps),
        acceptances=tuple(reading.as_acceptance(each, seals[each], kept.until) for each in acceptances),
        left_out=tuple(as_item(each) for each in left_out),
        upstream=upstream_of(request.version),
        compared=compared_of(request, latest, policy, revoked),
    )
    return Dossier(
        request, latest, tuple(revisions), tuple(evidence), tuple(decisions), revocation, manifest, case, tuple(steps),
        tuple(acceptances),
    )  # fmt: skip


def upstream_of(version: Version) -> workflow.Upstream | None:
    pins = version.pinned
    return workflow.Upstream(pins.upstream_version, version.upstream_says, pins.checked_until) if pins else None


def compared_of(
    request: ReviewRequest, latest: Revision, policy: workflow.Policy, revoked: Collection[int]
) -> workflow.Compared | None:
    """The approval because of which the policy asks for less than of a new use; None where it asks for all."""
    until = (latest.material_change or {}).get("until")
    if until is None or policy == applying(request):
        return None
    return workflow.Compared(datetime.fromisoformat(until), any(pk in revoked for pk in latest.rests_on))


def anchored_where_asked(
    requests: Iterable[ReviewRequest], decisions: Mapping[int, Sequence[Decision]], until: datetime | None = None
) -> set[str]:
    """Keys of the decisions that are anchored outside, of those requests whose policy waits for that. One query."""
    asked = [request.pk for request in requests if request.policy_version.rules.anchor_outside]
    return anchored([each for pk in asked for each in decisions.get(pk, ())], until) if asked else set()


def left_out_where_asked(
    requests: Iterable[ReviewRequest], latest: Mapping[int, Revision]
) -> dict[int, list[Evidence]]:
    """By the request's id what had been computed when it was frozen and is not in the manifest, where the policy wants
    all of it. One query.
    """
    found: dict[int, list[Evidence]] = defaultdict(list)
    asked = [
        each for each in requests if any(rule.runs == "all" for rule in applying(each, latest[each.pk].change).evidence)
    ]
    reports: dict[int, list[Evidence]] = defaultdict(list)
    for row in computed({each.version_id for each in asked}) if asked else ():
        reports[row.version_id].append(row)
    for each in asked:
        frozen = latest[each.pk]
        found[each.pk] = [
            row
            for row in reports[each.version_id]
            if row.pk not in frozen.evidence_ids and row.created_at <= frozen.submitted_at
        ]
    return found


def computed(versions: Collection[int]) -> QuerySet[Evidence]:
    """Every report that was computed here for these versions, oldest first. None of them can be withdrawn."""
    rows = Evidence.objects.filter(version__in=versions, provenance=Evidence.Provenance.COMPUTED)
    found: QuerySet[Evidence] = rows.with_parts().order_by("id")
    return found


def applying(request: ReviewRequest, change: str = workflow.HIGHEST) -> workflow.Policy:
    """What of the pinned policy applies to this request, where so much is new."""
    return request.policy_version.applying(request.version.model.tier, request.environment, request.use, change)


def untouched(decision: Decision, revisions: Sequence[Revision], manifest: Mapping[str, Any]) -> frozenset[str]:
    """The sections of the manifest that this person signed which are the same in `manifest`."""
    signed = next((each.manifest for each in revisions if each.pk == decision.revision_id), {})
    if workflow.manifest_digest(signed) != decision.digest:
        return frozenset()
    return frozenset(name for name, value in manifest.items() if name in signed and signed[name] == value)


def people_of(
    request: ReviewRequest, revisions: Sequence[Revision], evidence: Sequence[Evidence], contributors: Collection[User]
) -> workflow.People:
    # Whoever becomes the owner after a decision does not thereby undo what they signed before.
    owner = {request.version.model.owner} if request.is_open else set()
    return workflow.People(
        submitter=ids({request.submitted_by, *(each.submitted_by for each in revisions)}),
        owner=ids(owner),
        contributors=ids({*contributors, request.version.registered_by}),
        evidence_producers=frozenset().union(*(producers(each) for each in evidence)),
        recused=frozenset(str(pk) for pk in getattr(request, "recused") or ()),  # noqa: B009
    )


def producers(evidence: Evidence) -> frozenset[str]:
    """Whoever submitted it or asked for it, and all who wrote a report that several people wrote."""
    return frozenset({str(evidence.produced_by.opaque_id), *evidence.summary.get("authors", ())})


def evidence_by_id(wanted: Collection[int]) -> dict[int, Evidence]:
    """Without who produced it: that is `name_people`'s."""
    return {row.pk: row for row in EVIDENCE(list(wanted))} if wanted else {}


def contributors_of(versions: Collection[int]) -> dict[int, list[User]]:
    rows = CONTRIBUTORS(list(versions))
    fill_in((rows, ("user",)))
    return by_version_of(rows)


def by_version_of(contributors: Iterable[Any]) -> dict[int, list[User]]:
    found: dict[int, list[User]] = defaultdict(list)
    for row in contributors:
        found[row.version_id].append(row.user)
    return found


def superseded(until: datetime | None = None) -> Exists:
    """Of requests: whether a later version of their policy (published until a moment) binds at once."""
    later = PolicyVersion.objects.filter(
        policy=OuterRef("policy_version__policy"), number__gt=OuterRef("policy_version__number"), binds_now=True
    )
    return Exists(later if until is None else later.filter(published_at__lte=until))


def recused(until: datetime | None = None) -> ArraySubquery:
    """Of requests: the opaque ids of those who stepped back (until a moment)."""
    rows = Recusal.objects.filter(request=OuterRef("pk"))
    rows = rows if until is None else rows.filter(at__lte=until)
    return ArraySubquery(rows.order_by("id").values("person__opaque_id"))
