"""Policies and bindings come into force by two people: one proposes, another publishes or declines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accounts.models import Role, Team, User
from accounts.services import require_reason
from accounts.takeover.holding import require_settled
from approvals import frameworks, workflow
from approvals.models import Policy, PolicyBinding, PolicyVersion, Proposal
from approvals.standing_in import SIGNS
from approvals.workflow import InvalidPolicy
from approvals.workflow.documents import SLUG
from ledger.actors import Actor
from ledger.canonical import canonical, sha256
from ledger.door import Done, governed
from ledger.events import database_time
from ledger.refusals import Refusal
from registry.models import Model

MOST_BYTES = 100_000


def checked(document: Mapping[str, Any]) -> workflow.Policy:
    """The policy that a document is, fit to be published here.

    Raises Refusal `policy_invalid`, whose `field` is the place; `role_unknown` or `framework_unknown`.
    """
    try:
        policy = workflow.read_policy(document)
    except InvalidPolicy as error:
        raise Refusal("policy_invalid", f"{str(error)[:1].upper()}{str(error)[1:]}.", error.place) from error
    if document["format"] != workflow.POLICY_FORMAT:
        raise Refusal("policy_invalid", f"New policies have the format {workflow.POLICY_FORMAT}.", "format")
    signing = set(Role.objects.filter(permissions__contains=[SIGNS]).values_list("slug", flat=True))
    for number, stage in enumerate(policy.stages):
        for place, requirement in enumerate(stage.requirements):
            if requirement.role not in signing:
                names = ", ".join(sorted(signing))
                sentence = f"Nobody signs as {requirement.role}. Choose one of {names}."
                raise Refusal("role_unknown", sentence, f"stages.{number}.requirements.{place}.role")
    for number, name in enumerate(policy.frameworks):
        if name not in frameworks.everything():
            sentence = f"No framework is called {name}. Choose one of {', '.join(frameworks.everything())}."
            raise Refusal("framework_unknown", sentence, f"frameworks.{number}")
    return policy


def next_number(slug: str) -> int:
    newest = PolicyVersion.objects.filter(policy__slug=slug).order_by("-number").first()
    return newest.number + 1 if newest else 1


@governed(permission="approvals.propose_policy", event="policy.proposed", on=None)
def propose_version(*, by: Actor, document: Mapping[str, Any], note: str, binds_now: bool = False) -> Done[Proposal]:
    """Propose a policy, or the next version of one. Nothing changes until somebody else publishes it.

    The document says its own version; it must be the next one. Raises Refusal `policy_invalid`, `role_unknown`,
    `framework_unknown`, `policy_changed_meanwhile`, `nothing_changed`, `policy_too_long` or `reason_needed`.
    """
    assert isinstance(by, User)
    require_person(by)
    policy = checked(document)
    require_reason(note, "note")
    if policy.version != next_number(policy.slug):
        raise changed_meanwhile(policy)
    raw = canonical(workflow.write_policy(policy))
    if len(raw) > MOST_BYTES:
        raise Refusal("policy_too_long", f"A policy has at most {MOST_BYTES:,} bytes. Shorten its texts.")
    newest = PolicyVersion.objects.filter(policy__slug=policy.slug).order_by("-number").first()
    if newest and {**newest.content, "version": policy.version} == workflow.write_policy(policy):
        raise Refusal("nothing_changed", "This says the same as the newest version. There is nothing to publish.")
    row = Proposal.objects.create(
        kind=Proposal.Kind.VERSION, document=raw, digest=sha256(raw), binds_now=binds_now, note=note.strip(),
        proposed_by=by, policy=newest.policy if newest else None,
    )  # fmt: skip
    facts = {"policy": policy.slug, "version": policy.version, "digest": row.digest, "binds_now": binds_now}
    return Done(row, on=row, facts=facts, discloses={"note": row.note})


def require_person(by: User) -> None:
    if not by.is_person:
        raise Refusal("humans_only", "Only a person decides about policies.")


def changed_meanwhile(policy: workflow.Policy) -> Refusal:
    number = next_number(policy.slug) - 1
    sentence = (
        f"Version {number} of this policy is published, so the next is {number + 1}, not {policy.version}. Perhaps "
        "somebody published while you were writing: look at theirs, then propose yours anew."
    )
    return Refusal("policy_changed_meanwhile", sentence, "version")


@governed(permission="approvals.propose_policy", event="policy_binding.proposed", on=None)
def propose_binding(
    *, by: Actor, policy: Policy | None, team: Team | None, use: str, tier: str, note: str
) -> Done[Proposal]:
    """Propose which policy governs new requests of a team, use and tier (None or "" means any).

    Without a policy an earlier binding ends. Raises Refusal `use_invalid`, `tier_unknown`, `nothing_bound` (there is
    none to end), `binding_needed` (what governs everything else cannot end), `nothing_changed` or `reason_needed`.
    """
    assert isinstance(by, User)
    require_person(by)
    require_reason(note, "note")
    if use and (not SLUG.match(use) or len(use) > 60):
        sentence = "Write the use in small letters, digits and hyphens, such as “mortgage-screening”; at most 60."
        raise Refusal("use_invalid", sentence, "use")
    if tier and tier not in Model.Tier.values:
        raise Refusal("tier_unknown", f"Choose one of {', '.join(Model.Tier.values)}.", "tier")
    there = PolicyBinding.objects.in_force().filter(team=team, use=use, tier=tier).first()
    if policy is None and not (team or use or tier):
        sentence = "Something has to govern every request. Bind another policy here instead of none."
        raise Refusal("binding_needed", sentence, "policy")
    if policy is None and there is None:
        raise Refusal("nothing_bound", "Nothing is bound to exactly this team, use and tier.", "policy")
    if there is not None and there.policy == policy:
        raise Refusal("nothing_changed", "This policy governs exactly this already.", "policy")
    row = Proposal.objects.create(
        kind=Proposal.Kind.BINDING, policy=policy, team=team, use=use, tier=tier, note=note.strip(), proposed_by=by
    )
    return Done(row, on=row, facts=binding_facts(row), discloses={"note": row.note})


def binding_facts(row: Proposal) -> dict[str, Any]:
    """Not named `team`: the whole house's administrators propose it, whichever team it is for."""
    return {
        "policy": row.policy.slug if row.policy else None, "for_team": str(row.team_id) if row.team_id else None,
        "use": row.use, "tier": row.tier,
    }  # fmt: skip


