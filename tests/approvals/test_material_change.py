"""How much is new against the approval before: its class, what a policy asks for it, and what an approval rests on."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest

from approvals import comparing, dossier, gate, services, workflow
from approvals.asof import answers_at
from approvals.workflow import HIGHEST, Compared, material_change, read_policy, standing
from approvals.workflow.material import BESIDE, CLASSES, FROM, SECTIONS
from ledger.events import database_time
from ledger.refusals import Refusal
from registry.services import edit_card
from tests import worlds
from tests.approvals import policies, world
from tests.approvals.policies import ALWAYS, a_document, a_requirement, a_rule, a_stage
from tests.approvals.test_policy_documents import a_case, signature
from tests.approvals.test_workflow import START, codes
from tests.registry.test_pages import text_of
from tests.sealing import seal_now

SIGNED = {name: f"{name} as it was" for name in SECTIONS} | {"artifact": {"digest": "sha256:a", "filename": "a.onnx"}}


@pytest.mark.parametrize("name", sorted(SECTIONS))
def test_each_section_has_its_class(name):
    after = {**SIGNED, name: {"digest": "sha256:b"} if name == "artifact" else "other"}
    told = material_change(SIGNED, after)
    assert (told.kind, told.sections) == (SECTIONS[name], (name,))
    # A section that came or went has changed as well.
    gone = {key: value for key, value in SIGNED.items() if key != name}
    assert material_change(SIGNED, gone).kind == material_change(gone, SIGNED).kind == SECTIONS[name]


def test_the_largest_counts_and_what_nobody_thought_of_is_all_new():
    assert material_change(SIGNED, {**SIGNED, "card": "other", "features": "other"}).kind == "configuration"
    beside = dict.fromkeys(BESIDE, "other")
    renamed = {**SIGNED, **beside, "artifact": {"digest": "sha256:a", "filename": "b.onnx"}}
    assert material_change(SIGNED, renamed) == workflow.MaterialChange("none")
    assert material_change(None, SIGNED).kind == HIGHEST
    assert material_change(SIGNED, {**SIGNED, "weather": "rain"}).kind == HIGHEST


def rules(validation="configuration", **changes):
    """A validator signs from a class of change on, an approver always."""
    when = {**ALWAYS, "material_change": validation}
    stages = [a_stage(a_requirement("validation", role="validator", when=when), slug="first"), a_stage()]
    return a_document(stages=stages, **{"evidence": [], **changes})


@pytest.mark.parametrize("least", FROM)
def test_what_is_asked_of_a_small_change_is_asked_of_a_larger_one(least):
    late = a_rule(when={**ALWAYS, "material_change": least})
    policy = read_policy(rules(least, evidence=[late]))
    applied = [policy.applying("low", "staging", "u", kind) for kind in CLASSES]
    for small, large in itertools.pairwise(applied):
        assert set(small.requirements) <= set(large.requirements)
        assert set(small.evidence) <= set(large.evidence)
    asked = [len(list(each.requirements)) == 2 and len(each.evidence) == 1 for each in applied]
    assert asked == [CLASSES.index(kind) >= CLASSES.index(least) for kind in CLASSES]
    assert policy.applying("low", "staging", "u") == applied[-1], "where nobody says how much is new, all is"
    assert policy.weighs_change
    assert not read_policy(a_document()).weighs_change


def test_what_was_spared_lasts_as_long_as_what_it_was_compared_with():
    policy, ends = read_policy(a_document(evidence=[])), START + timedelta(days=90)
    case = a_case(policy, [signature("a")], evidence=(), compared=Compared(ends))
    assert (standing(case, START).state, standing(case, START).valid_until) == ("active", ends)
    assert standing(case, ends).state == "expired"
    revoked = replace(case, compared=Compared(ends, revoked=True))
    assert (standing(revoked, START).state, codes(standing(revoked, START).reasons)) == (
        "suspended", ["comparison_revoked"]
    )  # fmt: skip
    under_way = replace(case, state="in_review", signatures=())
    assert workflow.needs_revision(under_way, START) is None
    assert workflow.needs_revision(under_way, ends).code == "comparison_expired"
    assert codes(standing(under_way, ends).reasons) == ["comparison_expired", "signature_missing"]
    assert workflow.needs_revision(replace(revoked, state="in_review"), START).code == "comparison_revoked"


@pytest.mark.django_db
def test_less_is_asked_of_a_smaller_change_while_the_approval_before_it_holds(cast, signed_in, api):
    policies.a_policy(cast, rules(), everywhere=True)
    version = worlds.a_version(cast)
    first = world.a_request(cast, version)
    told = first.latest.manifest["material_change"]
    assert first.latest.manifest["format"] == "countersign-manifest/4"
    assert told == {"kind": "use", "sections": [], "compared_with": None, "rests_on": [], "until": None}
    with pytest.raises(Refusal) as refused:
        world.sign(cast.approver, first, "approval")
    assert refused.value.code == "not_your_turn"
    world.sign(cast.validator, first, "validation")
    world.sign(cast.approver, first, "approval")
    until = gate.evaluate(version, "production", world.USE).valid_until
    is_none_to_compare_with_unless_it_is_whole(first)

    edit_card(by=cast.developer, version=version, card="# Intended use\n\nScreening of home loans, and nothing else.\n")
    browser = signed_in(cast.developer)
    page = text_of(browser.get(f"/versions/{version.pk}/requests/new/?environment=production&use={world.USE}"))
    assert "Documentation card version 1, request" in page
    second = world.a_request(cast, version)
    told = second.latest.manifest["material_change"]
    assert (told["kind"], told["sections"], told["rests_on"]) == ("documentation", ["card"], [str(first.pk)])
    assert told["compared_with"]["digest"] == first.latest.digest
    shown = api(cast.auditor).get(f"/api/v1/requests/{second.pk}/").json()["revision"]["material_change"]
    assert shown["kind"] == "documentation"
    assert "material change Documentation" in text_of(
        signed_in(cast.approver).get(f"/requests/{second.pk}/sign/?requirement=approval")
    )
    world.sign(cast.approver, second, "approval")
    answer = gate.evaluate(version, "production", world.USE)
    assert (answer.allowed, answer.request_id, answer.valid_until) == (True, second.pk, until)
    assert "Documentation (card)" in text_of(browser.get(f"/requests/{second.pk}/"))
    assert standing(dossier.open_dossier(second).case, until).state == "expired"

    edit_card(by=cast.developer, version=version, card="# Intended use\n\nScreening of home loans.\n")
    third = world.a_request(cast, version)
    assert third.latest.material_change["rests_on"] == [str(second.pk), str(first.pk)]
    newer = world.a_request(cast, worlds.a_pinned_version(cast, version.model))
    assert newer.latest.change == "model"
    assert "validation" in {each.slug for each in dossier.open_dossier(newer).policy.requirements}
    assert dossier.open_dossier(newer).case.compared is None, "nothing was spared it"

    # What the others rest on is revoked: nothing that was spared is spared any more.
    services.revoke(by=cast.risk_officer, request=first, reason="The data were wrong.")
    assert comparing.baseline(dossier.open_dossier(first), database_time()).why == "it was revoked"
    seal_now()
    answer = gate.evaluate(version, "production", world.USE)
    assert (answer.allowed, answer.reasons[0].code) == (False, "comparison_revoked")
    assert codes(standing(dossier.open_dossier(second).case, database_time()).reasons)[0] == "comparison_revoked"
    (then,) = answers_at([second.pk], database_time()).values()
    assert (then.allowed, then.reasons[0].code) == (False, "comparison_revoked")
    with pytest.raises(Refusal) as refused:
        world.sign(cast.approver, third, "approval")
    assert refused.value.code == "comparison_revoked"
    services.revise(by=cast.developer, request=third, note="Everything anew.")
    assert third.latest.change == HIGHEST
    assert [each.slug for each in dossier.open_dossier(third).policy.requirements] == ["validation", "approval"]


def is_none_to_compare_with_unless_it_is_whole(request):
    found, at = dossier.open_dossier(request), database_time()
    whole = comparing.baseline(found, at)
    assert whole.why == ""
    assert whole.until > at + timedelta(days=364)
    signatures = tuple(replace(each, outcome="approve_with_conditions") for each in found.case.signatures)
    with_conditions = replace(found, case=replace(found.case, signatures=signatures))
    assert comparing.baseline(with_conditions, at).why == "it has conditions"
    assert comparing.baseline(found, whole.until - timedelta(days=9)).why == "it ends within 30 days"
    assert comparing.baseline(found, whole.until).why == "it is expired"
    # Another text of the policy is another review: nothing that was signed under the one before counts for it.
    stricter = {**found.manifest, "policy": {"slug": "strict", "version": 2, "digest": "sha256:other"}}
    told = comparing.compared(whole, stricter)
    assert (told["kind"], told["sections"], told["rests_on"]) == (HIGHEST, ["policy"], [])
    found.revision.manifest["card"] = "sha256:other"
    assert comparing.baseline(found, at).why == "its manifest is not what was signed"
