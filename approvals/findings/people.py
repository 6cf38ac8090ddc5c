"""Who can be made to answer for a finding, and who had a hand in what it is about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.db.models import Q, QuerySet

from accounts.models import Grant, User
from approvals.findings.models import Finding, FindingStep
from approvals.models import ReviewRequest, Revision
from ledger.refusals import Refusal
from registry.models import Version

HUMANS = "Only a person does this. A service account may answer nothing and close nothing."


def owners_of(team_id: int) -> QuerySet[User]:
    """People of the team who may answer findings, by name: whoever owns one has to be able to."""
    grants = Grant.objects.active().filter(
        Q(team=None) | Q(team_id=team_id), role__permissions__contains=["approvals.answer_finding"]
    )
    people: QuerySet[User] = User.objects.filter(
        is_active=True, kind=User.Kind.PERSON, pk__in=grants.values("user")
    ).order_by("name", "pk")  # fmt: skip
    return people


def checked_owner(team_id: int, owner: User, field: str = "owner") -> User:
    """Raises Refusal `owner_cannot_answer` for somebody who may not answer findings of the team."""
    if not owners_of(team_id).filter(pk=owner.pk).exists():
        sentence = (
            "This account may not answer findings of the team. Choose an owner or a developer of the model's team."
        )
        raise Refusal("owner_cannot_answer", sentence, field)
    return owner


def hands_on(findings: Iterable[Finding]) -> dict[int, set[int]]:
    """For each finding's id the ids of whoever had a hand in it: in the version, its model or a request for its
    approval, or as somebody who owned or answered the finding at any time. Five queries, however many findings.
    """
    rows = list(findings)
    if not rows:
        return {}
    versions = {each.version_id for each in rows}
    in_version: dict[int, set[int]] = defaultdict(set)
    for table, path in ((Version, "pk"), (ReviewRequest, "version"), (Revision, "request__version")):
        for version, *people in table.objects.filter(**{f"{path}__in": versions}).values_list(path, *HANDS[table]):
            in_version[version].update(people)
    named = Version.contributors.through.objects.filter(version__in=versions)
    for version, person in named.values_list("version", "user"):
        in_version[version].add(person)
    found = {each.pk: set(in_version[each.version_id]) for each in rows}
    steps = FindingStep.objects.filter(finding__in=found)
    for finding, owner, kind, by in steps.values_list("finding", "owner", "kind", "by"):
        found[finding] |= {owner, by} if kind == FindingStep.Kind.ANSWERED else {owner}
    return found


HANDS: dict[Any, tuple[str, ...]] = {
    Version: ("registered_by", "model__owner"), ReviewRequest: ("submitted_by",), Revision: ("submitted_by",),
}  # fmt: skip


def judging(finding: Finding, by: User) -> None:
    """Raises Refusal `humans_only`, or `own_work` for somebody who would judge what they did themselves."""
    if not by.is_person:
        raise Refusal("humans_only", HUMANS)
    if by.pk in hands_on([finding])[finding.pk]:
        sentence = "You had a hand in this version, or answer for the finding. Somebody else has to judge it."
        raise Refusal("own_work", sentence)