@governed(permission="approvals.publish_policy", event="policy.published", on="proposal")
def publish(*, by: Actor, proposal: Proposal, digest: str = "", answer: str = "") -> Done[Proposal]:
    """Bring a proposal into force. `digest` is that of the policy which the publisher has read.

    Raises Refusal `proposal_closed`, `own_proposal`, `credentials_changed`, `changed_while_reading`,
    `policy_changed_meanwhile`, or what `checked` raises where roles or frameworks are no longer there.
    """
    assert isinstance(by, User)
    deciding(by, proposal)
    facts: dict[str, Any] = {"proposal": str(proposal.pk)}
    if proposal.kind == Proposal.Kind.VERSION:
        if digest != proposal.digest:
            sentence = "This is not the text that you read. Look at the proposal again."
            raise Refusal("changed_while_reading", sentence)
        version = published(proposal)
        facts |= {
            "policy": version.policy.slug, "version": version.number, "digest": version.digest,
            "binds_now": version.binds_now,
        }  # fmt: skip
    else:
        scope = {"team": proposal.team, "use": proposal.use, "tier": proposal.tier}
        PolicyBinding.objects.create(policy=proposal.policy, proposal=proposal, **scope)
        facts |= binding_facts(proposal)
    decide(proposal, by, Proposal.State.PUBLISHED, answer)
    return Done(proposal, facts=facts, discloses={"answer": proposal.answer} if proposal.answer else {})


def published(proposal: Proposal) -> PolicyVersion:
    policy = checked(proposal.content)
    row, _ = Policy.objects.get_or_create(slug=policy.slug, defaults={"title": policy.title})
    # Whoever publishes another proposal of the same policy waits here, and then finds the number taken.
    Policy.objects.select_for_update().get(pk=row.pk)
    if policy.version != next_number(policy.slug):
        raise changed_meanwhile(policy)
    if row.title != policy.title:
        row.title = policy.title
        row.save(update_fields=["title"])
    return PolicyVersion.objects.create(
        policy=row, number=policy.version, document=bytes(proposal.document or b""), digest=proposal.digest,
        binds_now=proposal.binds_now,
    )  # fmt: skip


def deciding(by: User, proposal: Proposal) -> None:
    require_person(by)
    if proposal.state != Proposal.State.OPEN:
        word = proposal.get_state_display().lower()
        raise Refusal("proposal_closed", f"This proposal is {word} already. There is nothing left to decide.")
    if proposal.proposed_by_id == by.pk:
        sentence = "You proposed this yourself. Somebody else has to publish or decline it."
        raise Refusal("own_proposal", sentence)
    require_settled(by)


def decide(proposal: Proposal, by: User, state: str, answer: str) -> None:
    proposal.state, proposal.decided_by, proposal.decided_at = state, by, database_time()
    proposal.answer = answer.strip()
    proposal.save(update_fields=["state", "decided_by", "decided_at", "answer"])


@governed(permission="approvals.publish_policy", event="policy.declined", on="proposal")
def decline(*, by: Actor, proposal: Proposal, answer: str) -> Done[Proposal]:
    """Raises Refusal `proposal_closed`, `own_proposal` or `reason_needed`."""
    assert isinstance(by, User)
    deciding(by, proposal)
    require_reason(answer, "answer")
    decide(proposal, by, Proposal.State.DECLINED, answer)
    return Done(proposal, facts={"digest": proposal.digest}, discloses={"answer": proposal.answer})


@governed(permission="approvals.propose_policy", event="policy.withdrawn", on="proposal")
def withdraw_proposal(*, by: Actor, proposal: Proposal) -> Done[Proposal]:
    """Take one's own proposal back. Raises Refusal `proposal_closed` or `not_yours`."""
    assert isinstance(by, User)
    if proposal.state != Proposal.State.OPEN:
        word = proposal.get_state_display().lower()
        raise Refusal("proposal_closed", f"This proposal is {word} already. There is nothing left to decide.")
    if proposal.proposed_by_id != by.pk:
        raise Refusal("not_yours", "Only who proposed it takes it back. You can decline it instead, with a reason.")
    decide(proposal, by, Proposal.State.WITHDRAWN, "")
    return Done(proposal, facts={"digest": proposal.digest})
