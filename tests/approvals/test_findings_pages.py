"""Findings and accepted risks through the pages and the API, by plain forms."""

from __future__ import annotations

import re

import pytest

from approvals import gate
from approvals.findings import services as acts
from approvals.findings.models import Finding, RiskAcceptance
from ledger.events import database_time
from registry.attesting import owing
from tests.approvals import world
from tests.approvals.findings_world import REASON, TEXT, a_finding, a_risk, in_days
from tests.approvals.test_pages import text_of
from tests.sealing import seal_now

pytestmark = pytest.mark.django_db


def test_a_finding_from_the_page_to_its_closure(cast, signed_in):
    request = world.an_approval(cast)
    validator, developer = signed_in(cast.validator), signed_in(cast.developer)
    assert "Raise a finding" in text_of(validator.get(f"/requests/{request.pk}/"))
    assert "Raise a finding" not in text_of(developer.get(f"/requests/{request.pk}/"))
    new = f"/versions/{request.version_id}/findings/new/?request={request.pk}"
    assert developer.get(new).status_code == 403
    typed = {"severity": "high", "title": "Cut-off not tested", "text": TEXT, "due": str(in_days(-3)),
             "owner": request.version.model.owner_id}  # fmt: skip
    answer = validator.post(new, typed)
    assert (answer.status_code, TEXT in answer.content.decode()) == (422, True), "what was typed is kept"
    assert "This day has passed." in text_of(answer)
    page = validator.post(new, {**typed, "due": str(in_days(3))}, follow=True)
    finding = Finding.objects.get()
    assert finding.request == request
    assert "open 0 days, due in 3" in text_of(page)
    shown = text_of(developer.get(f"/requests/{request.pk}/"))
    assert "Cut-off not tested" in shown
    assert "raised since this revision was frozen" in shown
    assert "is open. Answer it" in shown
    inbox = text_of(developer.get("/"))
    others = owing.duty(cast.developer, database_time())  # towards the end of a year
    assert f"{1 + len(others)} {'things wait' if others else 'thing waits'} for you" in inbox
    assert "Yours to answer." in inbox
    assert developer.post(f"/findings/{finding.pk}/answer/", {"text": ""}).status_code == 422
    assert developer.post(f"/findings/{finding.pk}/close/", {"reason": "fine"}).status_code == 403
    developer.post(f"/findings/{finding.pk}/answer/", {"text": "Tested on the newest quarter."})
    waits = text_of(validator.get("/"))
    assert "Dev Anand answered. Validate the closure, or reopen it." in waits
    assert "Tested on the newest quarter." in text_of(validator.get(f"/requests/{request.pk}/"))
    validator.post(f"/findings/{finding.pk}/reopen/", {"reason": "Only half of it.", "due": ""})
    refused = validator.post(f"/findings/{finding.pk}/reassess/", {"severity": "high", "due": str(in_days(3)),
                             "owner": request.version.model.owner_id, "reason": "Hm, hm."})  # fmt: skip
    assert (refused.status_code, "Hm, hm." in refused.content.decode()) == (409, True)
    validator.post(f"/findings/{finding.pk}/close/", {"reason": "I read the new report."})
    told = text_of(developer.get(f"/findings/{finding.pk}/"))
    assert "closed after 0 days" in told
    for words in ("Only half of it.", "I read the new report.", "Tested on the newest quarter."):
        assert words in told
    assert "Answer it" not in told
    assert gate.evaluate(request.version, "production", world.USE).allowed


def test_the_list_filters(cast, signed_in, api):
    version = world.a_complete_version(cast)
    low, high = a_finding(cast, version, "low", title="A word is wrong"), a_finding(cast, version, "high")
    acts.close(by=cast.validator, finding=low, reason="settled")
    client = signed_in(cast.developer)

    def listed(query):
        told = text_of(client.get(f"/findings/?{query}"))
        return [title for title in ("A word is wrong", "Cut-off not tested") if title in told]

    both = ["A word is wrong", "Cut-off not tested"]
    for query, expected in [
        ("", both), ("state=standing", both[1:]), ("state=closed", both[:1]), ("severity=high", both[1:]),
        ("state=overdue", []), ("mine=1", both), ("kind=condition", []), (f"team={cast.team.pk}", both),
        ("team=999", []), ("state=answered", []),
    ]:  # fmt: skip
        assert listed(query) == expected, query
    assert "No finding fits" in text_of(client.get("/findings/?state=overdue"))
    found = api(cast.auditor).get("/api/v1/findings/", {"state": "standing", "version": version.pk}).json()
    assert [each["id"] for each in found["results"]] == [high.pk]
    assert api(cast.auditor).get("/api/v1/findings/?severity=awful").status_code == 422


def test_the_page_of_whoever_had_a_hand_in_it_offers_no_judgement(cast, signed_in):
    finding = a_finding(cast, world.a_complete_version(cast))
    from tests.approvals.test_signing import grant

    grant(cast, cast.second_developer, "validator")
    grant(cast, cast.developer, "validator")
    assert "Validate the closure" in text_of(signed_in(cast.second_developer).get(f"/findings/{finding.pk}/"))
    assert "somebody else has to judge it" in text_of(signed_in(cast.developer).get(f"/findings/{finding.pk}/"))


