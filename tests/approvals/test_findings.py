"""Findings: raised and judged by the second line, answered by the first, and what they do at the gate."""

from __future__ import annotations

from datetime import timedelta

import pytest

from approvals import dossier, gate, services, workflow
from approvals.findings import services as acts
from approvals.findings.models import FindingStep
from approvals.models import Decision, Finding
from ledger.events import database_time
from ledger.models import Event
from ledger.refusals import Denied, Refusal
from tests.approvals import world
from tests.approvals.findings_world import TEXT, a_finding, in_days
from tests.approvals.test_signing import grant

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(cast):
    return world.a_complete_version(cast)


def refused(code, act, **named):
    """Refused with this code, and its refused event is all that it leaves."""
    rows, events = (
        list(FindingStep.objects.values_list("id", flat=True)),
        set(Event.objects.values_list("id", flat=True)),
    )
    with pytest.raises(Refusal) as caught:
        act(**named)
    assert caught.value.code == code, caught.value.sentence
    left = [event for event in Event.objects.order_by("id") if event.id not in events]
    assert [(event.outcome, event.content["facts"]["code"]) for event in left] == [("refused", code)]
    assert list(FindingStep.objects.values_list("id", flat=True)) == rows
    return caught.value


def codes(request, at=None):
    found = dossier.open_dossier(request)
    return [each.code for each in workflow.standing(found.case, at or database_time()).reasons]


def test_a_finding_goes_its_way_and_each_step_is_sealed(cast, version):
    finding = a_finding(cast, version, reference="card, line 3")
    acts.answer(by=cast.developer, finding=finding, text="Tested now, see the new report.")
    acts.reopen(by=cast.validator, finding=finding, reason="The report is about other data.", due=in_days(20))
    acts.answer(by=cast.second_developer, finding=finding, text="Redone on the right data.")
    acts.reassess(by=cast.risk_officer, finding=finding, severity="medium", reason="Small sums.")
    acts.close(by=cast.validator, finding=finding, reason="I read the new report.")
    steps = list(finding.steps.order_by("number"))
    assert [(each.kind, each.state, each.severity) for each in steps] == [
        ("raised", "open", "high"), ("answered", "answered", "high"), ("reopened", "open", "high"),
        ("answered", "answered", "high"), ("reassessed", "answered", "medium"), ("closed", "closed", "medium"),
    ]  # fmt: skip
    assert {each.owner for each in steps} == {version.model.owner}
    assert steps[-1].due == in_days(20)
    events = Event.objects.filter(event__startswith="finding.").order_by("id")
    assert [each.event.partition(".")[2] for each in events] == [each.kind for each in steps]
    assert events.last().content["records"].keys() == {f"approvals.findingstep/{steps[-1].pk}"}
    assert TEXT not in str(events.first().content), "words are disclosed, not recorded"


def test_only_the_second_line_judges_and_only_the_first_answers(cast, version):
    finding = a_finding(cast, version)
    raising = {"version": version, "severity": "low", "title": "Another", "text": TEXT, "due": in_days(3)}
    for who in (cast.developer, cast.approver, cast.auditor, cast.ci_bot, cast.model_owner):
        with pytest.raises(Denied):
            acts.raise_finding(by=who, **raising)
        with pytest.raises(Denied):
            acts.close(by=who, finding=finding, reason="done")
        with pytest.raises(Denied):
            acts.reassess(by=who, finding=finding, severity="low", reason="no")
    for who in (cast.validator, cast.risk_officer, cast.approver):
        with pytest.raises(Denied):
            acts.answer(by=who, finding=finding, text="I would say.")


def test_nobody_judges_their_own_work(cast, version):
    finding = a_finding(cast, version, owner=cast.model_owner)
    acts.answer(by=cast.second_developer, finding=finding, text="Done.")
    for who in (cast.developer, cast.second_developer, cast.model_owner):
        grant(cast, who, "validator")
        refused("own_work", acts.close, by=who, finding=finding, reason="fine")
        refused("own_work", acts.reassess, by=who, finding=finding, severity="low", reason="fine")
    handed = a_finding(cast, version)
    grant(cast, cast.second_approver, "validator")
    grant(cast, cast.second_approver, "developer")
    acts.reassess(by=cast.validator, finding=handed, owner=cast.second_approver, reason="knows it best")
    acts.reassess(by=cast.validator, finding=handed, owner=cast.developer, reason="back")
    refused("own_work", acts.close, by=cast.second_approver, finding=handed, reason="had it once")
    acts.close(by=cast.validator, finding=handed, reason="fine")


def test_raising_says_what_is_wrong_with_it(cast, version):
    good = {"severity": "low", "title": "Cut-off", "text": TEXT, "due": in_days(3)}
    for code, changes in [
        ("unknown_severity", {"severity": "awful"}), ("title_needed", {"title": " x "}), ("text_needed", {"text": " "}),
        ("text_too_long", {"text": "x" * 10_001}), ("due_passed", {"due": in_days(-1)}),
        ("owner_cannot_answer", {"owner": cast.approver}), ("owner_cannot_answer", {"owner": cast.outsider}),
        ("other_version", {"request": world.a_request(cast)}),
    ]:  # fmt: skip
        refused(code, acts.raise_finding, by=cast.validator, version=version, **{**good, **changes})


