"""What the pages show of a request."""

from approvals.showing.gatebox import eligible, gate_lines, headline, signing
from approvals.showing.manifests import Delta, changes, deltas, manifest_lines, rule_in_words
from approvals.showing.offers import offers_of
from approvals.showing.parts import (
    conversation,
    earlier,
    evidence_rows,
    left_out,
    moments,
    opened_by,
    people,
    prospect,
    stepped_back,
)
from approvals.showing.runs import every_run
from approvals.showing.talk import comments_of, grouped, lines_of, parts_of
from approvals.showing.then import policy_then, request_then

__all__ = [
    "Delta",
    "changes",
    "comments_of",
    "conversation",
    "deltas",
    "earlier",
    "eligible",
    "every_run",
    "evidence_rows",
    "gate_lines",
    "grouped",
    "headline",
    "left_out",
    "lines_of",
    "manifest_lines",
    "moments",
    "offers_of",
    "opened_by",
    "parts_of",
    "people",
    "policy_then",
    "prospect",
    "request_then",
    "rule_in_words",
    "signing",
    "stepped_back",
]