def test_accepting_a_risk_shows_the_text_before_it_is_signed(cast, signed_in):
    request = world.an_approval(cast)
    finding = a_finding(cast, request.version)
    client, page = signed_in(cast.risk_officer), f"/requests/{request.pk}/risk-acceptances/new/"
    assert signed_in(cast.validator).get(page).status_code == 403
    assert "Finding" in text_of(client.get(f"{page}?target=finding:{finding.pk}"))
    typed = {"target": f"finding:{finding.pk}", "until": str(in_days(30)), "reason": REASON}
    assert "at most" in text_of(client.post(page, {**typed, "until": str(in_days(300))}))
    looked = client.post(page, typed)
    digest = re.search(r'name="digest" value="(sha256:[0-9a-f]{64})"', looked.content.decode())[1]
    assert "Sign the acceptance" in text_of(looked)
    assert REASON in looked.content.decode()
    wrong = client.post(page, {**typed, "digest": digest, "password": "wrong"})
    assert (wrong.status_code, "This is not your password" in text_of(wrong)) == (403, True)
    assert REASON in wrong.content.decode()
    other = client.post(page, {**typed, "reason": "Another.", "digest": digest, "password": world.PASSWORD})
    assert (other.status_code, "Look at it again" in text_of(other)) == (409, True)
    assert not RiskAcceptance.objects.exists()
    done = client.post(page, {**typed, "digest": digest, "password": world.PASSWORD}, follow=True)
    row = RiskAcceptance.objects.get()
    assert row.digest == digest
    assert "every acceptance of this risk" in text_of(done).lower()
    seal_now()
    told = text_of(signed_in(cast.developer).get(f"/requests/{request.pk}/"))
    assert "A risk officer answers for it until" in told
    assert "May serve in production" in told
    ended = client.post(f"/risk-acceptances/{row.pk}/withdraw/", {"reason": "Changed my mind."}, follow=True)
    assert "This acceptance was ended" in text_of(ended)
    assert "suspended" in text_of(signed_in(cast.developer).get(f"/requests/{request.pk}/"))


def test_the_same_through_the_api(cast, api):
    request = world.an_approval(cast)
    validator, developer, officer = api(cast.validator), api(cast.developer), api(cast.risk_officer)
    body = {"version": request.version_id, "request": request.pk, "severity": "critical", "title": "Cut-off",
            "text": TEXT, "due": str(in_days(5)), "owner": str(cast.second_developer.opaque_id)}  # fmt: skip
    made = validator.post("/api/v1/findings/", body, content_type="application/json")
    assert made.status_code == 201, made.content
    finding = made.json()
    assert (finding["owner"]["name"], finding["overdue"], finding["age"]) == (
        "Siri Dahl",
        False,
        "open 0 days, due in 5",
    )
    path = f"/api/v1/findings/{finding['id']}/"

    def send(who, what, **data):
        return who.post(f"{path}{what}/", data, content_type="application/json")

    assert send(developer, "answers", text="Done.").json()["state"] == "answered"
    assert send(developer, "closures", reason="fine").status_code == 403
    assert send(validator, "reassessments", severity="high", reason="less bad").json()["severity"] == "high"
    unknown = send(validator, "reassessments", owner="00000000-0000-0000-0000-000000000000", reason="who")
    assert (unknown.status_code, unknown.json()["code"]) == (422, "owner_cannot_answer")
    risks = f"/api/v1/requests/{request.pk}/risk-acceptances/"
    terms = {"target": f"finding:{finding['id']}", "reason": REASON, "until": str(in_days(30))}
    assert validator.get(f"{risks}text/", terms).status_code == 403
    text = officer.get(f"{risks}text/", terms).json()
    proof = {"request": request.pk, "digest": text["digest"], "password": world.PASSWORD}
    early = officer.post("/api/v1/reauthentications/", proof, content_type="application/json")
    assert (early.status_code, early.json()["code"]) == (409, "changed_while_reading"), "it is no manifest's digest"
    proof["purpose"] = "risk_acceptance"
    nonce = officer.post("/api/v1/reauthentications/", proof, content_type="application/json").json()["nonce"]
    signed = officer.post(risks, {**terms, "digest": text["digest"], "nonce": nonce}, content_type="application/json")
    assert signed.status_code == 201, signed.content
    assert signed.json()["document"] == text["document"]
    (listed,) = developer.get(risks).json()
    assert (listed["target"], listed["withdrawn_at"]) == (terms["target"], None)
    ended = officer.post(f"/api/v1/risk-acceptances/{listed['id']}/withdrawal/", {"reason": "Changed my mind."},
                         content_type="application/json")  # fmt: skip
    assert ended.json()["withdrawn_at"]
    assert send(validator, "closures", reason="settled").json()["state"] == "closed"
    assert [each["kind"] for each in send(validator, "reopenings", reason="came back").json()["steps"]] == [
        "raised", "answered", "reassessed", "closed", "reopened",
    ]  # fmt: skip
    assert developer.get("/api/v1/risk-acceptances/").json()["results"][0]["id"] == listed["id"]


def test_looking_back_leaves_out_what_came_later(cast, signed_in):
    from ledger.events import database_time

    request = world.an_approval(cast)
    finding = a_finding(cast, request.version, title="Seen then")
    then = database_time()
    a_risk(cast, request, f"finding:{finding.pk}")
    acts.close(by=cast.validator, finding=finding, reason="settled")
    a_finding(cast, request.version, title="Not yet seen")
    client, at = signed_in(cast.auditor), f"{then:%Y-%m-%dT%H:%M:%S.%f}Z"
    for path in (f"/requests/{request.pk}/?as_of={at}", f"/versions/{request.version_id}/?tab=approvals&as_of={at}"):
        told = text_of(client.get(path))
        assert "Seen then" in told
        assert "Not yet seen" not in told
        assert REASON not in told
        assert "closed after" not in told
