"""All acts by the whole cast in any order, compared with a model of the rules that fits on a page.

The model knows nothing of how the portal decides: it keeps who did what, and says who may do what next and what the
gate answers. Nothing is sealed here, so what everybody has signed for is `sealing` at the gate.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.approvals import standing, world

pytestmark = pytest.mark.django_db
ROLES = {
    "developer": "developer", "second_developer": "developer", "model_owner": "model_owner", "validator": "validator",
    "approver": "approver", "second_approver": "approver", "risk_officer": "risk_officer", "auditor": "auditor",
    "outsider": "developer", "platform_admin": "platform_administrator", "policy_admin": "policy_administrator",
    "ci_bot": "service_account",
}  # fmt: skip
BUILDERS = {"developer", "second_developer", "model_owner", "ci_bot"}
SIGNERS = {"validator", "approver", "second_approver", "risk_officer"}
MADE_IT = {"developer", "second_developer"}  # registered and contributed; produced the evidence
REQUIREMENTS = {"validation": "validator", "approval": "approver"}
WHO = st.sampled_from([*ROLES, *sorted(SIGNERS) * 3])  # those who can do most, more often


@dataclass
class Model:
    """One subject: what is asked, signed and changed about it."""

    state: str = "none"
    submitters: set[str] = field(default_factory=set)
    signed: dict[str, tuple[str, ...]] = field(default_factory=dict)  # requirement → whoever it counts as
    decided: set[str] = field(default_factory=set)
    recused: set[str] = field(default_factory=set)
    frozen: int = 0
    card: int = 0
    revoked: bool = False
    delegated: set[tuple[str, str]] = field(default_factory=set)
    before: Model | None = None  # the last one decided

    @property
    def is_open(self) -> bool:
        return self.state in ("in_review", "changes_requested")

    @property
    def outdated(self) -> bool:
        return self.frozen != self.card

    def hands(self) -> set[str]:
        owner = {"model_owner"} if self.is_open else set()
        return MADE_IT | self.submitters | owner | self.recused

    def may_decide(self, who: str, requirement: str, outcome: str, behalf: str | None) -> bool:
        """Whether this decision is taken."""
        both = {who, behalf} - {None}
        if who not in SIGNERS or self.state != "in_review" or (behalf and (behalf, who) not in self.delegated):
            return False
        if ROLES[behalf or who] != REQUIREMENTS[requirement] or both & self.hands() or self.outdated:
            return False
        if outcome != "approve":
            return True
        turn = requirement == "validation" or "validation" in self.signed
        counted = {account for accounts in self.signed.values() for account in accounts}
        return turn and requirement not in self.signed and not both & counted

    def gate(self) -> str:
        if self.state == "none":
            return "no_approval"
        if self.state == "withdrawn" and self.before:  # else whoever was refused could ask anew and withdraw that
            return replace(self.before, card=self.card).gate()
        if self.revoked:
            return "revoked"
        if self.state in ("rejected", "withdrawn"):
            return self.state
        if self.state == "approved":
            return "outdated" if self.outdated else "sealing"
        return self.state


def machine(cast: Any, version: Any) -> type[RuleBasedStateMachine]:
    """The machine over this version, whose request is made anew in each run."""
    from django.db import transaction

    from approvals import gate, services
    from approvals.models import ReviewRequest
    from ledger.refusals import Denied, Refusal
    from registry.services import edit_card

    class Acts(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.point = transaction.savepoint()
            self.model, self.number, self.asked = Model(), 0, False

        def teardown(self) -> None:
            try:
                self.ask_the_gate()
            finally:  # the next run would find what this one left, and hide what was wrong here
                transaction.savepoint_rollback(self.point)

        @property
        def request(self) -> Any:
            return ReviewRequest.objects.filter(version=version).order_by("-id").first()

        def tried(self, expected: bool, act: Any, **given: Any) -> bool:
            refusal = None
            try:
                act(**given)
            except (Refusal, Denied) as error:
                refusal = error
            assert expected == (refusal is None), refusal or "taken, though the model says no"
            self.asked &= not expected
            return expected

        @rule(who=WHO)
        def submit(self, who: str) -> None:
            given = {"version": version, "environment": "production", "use": world.USE, "note": "Please look."}
            if self.tried(who in BUILDERS and not self.model.is_open, services.submit, by=getattr(cast, who), **given):
                last = self.model
                self.model = Model("in_review", {who}, frozen=last.card, card=last.card, delegated=last.delegated)
                self.model.before = last if last.state in ("approved", "rejected") else last.before

        @rule(
            who=WHO, requirement=st.sampled_from([*REQUIREMENTS]), behalf=st.none() | st.sampled_from(sorted(SIGNERS)),
            outcome=st.sampled_from(["approve", "approve", "approve", "request_changes", "reject"]),
        )  # fmt: skip
        def decide(self, who: str, requirement: str, outcome: str, behalf: str | None) -> None:
            if self.request is None or behalf == who:
                return
            taken = self.tried(
                self.model.may_decide(who, requirement, outcome, behalf), world.sign, who=getattr(cast, who),
                request=self.request, requirement=requirement, outcome=outcome, sealed=False,
                on_behalf_of=getattr(cast, behalf) if behalf else None,
            )  # fmt: skip
            if not taken:
                return
            self.model.decided.add(who)
            if outcome == "request_changes":
                self.model.state = "changes_requested"
            elif outcome == "reject":
                self.model.state = "rejected"
            else:
                self.model.signed[requirement] = (who, behalf) if behalf else (who,)
                if len(self.model.signed) == len(REQUIREMENTS):
                    self.model.state = "approved"

        @rule(who=WHO)
        def revise(self, who: str) -> None:
            if self.request is None:
                return
            changed = self.model.outdated or self.model.state == "changes_requested"
            expected = who in BUILDERS and self.model.is_open and changed
            if self.tried(expected, services.revise, by=getattr(cast, who), request=self.request, note="Anew."):
                # The latest submitter counts, and so do all before.
                self.model.submitters.add(who)
                self.model.state, self.model.signed, self.model.frozen = "in_review", {}, self.model.card

        @rule(who=WHO)
        def change_the_card(self, who: str) -> None:
            expected = who in {"developer", "second_developer", "model_owner", "ci_bot"}
            text = f"# Use {self.number}\n"
            if self.tried(expected, edit_card, by=getattr(cast, who), version=version, card=text):
                self.number += 1
                self.model.card = self.number

        @rule(who=WHO)
        def withdraw(self, who: str) -> None:
            if self.request is not None and self.tried(
                who in BUILDERS and self.model.is_open, services.withdraw, by=getattr(cast, who), request=self.request,
                reason="It is off.",
            ):  # fmt: skip
                self.model.state = "withdrawn"

        @rule(who=WHO)
        def revoke(self, who: str) -> None:
            may = who in {"approver", "second_approver", "risk_officer"}
            if self.request is not None and self.tried(
                may and self.model.state == "approved" and not self.model.revoked, services.revoke,
                by=getattr(cast, who), request=self.request, reason="A mistake.",
            ):  # fmt: skip
                self.model.revoked = True

        @rule(who=WHO)
        def step_back(self, who: str) -> None:
            if self.request is None:
                return
            expected = who in SIGNERS and self.model.is_open and who not in self.model.recused | self.model.decided
            if self.tried(expected, services.recuse, by=getattr(cast, who), request=self.request, reason="A friend."):
                self.model.recused.add(who)

        @rule(giver=WHO, taker=WHO)
        def delegate(self, giver: str, taker: str) -> None:
            expected = giver in SIGNERS and taker in SIGNERS and giver != taker
            given = {"giver": getattr(cast, giver), "taker": getattr(cast, taker)}
            if self.tried(expected, standing.a_delegation, cast=cast, **given):
                self.model.delegated.add((giver, taker))

        @invariant()
        def the_gate_agrees(self) -> None:
            """Asked anew after what was taken, and at the end: that a refusal changes nothing shows then."""
            if not self.asked:
                self.ask_the_gate()
                self.asked = True

        def ask_the_gate(self) -> None:
            answer = gate.evaluate(version, "production", world.USE)
            assert (answer.state, answer.allowed) == (self.model.gate(), False)

    return Acts


@pytest.mark.parametrize(
    "runs", [pytest.param(40, id="two thousand steps"), pytest.param(1000, id="fifty thousand", marks=pytest.mark.long)]
)
def test_no_order_of_acts_gets_around_the_rules(cast, runs):
    version = world.a_complete_version(cast)
    acts = machine(cast, version)
    run_state_machine_as_test(
        acts,
        settings=settings(
            max_examples=runs, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck),
            print_blob=False,
        ),
    )  # fmt: skip


@pytest.mark.parametrize("outcome", ["reject", "approve"])
def test_one_that_is_withdrawn_leaves_what_was_decided_before(cast, outcome):
    acts = machine(cast, world.a_complete_version(cast))()
    acts.submit(who="second_developer")
    acts.decide(who="validator", requirement="validation", behalf=None, outcome=outcome)
    if outcome == "approve":
        acts.decide(who="approver", requirement="approval", behalf=None, outcome=outcome)
    decided = acts.model.gate()
    acts.submit(who="second_developer")
    acts.withdraw(who="second_developer")
    assert acts.model.gate() == decided == {"reject": "rejected", "approve": "sealing"}[outcome]
    acts.teardown()
