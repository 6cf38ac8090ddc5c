"""Pure rules of approval: policies, manifests, who may sign, and what the signatures add up to."""

from approvals.workflow.binding import Binding, governing
from approvals.workflow.comparison import Compared
from approvals.workflow.documents import FORMAT as POLICY_FORMAT
from approvals.workflow.documents import read as read_policy
from approvals.workflow.documents import write as write_policy
from approvals.workflow.emergency import EMERGENCY, emergency_requirement, why_no_emergency
from approvals.workflow.evidence import EvidenceItem, evidence_gaps, limitations, stale_from, verdict_words
from approvals.workflow.manifest import Change, Line, differences, lines, manifest_digest
from approvals.workflow.material import FROM as CHANGES_FROM
from approvals.workflow.material import HIGHEST, MaterialChange, material_change
from approvals.workflow.material import TITLES as CHANGE_TITLES
from approvals.workflow.policy import ENVIRONMENTS, EvidenceRule, InvalidPolicy, Policy, Requirement, Stage
from approvals.workflow.signing import People, Person, Reason, may_sign, why_excluded
from approvals.workflow.standing import (
    APPROVED,
    APPROVING,
    EXPIRING,
    FIXED,
    OPEN,
    Case,
    Fulfilment,
    Signature,
    Standing,
    fulfilments,
    gaps,
    needs_revision,
    pin_ended,
    standing,
    weighing,
)
from approvals.workflow.trying import Past, Tried, tried
from approvals.workflow.upstream import UNVERIFIED, Upstream

__all__ = [
    "APPROVED",
    "APPROVING",
    "CHANGES_FROM",
    "CHANGE_TITLES",
    "EMERGENCY",
    "ENVIRONMENTS",
    "EXPIRING",
    "FIXED",
    "HIGHEST",
    "OPEN",
    "POLICY_FORMAT",
    "UNVERIFIED",
    "Binding",
    "Case",
    "Change",
    "Compared",
    "EvidenceItem",
    "EvidenceRule",
    "Fulfilment",
    "InvalidPolicy",
    "Line",
    "MaterialChange",
    "Past",
    "People",
    "Person",
    "Policy",
    "Reason",
    "Requirement",
    "Signature",
    "Stage",
    "Standing",
    "Tried",
    "Upstream",
    "differences",
    "emergency_requirement",
    "evidence_gaps",
    "fulfilments",
    "gaps",
    "governing",
    "limitations",
    "lines",
    "manifest_digest",
    "material_change",
    "may_sign",
    "needs_revision",
    "pin_ended",
    "read_policy",
    "stale_from",
    "standing",
    "tried",
    "verdict_words",
    "weighing",
    "why_excluded",
    "why_no_emergency",
    "write_policy",
]
