"""The fifteen invariants of approvals: what each says, the line that enforces it, and the test that fails without it.

`docs/approvals.md` has them as a table, which a test compares with this list; `test_invariants.py` breaks each line and
sees the test fail.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Invariant:
    """`line` stands once in `file`; with `broken` in its place `test` must fail."""

    number: int
    says: str
    test: str
    file: str
    line: str
    broken: str


RULES = "approvals/workflow/standing.py"
PURE = "tests/approvals/test_workflow.py"
INVARIANTS = (
    Invariant(
        1, "An approval is active only while the digest recomputed now is the one that was signed.",
        f"{PURE}::test_each_way_to_no", RULES,
        "    outdated = case.computed != case.frozen\n", "    outdated = False\n",
    ),
    Invariant(
        2, "Whatever changes makes a new revision; an older signature counts only where the policy carries it over.",
        "tests/approvals/test_policy_documents.py::test_any_change_to_its_subject_ends_that", RULES,
        "return not taken_back and {*FIXED, *requirement.carry_over_if} <= signature.untouched",
        "return not taken_back",
    ),
    Invariant(
        3, "The policy is pinned at submission; a new version changes nothing under way.",
        "tests/approvals/test_publishing.py::test_a_new_version_changes_nothing_under_way", "approvals/dossier.py",
        "return request.policy_version.applying(",
        "return type(request.policy_version).objects.latest(\"number\").applying(",
    ),
    Invariant(
        4, "Nobody signs what they submitted, contributed to or produced evidence for.",
        f"{PURE}::test_yes_means_two_different_people_without_a_hand_in_it_signed_this_digest",
        "approvals/workflow/signing.py",
        "if name in HANDS and person in getattr(people, name)]", "if name in HANDS and person in ()]",
    ),
    Invariant(
        5, "One person counts once for a requirement, however many roles they hold.",
        f"{PURE}::test_one_person_counts_once_for_a_requirement_whatever_the_policy_says", RULES,
        "given |= {(requirement.slug, each) for each in accounts}", "given |= set()",
    ),
    Invariant(
        6, "Whoever signs for another counts as both.",
        "tests/approvals/test_emergency.py::test_two_people_for_hours_and_everybody_sees_it", RULES,
        "return (self.signer, self.behalf) if self.behalf else (self.signer,)", "return (self.signer,)",
    ),
    Invariant(
        7, "Only a person signs, with a fresh proof of identity for exactly this digest, once.",
        "tests/approvals/test_signing.py::test_a_nonce_is_for_one_person_session_digest_and_signature",
        "approvals/proving.py",
        "nonce=hashed(nonce), person=by, request=request, digest=digest,",
        "nonce=hashed(nonce), person=by, request=request,",
    ),
    Invariant(
        8, "A request that is over takes no decision; of two that exclude each other one is refused.",
        "tests/approvals/test_concurrency.py::test_two_approvers_at_once_fill_one_place_once", "approvals/signing.py",
        '@governed(permission="approvals.sign_decision", event="decision.signed", on="request")',
        '@governed(permission="approvals.sign_decision", event="decision.signed", on="request", lock=False)',
    ),
    Invariant(
        9, "Decision, state and event commit together.",
        "tests/ledger/test_door.py", "ledger/door.py",
        "                with transaction.atomic(durable=True):\n                    if on and target",
        "                with __import__('contextlib').nullcontext():\n                    if not 'locked' and target",
    ),
    Invariant(
        10, "No evidence, evidence about something else or withdrawn evidence means no.",
        f"{PURE}::test_evidence_counts_only_for_exactly_this", "approvals/workflow/evidence.py",
        "        if not misses:\n            yield", "        if not misses:\n            continue\n            yield",
    ),
    Invariant(
        11, "An accepted risk ends with its day, and is shown wherever the approval is.",
        "tests/approvals/test_findings_rules.py::test_after_its_day_it_says_so_and_a_renewal_counts_again",
        "approvals/workflow/findings.py",
        "each.covers(severity)\n        and not overdue(each.until, at)", "each.covers(severity)",
    ),
    Invariant(
        12, "Time that runs out never approves.",
        "tests/approvals/test_policy_documents.py::test_a_request_under_way_too_long_or_superseded_needs_a_new_revision",
        RULES,
        "if case.state in OPEN and (stale := pin_ended(case, at)):", "if False and (stale := pin_ended(case, at)):",
    ),
    Invariant(
        13, "A decision counts only once its event is sealed.",
        "tests/approvals/test_sealed.py::test_a_signature_counts_only_once_it_is_sealed", RULES,
        '[each for each in counted if each.seal == "sealed"]', "[each for each in counted]",
    ),
    Invariant(
        14, "An emergency takes several people, lasts hours, and ends by itself.",
        "tests/approvals/test_emergency.py::test_two_people_for_hours_and_everybody_sees_it",
        "approvals/workflow/emergency.py", "or until is None or at >= until or", "or until is None or",
    ),
    Invariant(
        15, "What somebody signed goes on counting when they leave, unless the policy suspends it.",
        f"{PURE}::test_the_policy_says_what_a_signers_leaving_does", RULES,
        'if case.policy.deactivated_signer == "suspends" and not all(', "if not all(",
    ),
)  # fmt: skip
