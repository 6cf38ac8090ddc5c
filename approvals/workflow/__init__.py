"""Pure rules of approval: policies, manifests, who may sign, and what the signatures add up to."""

from approvals.workflow.manifest import Change, Line, differences, lines, manifest_digest
from approvals.workflow.policy import EvidenceRule, InvalidPolicy, Policy, Requirement, Stage
from approvals.workflow.signing import People, Person, Reason, may_sign, why_excluded
from approvals.workflow.standing import (
    APPROVED,
    APPROVING,
    EXPIRING,
    OPEN,
    Case,
    EvidenceItem,
    Fulfilment,
    Signature,
    Standing,
    evidence_gaps,
    limitations,
    standing,
    verdict_words,
    weighing,
)

ENVIRONMENTS = ("development", "staging", "production")

__all__ = [
    "APPROVED",
    "APPROVING",
    "ENVIRONMENTS",
    "EXPIRING",
    "OPEN",
    "Case",
    "Change",
    "EvidenceItem",
    "EvidenceRule",
    "Fulfilment",
    "InvalidPolicy",
    "Line",
    "People",
    "Person",
    "Policy",
    "Reason",
    "Requirement",
    "Signature",
    "Stage",
    "Standing",
    "differences",
    "evidence_gaps",
    "limitations",
    "lines",
    "manifest_digest",
    "may_sign",
    "standing",
    "verdict_words",
    "weighing",
    "why_excluded",
]
