"""The gate box: its title, each requirement with who signed and who may, and what this person may sign."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from django.db.models import Q
from django.urls import reverse

from accounts.models import Grant, User
from approvals import workflow
from approvals.dossier import Dossier
from approvals.models import ReviewRequest
from approvals.showing.manifests import Shown
from approvals.signing import reasons_against
from approvals.standing_in import givers_of
from approvals.workflow import findings as rules
from ledger.events import database_time


def signing(found: Dossier, viewer: User) -> list[workflow.Fulfilment]:
    """The requirements that this person's approval would count for now, their own or in somebody's place."""
    if found.request.state != ReviewRequest.State.IN_REVIEW:
        return []
    requirements = workflow.standing(found.case, database_time()).requirements
    places = [None, *givers_of(viewer, found.request.team_id)]
    return [
        each
        for each in requirements
        if any(not reasons_against(found, each.requirement, viewer, behalf=place) for place in places)
    ]


def gate_lines(found: Dossier, standing: workflow.Standing, viewer: User | None, at: datetime) -> list[Shown]:
    """The lines of the gate box: what evidence the policy wants, then who signs what.

    Without a viewer nothing is said of who may sign: looking back, nobody may.
    """
    case, weighed = found.case, standing.weighed
    shown = []
    for rule in found.policy.evidence:
        one = replace(found.policy, evidence=(rule,))
        gap, lifted = weighed.gaps.get(rule.slug), weighed.lifted.get(f"evidence:{rule.slug}")
        limits = list(workflow.limitations(one, case.evidence))
        if gap:
            shown.append(Shown(state="not_met", text=gap.sentence))
        elif lifted:
            shown.append(accepted(lifted, rule.title))
        elif limits:
            shown.append(
                Shown(state="accepted", title=rule.title, text=limits[0].sentence, who="Signers acknowledge it.")
            )
        else:
            shown.append(Shown(state="met", text=rule.title))
    stands = [each for each in case.findings if each.state in rules.STANDING]
    for finding in stands:
        if lifted := weighed.lifted.get(finding.target):
            shown.append(accepted(lifted, finding.named))
    for reason in weighed.reasons:
        shown.append(Shown(state="not_met", text=reason.sentence))
    shown += [requirement_line(found, each, viewer) for each in standing.requirements]
    return shown


def accepted(acceptance: rules.Acceptance, title: str) -> Shown:
    until = f"{acceptance.until:%-d %b %Y}"
    return Shown(
        state="accepted", title=title, text=acceptance.reason, who=f"A risk officer answers for it until {until}.",
        url=reverse("risk-acceptance", args=[acceptance.id]),
    )  # fmt: skip


def requirement_line(found: Dossier, each: workflow.Fulfilment, viewer: User | None) -> Shown:
    needed, given = each.requirement.count, len(each.signers)
    signed = {str(one.signer.opaque_id): one.signer.name for one in found.decisions}
    who = f"Signed by {', '.join(signed[signer] for signer in each.signers)}. " if each.signers else ""
    role = each.requirement.role.replace("_", " ")
    text = (
        f"one {role} who had no part in making it."
        if needed == 1
        else f"{needed} {role}s who had no part in making it."
    )
    state = each.state
    if viewer is not None and found.request.is_open and each.state != "met":
        if each.state == "waiting" and not reasons_against(found, each.requirement, viewer):
            who += "You may sign."
        else:
            may = [user.name for user in eligible(found, each.requirement)]
            after = ", after the stage before" if each.state == "blocked" else ""
            who += f"{', '.join(may[:4])} may sign{after}." if may else NOBODY
            state = each.state if may else "not_met"
    return Shown(state=state, title=each.requirement.title, text=text, who=who, note=f"{given} of {needed}",
                 part=f"requirement-{each.requirement.slug}")  # fmt: skip


NOBODY = (
    "Nobody may sign this now: every holder of the role had a hand in it. A platform administrator can grant the role."
)


def eligible(found: Dossier, requirement: workflow.Requirement) -> list[User]:
    """People who hold the role in the model's team, had no hand in it and have not signed yet, by name."""
    team = found.request.version.model.team_id
    where = Q(team=None) if requirement.scope == "house" else Q(team=None) | Q(team=team)
    holding = Grant.objects.active().filter(where, role__slug=requirement.role)
    signed = {str(each.signer.opaque_id) for each in found.decisions if each.digest == found.case.computed}
    return [
        user
        for user in User.objects.filter(grants__in=holding, is_active=True, kind=User.Kind.PERSON).distinct()
        if str(user.opaque_id) not in signed
        and not workflow.why_excluded(requirement, str(user.opaque_id), found.case.people)
    ]


def headline(found: Dossier, standing: workflow.Standing, at: datetime) -> tuple[str, str]:
    """The gate box's title and tone."""
    where = found.request.environment
    if standing.state == "emergency":
        return f"Serves in {where} under an emergency approval: finish the review", "no"
    if standing.allowed:
        return f"May serve in {where}", "ok"
    if standing.state in workflow.OPEN:
        lines = [each.state for each in standing.requirements]
        against = len(standing.weighed.reasons)
        left = sum(state != "met" for state in lines) + len(standing.weighed.gaps) + against
        total = len(lines) + len(found.policy.evidence) + against
        return f"Cannot serve yet: {left} of {total} requirements {'is' if left == 1 else 'are'} open", "wait"
    return f"May not serve in {where}: {standing.state.replace('_', ' ')}", "no"