def test_a_step_that_leads_nowhere_is_refused(cast, version):
    finding = a_finding(cast, version)
    refused("finding_open", acts.reopen, by=cast.validator, finding=finding, reason="again")
    refused("nothing_changed", acts.reassess, by=cast.validator, finding=finding, reason="hmm", severity="high")
    refused("reason_needed", acts.close, by=cast.validator, finding=finding, reason=" ")
    refused("due_passed", acts.reassess, by=cast.validator, finding=finding, reason="hmm", due=in_days(-1))
    acts.close(by=cast.validator, finding=finding, reason="by mistake")
    for act, given in [(acts.close, {"by": cast.validator, "reason": "again"}),
                       (acts.answer, {"by": cast.developer, "text": "Done."}),
                       (acts.reassess, {"by": cast.validator, "severity": "low", "reason": "hmm"})]:  # fmt: skip
        refused("finding_closed", act, finding=finding, **given)


def test_a_blocking_finding_keeps_the_signers_from_approving(cast, version):
    request = world.a_request(cast, version)
    finding = a_finding(cast, version, request=request)
    assert "finding_open" in codes(request)
    with pytest.raises(Refusal) as caught:
        world.sign(cast.validator, request, "validation")
    assert caught.value.code == "finding_open"
    assert not Decision.objects.exists()
    world.sign(cast.validator, request, "validation", "request_changes")
    services.revise(by=cast.developer, request=request, note="Answered the finding.")
    acts.close(by=cast.validator, finding=finding, reason="settled")
    world.sign(cast.validator, request, "validation")
    world.sign(cast.approver, request, "approval")
    assert gate.evaluate(version, "production", world.USE).allowed


def test_a_finding_after_the_approval_suspends_it_until_it_is_closed(cast, version):
    request = world.an_approval(cast, version)
    digest = request.latest.digest
    small = a_finding(cast, version, "low")
    answer = gate.evaluate(version, "production", world.USE)
    assert (answer.allowed, [each.code for each in answer.obligations]) == (True, [f"finding:{small.pk}"])
    finding = a_finding(cast, version, "critical")
    answer = gate.evaluate(version, "production", world.USE)
    assert (answer.allowed, answer.state, codes(request)) == (False, "suspended", ["finding_open"])
    acts.answer(by=cast.developer, finding=finding, text="Done.")
    assert not gate.evaluate(version, "production", world.USE).allowed, "an answer is no closure"
    acts.close(by=cast.validator, finding=finding, reason="settled")
    answer = gate.evaluate(version, "production", world.USE)
    assert (answer.allowed, answer.revision_digest) == (True, digest), "nothing was outdated by it"
    later = database_time() + timedelta(days=11)
    assert codes(request, later) == ["finding_overdue"]
    acts.reopen(by=cast.validator, finding=finding, reason="came back")
    assert codes(request) == ["finding_open"]


def test_what_was_open_is_frozen_and_stays_so(cast, version):
    finding = a_finding(cast, version, "medium")
    closed = a_finding(cast, version, "low")
    acts.close(by=cast.validator, finding=closed, reason="by mistake")
    request = world.an_approval(cast, version)
    manifest = request.latest.manifest
    assert manifest["format"] == "countersign-manifest/2"
    (frozen,) = manifest["findings"]
    assert (frozen["id"], frozen["severity"], frozen["due"]) == (str(finding.pk), "medium", in_days(10).isoformat())
    assert frozen["words"] == finding.digest
    acts.reassess(by=cast.validator, finding=finding, due=in_days(40), reason="takes longer")
    acts.close(by=cast.validator, finding=finding, reason="settled")
    assert gate.evaluate(version, "production", world.USE).state == "active"


def test_a_closure_that_nobody_recorded_counts_for_nothing(cast, version):
    """Rows put in beside the door: a step without an event of its own is not to be trusted."""
    request = world.an_approval(cast, version)
    finding = a_finding(cast, version, "critical")
    first = finding.steps.get()
    FindingStep.objects.create(
        finding=finding, number=2, kind="closed", state="closed", severity="critical", owner=first.owner,
        due=first.due, by=cast.validator,
    )  # fmt: skip
    assert codes(request) == ["record_broken"]


def test_another_team_sees_nothing_of_it(cast, version, signed_in, api):
    finding = a_finding(cast, version)
    assert not Finding.objects.visible_to(cast.outsider).exists()
    assert signed_in(cast.outsider).get(f"/findings/{finding.pk}/").status_code == 404
    assert api(cast.outsider).get(f"/api/v1/findings/{finding.pk}/").status_code == 404
    assert "Cut-off" not in signed_in(cast.outsider).get("/findings/").content.decode()
