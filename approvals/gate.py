"""The gate: may this version serve in this environment for this use? Computed from the records at every asking."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet

from approvals import dossier as records
from approvals import workflow
from approvals.bound import bindings, governing
from approvals.frozen import as_item
from approvals.models import PolicyVersion, ReviewRequest, Revocation
from approvals.workflow import Fulfilment, Reason
from ledger.events import database_time
from ledger.prepared import Prepared
from ledger.refusals import Refusal
from registry.models import Evidence, Version

Key = tuple[int, str, str]


@dataclass(frozen=True)
class GateResult:
    """The answer, and what it rests on. `reasons` is empty exactly where `allowed` is true."""

    environment: str
    use: str
    allowed: bool
    state: str
    reasons: list[Reason]
    evaluated_at: datetime
    version_id: int | None = None
    obligations: list[Reason] = field(default_factory=list)
    requirements: list[Fulfilment] = field(default_factory=list)
    request_id: int | None = None
    revision_digest: str | None = None
    policy_digest: str | None = None
    manifest: dict[str, Any] | None = None
    valid_until: datetime | None = None
    max_lease_seconds: int | None = None
    version: Version | None = field(default=None, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON, as the API gives it."""
        return {
            "allowed": self.allowed,
            "state": self.state,
            "version": self.version_id,
            "environment": self.environment,
            "use": self.use,
            "reasons": [{"code": each.code, "sentence": each.sentence} for each in self.reasons],
            "obligations": [{"code": each.code, "sentence": each.sentence} for each in self.obligations],
            "requirements": [
                {
                    "slug": each.requirement.slug,
                    "title": each.requirement.title,
                    "role": each.requirement.role,
                    "state": each.state,
                    "needed": each.requirement.count,
                    "signers": list(each.signers),
                    "sentence": each.sentence,
                    "who": each.who,
                }
                for each in self.requirements
            ],
            "request": self.request_id,
            "revision_digest": self.revision_digest,
            "policy_digest": self.policy_digest,
            "evaluated_at": self.evaluated_at.isoformat(),
            "valid_until": self.valid_until.isoformat() if self.valid_until else None,
            "max_lease_seconds": self.max_lease_seconds,
        }


def evaluate(version: Version, environment: str, use: str) -> GateResult:
    return evaluate_many([(version.pk, environment, use)])[version.pk, environment, use]


