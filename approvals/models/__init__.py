"""What the approvals floor keeps: policies and what binds them, requests, and what was decided about them."""

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

__all__ = [
    "Comment",
    "Decision",
    "EvidencePack",
    "EvidenceView",
    "Policy",
    "PolicyBinding",
    "PolicyVersion",
    "Proposal",
    "Reauthentication",
    "RequestQuerySet",
    "ReviewRequest",
    "Revision",
    "Revocation",
]
