"""Evidence and what a policy wants of it: what is missing at a moment, and which limitations are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from approvals.workflow.frames import difference
from approvals.workflow.policy import EvidenceRule, Policy
from approvals.workflow.signing import Reason

PASSING = ("within", "")


@dataclass(frozen=True)
class EvidenceItem:
    """One frozen piece of evidence as the records have it now. Digests are "" where nothing was recorded.

    `at` is when it was made; what has no time is too old for any limit of age. `frame` is what a bias report tells of
    its tests and rows (see `frames`).
    """

    id: str
    kind: str
    title: str
    provenance: str
    source: str = ""
    verdict: str = ""
    artifact: str = ""
    decision_rule: str = ""
    dataset: str = ""
    registered_dataset: str = ""
    says: str = ""
    withdrawn: bool = False
    at: datetime | None = None
    frame: Mapping[str, Any] | None = field(default=None, hash=False)


def evidence_gaps(
    policy: Policy, evidence: Sequence[EvidenceItem], artifact: str, decision_rule: str, at: datetime,
    left_out: Sequence[EvidenceItem] = (),
) -> Iterable[Reason]:  # fmt: skip
    """One reason for each evidence rule that nothing frozen fulfils at this moment, naming the nearest miss.

    `left_out` is what had been computed here when the evidence was frozen and is not among it.
    """
    for rule in policy.evidence:
        alike = [item for item in evidence if _alike(rule, item)]
        if rule.runs == "all" and (picked := _picked(rule, alike, left_out, artifact, decision_rule)):
            yield picked
            continue
        misses = [(_miss(rule, item, artifact, decision_rule, at), item) for item in alike]
        if any(miss is None for miss, _ in misses):
            continue
        computed = ", computed here," if rule.provenance == "computed" else ""
        if not misses:
            yield Reason("evidence_missing", f"{rule.title}{computed} is missing. Ask for it on the version's page.")
            continue
        miss, item = misses[-1]
        assert miss is not None
        yield Reason(miss.code, f"{rule.title}: “{item.title}” {miss.sentence}")


def _alike(rule: EvidenceRule, item: EvidenceItem) -> bool:
    return item.kind == rule.kind and rule.source in ("", item.source) and rule.provenance in ("", item.provenance)


def _picked(
    rule: EvidenceRule,
    alike: Sequence[EvidenceItem],
    left_out: Sequence[EvidenceItem],
    artifact: str,
    decision_rule: str,
) -> Reason | None:
    """Why reports were picked rather than shown: some were left out, or a bad one stands beside a good one."""
    others = [item for item in left_out if _alike(rule, item)]
    if others:
        count = f"{len(others)} of {len(others) + len(alike)} reports computed here"
        advice = "The policy wants every one: attach them all in a new revision."
        return Reason(
            "evidence_left_out", f"{rule.title}: {count} {'is' if len(others) == 1 else 'are'} left out. {advice}"
        )
    misses = ((_miss(rule, item, artifact, decision_rule), item) for item in alike)
    worst = next(((miss, item) for miss, item in misses if miss and miss.code == "evidence_verdict"), None)
    return Reason(worst[0].code, f"{rule.title}: “{worst[1].title}” {worst[0].sentence}") if worst else None


def _miss(
    rule: EvidenceRule, item: EvidenceItem, artifact: str, decision_rule: str, at: datetime | None = None
) -> Reason | None:
    if item.withdrawn:
        return Reason("evidence_withdrawn", "has been withdrawn. Attach another and submit a new revision.")
    if "artifact" in rule.bound_to and item.artifact != artifact:
        return Reason("evidence_other_subject", "is about other bytes than these. Compute it for this version.")
    if "decision_rule" in rule.bound_to and item.decision_rule != decision_rule:
        return Reason("evidence_other_subject", "was computed under another decision rule. Compute it anew.")
    if "dataset" in rule.bound_to and (not item.dataset or item.dataset != item.registered_dataset):
        return Reason("evidence_other_subject", "does not rest on a registered dataset. Compute it on one.")
    if rule.frame and (other := difference(rule.frame, item.frame)):
        return Reason(other.code, other.sentence)
    # What was tested in a frame has a verdict: only a document for reading has none.
    if rule.verdicts == "within_only" and item.verdict not in (PASSING[:1] if rule.frame else PASSING):
        return Reason(
            "evidence_verdict", f"says {verdict_words(item.verdict)}; the policy takes only reports within bounds."
        )
    if rule.max_age and at and (item.at is None or at >= item.at + rule.max_age):
        return Reason("evidence_too_old", f"is older than {rule.max_age_days} days. Make a new one and ask again.")
    return None


def stale_from(
    policy: Policy, evidence: Sequence[EvidenceItem], artifact: str, decision_rule: str
) -> Iterable[datetime]:
    """For each evidence rule with a limit of age, when the last of what fulfils it becomes too old."""
    for rule in policy.evidence:
        lasting = replace(rule, max_age_days=None)
        ends = [
            item.at + rule.max_age
            for item in evidence
            if rule.max_age and item.at and _alike(rule, item) and _miss(lasting, item, artifact, decision_rule) is None
        ]
        if ends:
            yield max(ends)


def limitations(policy: Policy, evidence: Sequence[EvidenceItem]) -> Iterable[Reason]:
    """Known limitations: frozen reports with a verdict that is not within bounds, by the code `evidence:<id>`.

    One in another frame than the policy's is one even where such a verdict blocks: there its own blocks nothing.
    """
    for item in evidence:
        asked = any(_alike(rule, item) and _lets_stand(rule, item) for rule in policy.evidence)
        if asked and item.verdict not in PASSING:
            said = f" {item.says}" if item.says else ""
            yield Reason(f"evidence:{item.id}", f"“{item.title}” says {verdict_words(item.verdict)}.{said}")


def _lets_stand(rule: EvidenceRule, item: EvidenceItem) -> bool:
    return rule.verdicts == "acknowledge" or (rule.frame is not None and difference(rule.frame, item.frame) is not None)


def verdict_words(verdict: str) -> str:
    named = {"within": "within the bounds", "outside": "outside the bounds", "too_few": "too few people to test"}
    return named.get(verdict, verdict.replace("_", " "))