def evaluate_holding(version: Version, environment: str, use: str) -> GateResult:
    """For an act that relies on the answer: decisions and revocations wait until the act's transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM approvals_reviewrequest WHERE version_id = %s AND environment = %s AND use = %s FOR SHARE",
            [version.pk, environment, use],
        )
    return evaluate(version, environment, use)


def evaluate_digest(
    digest: str, environment: str, use: str, model: str | None = None, visible_to: Any = None
) -> GateResult:
    """The answer for bytes by their artifact digest, or for an image by the digest that a manifest pins.

    `model` (a slug) says which is meant, where several versions have them.

    One set of bytes may be registered as several things: then the answer is no, `ambiguous_subject`, so that nobody
    gets something approved as harmless and runs it as something else.
    """
    with snapshot():
        # Each by its own index: one condition over both tables would read every version there is.
        if model is None:
            meant = [*OF_BYTES(digest), *OF_IMAGE(digest)]
        else:
            meant = [*OF_BYTES_IN(digest, model), *OF_IMAGE_IN(digest, model)]
        versions = VERSIONS(meant) if visible_to is None else askable(visible_to, meant)
        if len(versions) == 1:
            return evaluate(versions[0], environment, use)
        checked_environment(environment)
        if not versions:
            sentence = "No version with these bytes is registered here. Register one, or check the digest."
            return GateResult(
                environment, use, False, "no_approval", [Reason("unknown_digest", sentence)], database_time()
            )
        named = ", ".join(str(each) for each in versions)
        advice = "Ask by the version's id" if model else "Name the model"
        sentence = f"These bytes are registered more than once ({named}). {advice} to say which is meant."
        reasons = [Reason("ambiguous_subject", sentence)]
        reasons += revoked_elsewhere([each.artifact_id for each in versions]).get(versions[0].artifact_id, {}).values()
        return GateResult(environment, use, False, "ambiguous", reasons, database_time())


def evaluate_many(keys: Iterable[Key]) -> dict[Key, GateResult]:
    """Answers for many (version id, environment, use) at once, all of one moment, in a fixed number of queries."""
    wanted = dict.fromkeys(keys)
    for _, environment, _ in wanted:
        checked_environment(environment)
    with snapshot():
        at = database_time()
        asked = ASKED(*(list({key[part] for key in wanted}) for part in range(3)))
        rows = [each for each in asked if key_of(each) in wanted]
        told: dict[Key, list[records.Dossier]] = defaultdict(list)
        for found in records.read_dossiers(rows).values():
            told[key_of(found.request)].append(found)
        versions = {key[0]: told[key][0].request.version for key in wanted if told[key]}
        unasked = {key[0] for key in wanted if not told[key]}
        if unasked:
            versions |= {version.pk: version for version in VERSIONS(list(unasked))}
            evidence, bound = evidence_of(unasked), bindings()
        taken_back = {each.version_id for each in rows if getattr(each, "taken_back")}  # noqa: B009
        revoked = revoked_elsewhere({versions[pk].artifact_id for pk in unasked | taken_back if pk in versions})
        answers = {}
        for key in wanted:
            version = versions.get(key[0])
            if version is None:
                reason = Reason("unknown_version", "There is no such version. Check its number.")
                answers[key] = GateResult(key[1], key[2], False, "no_approval", [reason], at, key[0])
            elif told[key]:
                answers[key] = of_requests(told[key], at, revoked[version.artifact_id])
            else:
                answers[key] = unrequested(key, version, bound, evidence[version.pk], at, revoked[version.artifact_id])
        return answers


def ids_of(**asked: str) -> QuerySet[Version, int]:
    return Version.objects.filter(**asked).order_by().values_list("pk", flat=True)


OF_BYTES = Prepared(lambda digest: ids_of(artifact__digest=digest), str)
OF_IMAGE = Prepared(lambda digest: ids_of(pins__image=digest), str)
OF_BYTES_IN = Prepared(lambda digest, model: ids_of(artifact__digest=digest, model__slug=model), str, str)
OF_IMAGE_IN = Prepared(lambda digest, model: ids_of(pins__image=digest, model__slug=model), str, str)
VERSIONS = Prepared(
    lambda pk: Version.objects.filter(pk__in=[pk]).select_related("model", "artifact", "pins").order_by("pk"), int
)
TEAM_OF = Prepared(lambda pk: Version.objects.filter(pk=pk).order_by().values_list("model__team_id", flat=True), int)
ASKED = Prepared(
    lambda version, environment, use: records.whole(
        ReviewRequest.objects.filter(version__in=[version], environment__in=[environment], use__in=[use]).order_by("id")
    ),
    int, str, str,
)  # fmt: skip


def key_of(request: ReviewRequest) -> Key:
    return request.version_id, request.environment, request.use


def may_ask(user: Any, version: int) -> bool:
    """Whether there is such a version and this account may ask about it."""
    scope = user.scope("approvals.check_gate")
    return any(scope.covers(team) for team in TEAM_OF(version))


def askable(user: Any, versions: Iterable[int]) -> list[Version]:
    """Those of these versions about which this account may ask."""
    scope = user.scope("approvals.check_gate")
    return [each for each in VERSIONS(list(versions)) if scope.covers(each.model.team_id)]


@contextmanager
def snapshot() -> Iterator[None]:
    """One REPEATABLE READ transaction, or the one that the asker is in already."""
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


def checked_environment(environment: str) -> None:
    if environment not in workflow.ENVIRONMENTS:
        names = ", ".join(workflow.ENVIRONMENTS)
        sentence = f"There is no environment “{environment}”. Choose one of {names}."
        raise Refusal("unknown_environment", sentence, "environment")


def of_requests(dossiers: Sequence[records.Dossier], at: datetime, revoked: dict[int, Reason]) -> GateResult:
    """The answer of all requests for one subject, oldest first.

    The newest one decided speaks; where it says no and another is under way, that one says what is still open.
    """
    decided = [each for each in dossiers if each.case.state in (*workflow.APPROVED, "rejected")]
    under_way = [each for each in dossiers if each.case.state in workflow.OPEN]
    if decided:
        answer = of_dossier(decided[-1], at, revoked)
        if answer.allowed or not under_way:
            return answer
    return of_dossier((under_way or dossiers)[-1], at, revoked)


def of_dossier(found: records.Dossier, at: datetime, revoked: dict[int, Reason]) -> GateResult:
    standing = workflow.standing(found.case, at)
    others = [reason for pk, reason in revoked.items() if pk != found.request.pk]
    return GateResult(
        environment=found.request.environment,
        use=found.request.use,
        allowed=standing.allowed,
        state=standing.state,
        reasons=list(standing.reasons),
        evaluated_at=at,
        version_id=found.request.version_id,
        obligations=[*standing.obligations, *others],
        requirements=list(standing.requirements),
        request_id=found.request.pk,
        revision_digest=found.revision.digest,
        policy_digest=found.request.policy_version.digest,
        manifest=found.manifest,
        valid_until=standing.valid_until,
        max_lease_seconds=found.case.policy.max_lease_seconds,
        version=found.request.version,
    )


def unrequested(
    key: Key, version: Version, bound: Sequence[workflow.Binding[PolicyVersion]], evidence: Sequence[Evidence],
    at: datetime, revoked: dict[int, Reason],
) -> GateResult:  # fmt: skip
    """No, because nobody has asked; with what would be missing under today's policy."""
    version_id, environment, use = key
    rules = governing(bound, version, use).applying(version.model.tier, environment, use)
    sentence = f"Nobody has asked for approval of {version} for “{use}” in {environment}. Ask on the version's page."
    items = [as_item(each) for each in evidence]
    rule = workflow.manifest_digest(version.decision_rule)
    missing = workflow.evidence_gaps(rules, items, version.artifact.digest, rule, at)
    reasons = [Reason("no_request", sentence), *missing]
    obligations = [*workflow.limitations(rules, items), *revoked.values()]
    if not version.bytes_here:
        obligations.insert(0, workflow.UNVERIFIED)
    return GateResult(
        environment, use, False, "no_approval", reasons, at, version_id, obligations, version=version
    )  # fmt: skip


