"""What the approvals floor keeps: policies and what binds them, requests, and what was decided about them."""

from approvals.findings.models import AcceptanceWithdrawal, Finding, FindingStep, RiskAcceptance
from approvals.models.people import Delegation, Recusal
from approvals.models.policies import Policy, PolicyBinding, PolicyVersion, Proposal
from approvals.models.requests import (
    Comment,
    Decision,
    EvidenceView,
    Reauthentication,
    RequestQuerySet,
    ReviewRequest,
    Revision,
    Revocation,
)
from approvals.pack.models import EvidencePack
from approvals.reporting.models import ReportDraft

__all__ = [
    "AcceptanceWithdrawal",
    "Comment",
    "Decision",
    "Delegation",
    "EvidencePack",
    "EvidenceView",
    "Finding",
    "FindingStep",
    "Policy",
    "PolicyBinding",
    "PolicyVersion",
    "Proposal",
    "Reauthentication",
    "Recusal",
    "ReportDraft",
    "RequestQuerySet",
    "ReviewRequest",
    "Revision",
    "Revocation",
    "RiskAcceptance",
]
