"""The pages: what each role sees and does there, by plain forms, without JavaScript."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from approvals import gate, services
from approvals.models import Decision, EvidenceView, ReviewRequest
from tests import worlds
from tests.approvals import world

pytestmark = pytest.mark.django_db


def text_of(answer):
    words = re.sub(r"<[^>]+>", " ", answer.content.decode())
    return " ".join(words.replace("&#x27;", "'").split())


@pytest.fixture
def visit(signed_in):
    def go(who, path, status=200):
        answer = signed_in(who).get(path)
        assert answer.status_code == status, text_of(answer)[:500]
        return text_of(answer)

    return go


def a_signature(request, **changes):
    return {
        "requirement": "validation", "outcome": "approve", "digest": request.latest.digest, "comment": world.REASONING,
        "password": world.PASSWORD, **changes,
    }  # fmt: skip


def test_the_inbox_says_what_waits_for_whom_and_why(cast, visit):
    request = world.a_request(cast)
    assert "You may sign the independent validation." in visit(cast.validator, "/")
    assert "1 thing waits for you" in visit(cast.validator, "/")
    mine = visit(cast.developer, "/")
    assert "Nothing waits for you" in mine
    assert "A validator of team Credit may sign." in mine
    assert "Nothing waits for you" in visit(cast.approver, "/")
    world.sign(cast.validator, request, "validation")
    assert "You may sign the approval." in visit(cast.approver, "/")
    assert "An approver of team Credit may sign." in visit(cast.validator, "/")
    world.sign(cast.approver, request, "approval", "request_changes")
    assert "Arno Weiss asked for changes. Answer with a new revision." in visit(cast.developer, "/")
    assert "Waits for a new revision by its submitter." in visit(cast.approver, "/")
    services.revise(by=cast.developer, request=request, note="Answered.")
    world.sign(cast.validator, request, "validation", "reject")
    assert "The request was rejected." in visit(cast.developer, "/")


def test_the_inbox_names_what_blocks(cast, visit):
    world.a_request(cast, worlds.a_version(cast))
    assert "It cannot be approved yet: Bias report" in visit(cast.validator, "/")
    assert "Bias report on the model's own predictions, computed here, is missing." in visit(cast.developer, "/")


def test_the_inbox_asks_for_a_revision_when_the_records_moved_on(cast, visit):
    from registry.services import edit_card

    request = world.a_request(cast)
    edit_card(by=cast.developer, version=request.version, card="# Intended use\n\nLess.\n")
    assert "What was frozen has changed. Submit a new revision." in visit(cast.developer, "/")
    assert "Nothing waits for you" in visit(cast.validator, "/")


def test_approvals_that_run_out_are_in_the_inbox(cast, visit, monkeypatch):
    from datetime import timedelta

    from approvals import listing
    from ledger.events import database_time

    request = world.an_approval(cast)
    assert "No approval runs out" in visit(cast.developer, "/")
    later = database_time() + timedelta(days=340)
    found = listing.running_out(cast.developer, later)
    assert [(each.request, each.state) for each in found] == [(request, "expiring")]
    assert listing.running_out(cast.developer, later + timedelta(days=30)) == []


def test_the_list_filters(cast, visit):
    request = world.an_approval(cast)
    other = world.a_request(cast, environment="staging")
    everything = visit(cast.auditor, "/requests/")
    assert f"{request.pk} · " in everything
    assert f"{other.pk} · " in everything
    assert f"{other.pk} · " not in visit(cast.auditor, "/requests/?state=approved")
    assert f"{request.pk} · " not in visit(cast.auditor, "/requests/?state=open")
    assert f"{request.pk} · " not in visit(cast.auditor, "/requests/?environment=staging")
    assert "No request fits" in visit(cast.auditor, "/requests/?state=revoked")
    assert "No request fits" in visit(cast.auditor, f"/requests/?before={request.pk}")
    assert f"{other.pk} · " in visit(cast.auditor, f"/requests/?model={other.version.model.slug}")
    assert "No requests yet" in visit(cast.outsider, "/requests/")


def test_the_request_page_says_what_comes_next(cast, visit):
    request = world.a_request(cast)
    page = f"/requests/{request.pk}/"
    told = visit(cast.validator, page)
    assert "Cannot serve yet: 2 of 5 requirements are open" in told
    assert "You may sign." in told
    assert "Review and sign the independent validation" in told
    assert "Ada Moreau, Arno Weiss may sign, after the stage before." in told
    author = visit(cast.developer, page)
    assert "Vera Lind may sign" in author
    assert "Review and sign" not in author
    assert "Submit a new revision" in author
    visit(cast.outsider, page, 404)
    world.sign(cast.validator, request, "validation")
    world.sign(cast.approver, request, "approval")
    told = visit(cast.auditor, page)
    assert "May serve in production" in told
    assert "Signed by Vera Lind." in told
    services.revoke(by=cast.approver, request=request, reason="Drift in the field.")
    told = visit(cast.auditor, page)
    assert "May not serve in production: revoked" in told
    assert "Drift in the field." in told


def test_a_requirement_that_nobody_may_sign_says_so(cast, visit):
    version = world.a_complete_version(cast)
    worlds.a_document(cast, version, by=cast.validator)
    request = world.a_request(cast, version)
    assert "Nobody may sign this now" in visit(cast.developer, f"/requests/{request.pk}/")


def test_what_changed_since_the_last_approved_version(cast, visit):
    first = world.an_approval(cast)
    version = worlds.a_version(cast, model=first.version.model, decision_rule={**worlds.RULE, "at_least": 0.6})
    request = world.a_request(cast, version)
    told = visit(cast.second_approver, f"/requests/{request.pk}/")
    assert "What changed since version 1, approved in request" in told
    assert "decision rule: at least 0.5 0.6" in told
    assert "What changed since you decided on version 1" in visit(cast.validator, f"/requests/{request.pk}/")


def test_earlier_refusals_head_the_pages(cast, visit):
    first = world.an_approval(cast)
    services.revoke(by=cast.approver, request=first, reason="Drift in the field.")
    assert "Drift in the field." in visit(cast.developer, f"/versions/{first.version_id}/requests/new/")
    again = world.a_request(cast, first.version)
    assert f"Request {first.pk}" in visit(cast.validator, f"/requests/{again.pk}/sign/")


def test_commenting(cast, signed_in):
    request = world.a_request(cast)
    client = signed_in(cast.validator)
    answer = client.post(f"/requests/{request.pk}/comment/", {"text": "Why <b>0.5</b>?"}, follow=True)
    assert b"Why &lt;b&gt;0.5&lt;/b&gt;?" in answer.content
    assert client.post(f"/requests/{request.pk}/comment/", {"text": ""}).status_code == 422
    assert client.post(f"/requests/{request.pk}/comment/", {"text": " \n "}).status_code == 422
    assert signed_in(cast.auditor).post(f"/requests/{request.pk}/comment/", {"text": "Hm."}).status_code == 403


def test_asking_for_approval(cast, signed_in, visit):
    version = worlds.a_version(cast)
    page = f"/versions/{version.pk}/requests/new/"
    told = visit(cast.developer, page + "?environment=staging&use=car-loans")
    assert "Not ready to be signed yet" in told
    assert "What will be frozen" in told
    client = signed_in(cast.developer)
    answer = client.post(page, {"environment": "production", "use": "Mortgages!", "note": "Please look."})
    assert answer.status_code == 422
    assert "Write the use in small letters" in text_of(answer)
    assert b"Please look." in answer.content
    sent = {"environment": "production", "use": world.USE, "note": "Please look."}
    first = client.post(page, sent)
    request = ReviewRequest.objects.get()
    assert first["Location"] == second_click(client, page, sent)["Location"] == request.get_absolute_url()
    assert ReviewRequest.objects.count() == 1
    visit(cast.outsider, page, 404)
    assert signed_in(cast.validator).post(page, {**sent, "use": "other"}).status_code == 403


def second_click(client, page, sent):
    return client.post(page, sent)


def test_evidence_left_out_stays_listed(cast, signed_in, visit):
    version = world.a_complete_version(cast, verdict="outside")
    kept = version.evidence.order_by("id").last()
    page = f"/versions/{version.pk}/requests/new/"
    assert "Known limitations" in visit(cast.developer, page)
    sent = {"environment": "production", "use": world.USE, "note": "", "evidence": [kept.pk]}
    answer = signed_in(cast.developer).post(page, sent, follow=True)
    assert "1 of 3 reports that were ever run for this version is attached. Not attached" in text_of(answer)
    assert ReviewRequest.objects.get().latest.evidence_ids == [kept.pk]


def test_revising(cast, signed_in, visit):
    request = world.a_request(cast)
    page = f"/requests/{request.pk}/revise/"
    client, everything = signed_in(cast.developer), request.latest.evidence_ids
    answer = client.post(page, {"note": "Nothing new.", "evidence": everything})
    assert (answer.status_code, "Nothing has changed" in text_of(answer)) == (409, True)
    assert client.post(page, {"note": "", "evidence": everything}).status_code == 422
    assert client.post(page, {"note": "Fewer.", "evidence": everything[:2]})["Location"] == f"/requests/{request.pk}/"
    told = visit(cast.validator, f"/requests/{request.pk}/")
    assert "What changed since revision 1" in told
    assert "2 of 3 about this version" in told


def test_withdrawing(cast, signed_in):
    request = world.a_request(cast)
    client, page = signed_in(cast.developer), f"/requests/{request.pk}/withdraw/"
    assert b"cannot be taken up again" in client.get(page).content
    assert client.post(page, {"reason": ""}).status_code == 422
    assert client.post(page, {"reason": "."}).status_code == 422
    assert client.post(page, {"reason": "Wrong use."}).status_code == 302
    assert client.post(page, {"reason": "Wrong use."}).status_code == 409


def test_revoking_asks_for_the_models_name(cast, signed_in):
    request = world.an_approval(cast)
    client, page, name = signed_in(cast.approver), f"/requests/{request.pk}/revoke/", request.version.model.slug
    assert name in text_of(client.get(page))
    answer = client.post(page, {"reason": "Drift.", "name": "something else"})
    assert (answer.status_code, "Drift." in text_of(answer)) == (422, True)
    assert client.post(page, {"reason": "Drift.", "name": name}).status_code == 302
    assert not gate.evaluate(request.version, request.environment, request.use).allowed
    assert client.post(page, {"reason": "Drift.", "name": name}).status_code == 409
    assert signed_in(cast.validator).post(page, {"reason": "Drift.", "name": name}).status_code == 403


def test_the_sign_page_shows_exactly_what_is_signed(cast, signed_in, visit):
    request = world.a_request(cast, world.a_complete_version(cast, verdict="outside"))
    evidence = request.version.evidence.order_by("id").first()
    page = f"/requests/{request.pk}/sign/?requirement=validation"
    told = visit(cast.validator, page)
    for word in ("Sign the independent validation", "yes where probabilities[1] ≥ 0.5", "production", world.USE,
                 request.latest.digest, request.version.artifact.digest, "outside the bounds", "not opened by you",
                 "I have independently validated", "Known limitations that you acknowledge", "Dev Anand"):  # fmt: skip
        assert word in told, word
    opened = signed_in(cast.validator).get(reverse("request-evidence", args=[request.pk, evidence.pk]))
    assert opened["Location"] == f"/reports/{evidence.pk}/"
    assert EvidenceView.objects.get().person == cast.validator
    assert "opened by you on" in visit(cast.validator, page)
    assert signed_in(cast.validator).get(reverse("request-evidence", args=[request.pk, 10**6])).status_code == 404
    visit(cast.developer, page, 403)
    visit(cast.outsider, page, 404)


def test_signing_by_the_form(cast, signed_in):
    request = world.a_request(cast, world.a_complete_version(cast, verdict="outside"))
    client, page = signed_in(cast.validator), f"/requests/{request.pk}/sign/"
    code = request.latest.manifest["obligations"][0]
    blank = client.post(page, a_signature(request, comment="", password=""))
    assert blank.status_code == 422
    assert "Tick each one" in text_of(blank)
    wrong = client.post(page, a_signature(request, acknowledged=[code], password="guess"))
    assert (wrong.status_code, world.REASONING in text_of(wrong), b"guess" in wrong.content) == (403, True, False)
    assert "This is not your password" in text_of(wrong)
    assert not Decision.objects.exists()
    done = client.post(page, a_signature(request, acknowledged=[code]), follow=True)
    assert "Signed: approve" in text_of(done)
    decision = Decision.objects.get()
    assert (decision.acknowledged, decision.comment) == ([code], world.REASONING)
    again = client.post(page, a_signature(request, acknowledged=[code]), follow=True)
    assert "Your first signature counts." in text_of(again)
    assert Decision.objects.count() == 1


def test_a_locked_account_is_told_beside_the_password(cast, signed_in):
    request = world.a_request(cast)
    client, page = signed_in(cast.validator), f"/requests/{request.pk}/sign/"
    for _ in range(3):
        answer = client.post(page, a_signature(request, password="guess"))
    assert "locked" in text_of(answer)
    assert "locked" in text_of(client.post(page, a_signature(request)))
    assert not Decision.objects.exists()


def test_what_changed_while_reading_is_shown_and_has_to_be_signed_anew(cast, signed_in):
    request = world.a_request(cast)
    read = request.latest.digest
    worlds.a_document(cast, request.version, by=cast.second_developer)
    services.revise(by=cast.developer, request=request, note="Added a document.")
    client, page = signed_in(cast.validator), f"/requests/{request.pk}/sign/"
    answer = client.post(page, a_signature(request, digest=read))
    assert answer.status_code == 409
    assert "What changed while you were reading" in text_of(answer)
    assert "A newer revision was submitted" in text_of(answer)
    assert request.latest.digest.encode() in answer.content
    assert world.REASONING in text_of(answer)
    assert f'value="{read}"' not in answer.content.decode()
    assert not Decision.objects.exists()


def test_rejecting_and_asking_for_changes(cast, signed_in, visit):
    request = world.a_request(cast)
    page = f"/requests/{request.pk}/sign/"
    assert "Ask for changes to" in visit(cast.approver, page + "?requirement=approval&outcome=request_changes")
    sent = a_signature(request, requirement="approval", outcome="request_changes", comment="Explain the threshold.")
    assert signed_in(cast.approver).post(page, sent).status_code == 302
    told = visit(cast.developer, f"/requests/{request.pk}/")
    assert "Changes requested" in told
    assert "Explain the threshold." in told
    assert "This request is changes requested" in visit(cast.validator, page)
    services.revise(by=cast.developer, request=request, note="Explained.")
    sent = a_signature(request, outcome="reject", comment="Not convinced.")
    assert signed_in(cast.validator).post(page, sent).status_code == 302
    assert "May not serve in production: rejected" in visit(cast.developer, f"/requests/{request.pk}/")


@pytest.mark.parametrize(
    ("who", "query", "sentence"),
    [
        ("approver", "?requirement=approval", "An earlier stage is still open."),
        ("approver", "?requirement=validation", "not a role you hold"),
        ("risk_officer", "", "not a role you hold"),
    ],
)
def test_the_sign_page_says_why_not_before_anything_is_typed(cast, visit, who, query, sentence):
    request = world.a_request(cast)
    told = visit(getattr(cast, who), f"/requests/{request.pk}/sign/{query}")
    assert "You cannot sign this" in told
    assert sentence in told
    assert "Password" not in told


def test_the_sign_page_says_that_evidence_is_missing_or_the_records_moved_on(cast, visit):
    from registry.services import edit_card

    request = world.a_request(cast, worlds.a_version(cast))
    page = f"/requests/{request.pk}/sign/"
    assert "is missing" in visit(cast.validator, page)
    assert "Sign rejection" in visit(cast.validator, page + "?outcome=reject")
    edit_card(by=cast.developer, version=request.version, card="# Intended use\n\nLess.\n")
    assert "Ask for a new revision" in visit(cast.validator, page)


def test_the_manifest_can_be_downloaded(cast, signed_in):
    request = world.a_request(cast)
    answer = signed_in(cast.validator).get(f"/requests/{request.pk}/manifest/")
    assert answer.content == bytes(request.latest.manifest_bytes)
    assert signed_in(cast.outsider).get(f"/requests/{request.pk}/manifest/").status_code == 404


def test_policies_are_readable(cast, visit):
    request = world.a_request(cast)
    assert "Validate, then approve" in visit(cast.developer, "/policies/")
    told = visit(cast.developer, request.policy_version.get_absolute_url())
    assert "is a known limitation, which each signer acknowledges" in told
    assert "I have independently validated" in told
    visit(cast.platform_admin, request.policy_version.get_absolute_url(), 404)
    assert "No policies that you can see" in visit(cast.platform_admin, "/policies/")