def evidence_of(versions: Iterable[int]) -> dict[int, list[Evidence]]:
    """What stands as evidence for each version, oldest first."""
    found: dict[int, list[Evidence]] = defaultdict(list)
    for row in STANDING(list(versions)):
        found[row.version_id].append(row)
    return found


def revoked_elsewhere(artifacts: Iterable[int], until: datetime | None = None) -> dict[int, dict[int, Reason]]:
    """For each artifact, what was revoked (until a moment) of any version with these bytes, by the request's id."""
    found: dict[int, dict[int, Reason]] = defaultdict(dict)
    wanted = list(set(artifacts))
    if not wanted:
        return found
    rows = REVOKED(wanted) if until is None else revoked_of(wanted).filter(at__lte=until)
    for row in rows:
        request = row.request
        sentence = f"An approval of these bytes for “{request.use}” in {request.environment} was revoked."
        found[request.version.artifact_id][request.pk] = Reason("revoked_elsewhere", sentence)
    return found


def revoked_of(artifacts: Sequence[int]) -> QuerySet[Revocation]:
    rows = Revocation.objects.filter(request__version__artifact__in=artifacts)
    return rows.select_related("request__version").order_by("id")


REVOKED = Prepared(lambda artifact: revoked_of([artifact]), int)
STANDING: Prepared[Evidence] = Prepared(
    lambda version: Evidence.objects.filter(version__in=[version]).standing().with_parts().order_by("id"), int
)
