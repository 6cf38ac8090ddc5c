"""Privileged self-tests: shown to the people named, and to everybody else as if there were none."""

from __future__ import annotations

import json
import re
from uuid import uuid4

import pytest
from django.urls import reverse

from accounts.models import Role
from accounts.services import grant_role
from fairness import matching
from fairness.selftest.models import SelfTest
from fairness.selftest.services import lift_privilege, name_people, request_self_test
from fairness.services import request_bias_report
from jobs.models import Job
from jobs.services import cancel
from ledger.actors import SystemActor
from ledger.canonical import digest_of
from ledger.events import database_time
from ledger.models import Event
from ledger.refusals import Refusal
from notifications.models import Notification
from registry import storage
from registry.models import Evidence
from tests import worlds
from tests.approvals.packing import packed, unzipped
from tests.approvals.world import a_complete_version, a_request
from tests.client.logs import run
from tests.fairness.reporting import a_self_test, stored_report
from tests.sealing import seal_now

CONSOLE = SystemActor("console", frozenset({"accounts.grant_role"}))
NUMBERS = re.compile(r"[0-9a-f-]{36}|\d+")
# What is new each time that a page is looked at.
FLEETING = re.compile(r"csrf[^>]*>|<time.*?</time>|[0-9a-f-]{36}|\d\d:\d\d:\d\d UTC|T\d\d(:|%3A)\d\d(:|%3A)\d\d[.]\d+Z")


# Only says how long the log has waited, and for how many entries.
UNSEALED = re.compile(r'<div class="notice wait">(?:(?!</div>).)*?The log has not been .*?</div>\s*</div>', re.DOTALL)


def main_of(page):
    """What a page says, without the counts of what the log has still to seal; all of an answer of the API."""
    whole = page.content.decode()
    return " ".join(UNSEALED.sub("", whole.partition("<main")[2].partition("</main>")[0] or whole).split())


@pytest.fixture
def world(cast):
    return worlds.a_version(cast), worlds.a_dataset(cast)


def test_only_the_people_named_find_it_by_any_door(cast, world, signed_in, api):
    """Everybody else's pages and answers are, word for word, those of a house without it."""
    version, dataset = world
    stored_report(cast, version, dataset, source="historical")
    today = database_time().date()
    lists = [
        "/reports/", "/jobs/", "/", version.get_absolute_url(), dataset.get_absolute_url(),
        *(f"{version.get_absolute_url()}?tab={tab}" for tab in ("evidence", "approvals", "history")),
        f"{version.get_absolute_url()}?as_of={today}", version.model.get_absolute_url(), "/audit/evidence/",
        f"/models/{version.model.pk}/alternatives/", f"/models/{version.model.pk}/?as_of={today}",
    ]  # fmt: skip
    answers = [
        "/api/v1/reports/", "/api/v1/jobs/", "/api/v1/evidence/", "/api/v1/self-tests/",
        f"/api/v1/versions/{version.pk}/", f"/api/v1/datasets/{dataset.pk}/",
    ]  # fmt: skip
    log = ["/audit/", "/audit/?text=self_test"]
    clerk = cast.second_approver  # who reads the log of the team, and no more of it
    grant_role(by=CONSOLE, account=clerk, role=Role.objects.get(slug="auditor"), team=cast.team, reason="credit only")
    outside = {
        "validator": cast.validator, "auditor": cast.auditor, "clerk": clerk, "platform_admin": cast.platform_admin
    }  # fmt: skip
    browsers = {name: signed_in(who) for name, who in outside.items()}
    robots = {name: api(who) for name, who in outside.items()}

    def looks():
        pages = {("auditor", at): browsers["auditor"].get(at) for at in lists}
        pages |= {("validator", at): browsers["validator"].get(at) for at in lists[:2]}
        pages |= {("auditor", at): robots["auditor"].get(at) for at in answers}
        pages |= {("clerk", at): browsers["clerk"].get(at) for at in log}
        pages |= {("clerk", at): robots["clerk"].get(at) for at in ("/api/v1/events/", "/api/v1/jobs/")}
        pages |= {("platform_admin", at): browsers["platform_admin"].get(at) for at in ("/jobs/", "/notifications/")}
        for at, page in pages.items():
            assert page.status_code == 200, at
        return {at: (page.status_code, FLEETING.sub("", main_of(page))) for at, page in pages.items()}

    before = looks()
    test = a_self_test(cast, version, dataset, cast.second_developer)
    after = looks()
    for at, page in before.items():
        assert after[at] == page, at
    doors = [
        reverse(name, args=[test.pk])
        for name in (
            "self-test", "self-test-json", "self-test-abridged", "self-test-pdf", "self-test-csv", "self-test-people",
            "self-test-lift",
        )
    ]  # fmt: skip
    doors += [reverse(name, args=[test.job_id]) for name in ("job", "job-live", "job-cancel")]
    machines = [
        reverse(name, args=[test.pk]) for name in ("api-self-test", "api-self-test-content", "api-self-test-document")
    ] + [reverse("api-job", args=[test.job_id])]
    for name in ("self-test-people", "self-test-lift", "job-cancel"):
        pk = test.job_id if name == "job-cancel" else test.pk
        sent = browsers["validator"].post(reverse(name, args=[pk]), {"reason": "x", "confirmed": "on"})
        assert sent.status_code == 404
    for who in outside:
        for at in doors if who == "auditor" else (doors[0], doors[-1]):
            assert browsers[who].get(at).status_code == 404, (who, at)
        for at in machines if who == "auditor" else machines[-1:]:
            gone = at.replace(str(test.pk), str(uuid4())).replace(f"/{test.job_id}/", "/999999/")
            said, nothing = robots[who].get(at), robots[who].get(gone)
            assert said.status_code == 404, (who, at)
            assert NUMBERS.sub("", said.content.decode()) == NUMBERS.sub("", nothing.content.decode())
        for at in ("api-self-test-people", "api-self-test-lifting"):
            asked = robots[who].post(reverse(at, args=[test.pk]), {"people": [1], "reason": "x"}, "application/json")
            assert asked.status_code == 404
    assert not Event.objects.filter(object_type="fairness.selftest", outcome="refused").exists()
    assert not Notification.objects.exists(), "nor does anybody get mail, or a program a call"
    second = signed_in(cast.second_developer)
    for at in (*doors, "/reports/", "/jobs/"):
        page = second.get(at)
        assert page.status_code == 200, at
        b"".join(page.streaming_content) if page.streaming else page.content
    assert test.title in second.get("/reports/").content.decode()
    read = api(cast.second_developer)
    listed = read.get("/api/v1/self-tests/").json()["results"]
    assert [one["id"] for one in listed] == [str(test.pk)]
    assert [one["person"]["name"] for one in listed[0]["people"]] == [
        each.name for each in sorted((cast.developer, cast.second_developer), key=lambda one: one.pk)
    ]
    for at in machines:
        assert read.get(at).status_code == 200
    detail = read.get(machines[0]).json()
    assert detail["report"]["result"]["verdict"] == detail["summary"]["verdict"]
    assert detail["outline"] == matching.digest(storage.read(test.artifact))


def test_it_is_no_evidence_and_the_log_holds_no_finding(cast, world, signed_in):
    version, dataset = world
    test = a_self_test(cast, version, dataset, cast.validator)
    assert not Evidence.objects.filter(version=version).exists()
    told = [event.content for event in Event.objects.about(test).order_by("id")]
    assert [one["event"] for one in told] == ["self_test.requested", "self_test.published"]
    report = json.loads(storage.read(test.artifact))
    for one in told:
        text = json.dumps(one)
        for secret in (
            test.summary["verdict"], test.artifact.digest, dataset.artifact.digest, str(cast.validator.opaque_id),
            "Counsel", report["result"]["sentence"], test.salt,
        ):  # fmt: skip
            assert secret not in text
        assert set(one["disclosures"]) <= {"actor_name", "actor_email", "address"}
        assert one["team"] is None
        assert "records" not in one
        assert f'"{version.pk}"' not in text
    assert told[1]["facts"]["sealed"] == test.sealed(artifact=test.artifact.digest, summary=digest_of(test.summary))
    about = Event.objects.about(version).values_list("event", flat=True)
    assert not [event for event in about if event.startswith("self_test")], "nor is it on the version's timeline"
    page = signed_in(cast.validator).get(test.get_absolute_url()).content.decode()
    assert "It is no evidence for a request" in page
    assert "Counsel asked for it." in page
    assert "Lift the privilege" not in page or cast.validator.has_perm("fairness.request_report", test)


def test_asked_by_page_and_api_and_the_same_twice_is_the_same(cast, world, signed_in, api):
    version, dataset = world
    page = signed_in(cast.developer)
    at = f"{reverse('self-test-new', args=[version.pk])}?dataset={dataset.pk}"
    assert "never evidence for a request" in " ".join(page.get(at).content.decode().split())
    form = {
        "what": "historical", "sensitive": ["group"], "metric": "selection_rate", "comparison": "impact_ratio",
        "bound": "0.8", "confidence": "0.95", "minimum_group_size": "30", "people": [cast.validator.pk],
    }  # fmt: skip
    assert page.post(at, form).status_code == 422, "a reason is asked for"
    assert page.post(at, {**form, "reason": " Why. ", "metric": "accuracy"}).status_code == 422
    assert not SelfTest.objects.exists()
    sent = page.post(at, {**form, "reason": "Why."})
    test = SelfTest.objects.get()
    assert sent["Location"] == test.job.get_absolute_url()
    assert set(test.job.only_for) == {str(who.opaque_id) for who in (cast.developer, cast.validator)}
    assert page.post(at, {**form, "reason": "Why."})["Location"] == sent["Location"]
    assert SelfTest.objects.count() == 1
    robot, wish = api(cast.developer), {"dataset": dataset.pk, "source": "historical", "reason": "Why."}
    where = reverse("api-version-self-tests", args=[version.pk])
    made = robot.post(where, {**wish, "people": [cast.validator.email]}, "application/json")
    assert made.status_code == 202
    assert made.json()["state"] == "queued"
    assert made.json()["digest"] is None
    assert page.get(made.json()["url"]).status_code == 200, "its page says that there is no report yet"
    assert page.get(reverse("self-test-pdf", args=[made.json()["id"]])).status_code == 404
    refused_before = Event.objects.filter(event="self_test.requested.refused").count()
    before = SelfTest.objects.count()
    for wrong, code in (
        ({"people": ["nobody@example.org"]}, "person_unknown"),
        ({"people": [cast.outsider.pk]}, "person_unknown"),
        ({"reason": " "}, "blank"),
        ({"source": "crystal"}, "invalid_choice"),
    ):
        said = robot.post(where, {**wish, **wrong}, "application/json")
        assert said.status_code == 422, said.content
        assert code in said.content.decode()
    assert SelfTest.objects.count() == before
    refusals = Event.objects.filter(event="self_test.requested.refused")
    assert refusals.count() == refused_before + 2, "what a form or serializer turns away is no act"
    assert {(one.object_type, one.object_id, one.team_id) for one in refusals} == {("", "", None)}
    assert not Event.objects.about(version).filter(event__startswith="self_test").exists()
    assert api(cast.auditor).post(where, wish, "application/json").status_code == 403


def test_the_same_asked_by_somebody_else_meets_nothing(cast, world, signed_in):
    """Neither an ordinary report nor another's self-test with the same inputs comes upon the first."""
    version, dataset = world
    ask = {"version": version, "dataset": dataset, "source": "historical"}
    first = request_self_test(by=cast.developer, **ask, reason="Why.", people=[cast.validator.pk])
    ordinary = request_bias_report(by=cast.second_developer, **ask)
    assert (ordinary.state, ordinary.only_for, ordinary.asked_by) == (
        "queued", None, str(cast.second_developer.opaque_id)
    )  # fmt: skip
    other = request_self_test(by=cast.second_developer, **ask, reason="Why.")
    assert {first.job_id, ordinary.pk, other.job_id} == set(Job.objects.values_list("pk", flat=True))
    assert not SelfTest.objects.visible_to(cast.second_developer).exclude(pk=other.pk).exists()
    assert not SelfTest.objects.visible_to(cast.validator).exclude(pk=first.pk).exists()
    assert request_self_test(by=cast.validator, **ask, reason="Why.", people=[cast.developer.pk]) == first
    cancel(by=cast.developer, job=first.job)
    ended = Event.objects.about(first.job).get()
    assert (ended.event, ended.team_id) == ("job.cancelled", None)
    assert "Privileged" not in signed_in(cast.second_approver).get(version.get_absolute_url()).content.decode()


def test_more_people_are_named_and_the_privilege_is_lifted_each_as_an_act(cast, world, signed_in, api):
    version, dataset = world
    test = a_self_test(cast, version, dataset)
    ask = {"by": cast.developer, "test": test}
    for act, code in (
        (lambda: name_people(**ask, people=[cast.developer.pk], reason="x"), "nothing_changed"),
        (lambda: name_people(**{**ask, "by": cast.second_developer}, people=[cast.validator.pk], reason="x"), "gone"),
        (lambda: lift_privilege(**{**ask, "by": cast.second_developer}, reason="x", confirmed=True), "gone"),
        (lambda: lift_privilege(**ask, reason="x"), "unconfirmed"),
        (lambda: lift_privilege(**ask, reason=" ", confirmed=True), "text_missing"),
    ):  # fmt: skip
        with pytest.raises(Refusal) as refused:
            act()
        assert refused.value.code == code
    assert test.namings.count() == 1
    assert not Evidence.objects.exists()
    page = signed_in(cast.developer)
    assert page.post(reverse("self-test-people", args=[test.pk]), {"people": [cast.validator.pk]}).status_code == 422
    named = page.post(
        reverse("self-test-people", args=[test.pk]), {"people": [cast.validator.pk], "reason": "She replies."}
    )
    assert named["Location"] == test.get_absolute_url()
    assert signed_in(cast.validator).get(test.get_absolute_url()).status_code == 200
    assert signed_in(cast.validator).get(test.job.get_absolute_url()).status_code == 200
    assert signed_in(cast.auditor).get(test.job.get_absolute_url()).status_code == 404
    lifting = reverse("self-test-lift", args=[test.pk])
    assert page.post(lifting, {"reason": "Decided by counsel."}).status_code == 422
    sent = page.post(lifting, {"reason": "Decided by counsel.", "confirmed": "on"})
    evidence = Evidence.objects.get()
    test.refresh_from_db()
    assert (test.evidence, evidence.created_at, evidence.artifact) == (evidence, test.published_at, test.artifact)
    assert sent["Location"] == reverse("evidence", args=[evidence.pk])
    assert page.get(test.get_absolute_url())["Location"] == reverse("report", args=[evidence.pk])
    assert signed_in(cast.auditor).get(reverse("report", args=[evidence.pk])).status_code == 200
    assert signed_in(cast.auditor).get(test.job.get_absolute_url()).status_code == 200
    events = list(Event.objects.about(test, evidence).order_by("id"))
    assert [each.event for each in events if each.outcome == "done"] == [
        "self_test.requested", "self_test.published", "self_test.people_named", "self_test.lifted",
    ]  # fmt: skip
    assert events[-1].content["facts"]["salt"] == test.salt
    for again in (
        lambda: lift_privilege(**ask, reason="x", confirmed=True),
        lambda: name_people(**ask, people=[cast.approver.pk], reason="x"),
    ):
        with pytest.raises(Refusal) as refused:
            again()
        assert refused.value.code == "privilege_lifted"
    once_more = request_self_test(
        by=cast.developer, version=version, dataset=dataset, source="historical", reason="Counsel asked for it."
    )
    assert once_more != test, "what was lifted is an ordinary report by now"
    with pytest.raises(Refusal) as refused:
        lift_privilege(by=cast.developer, test=once_more, reason="x", confirmed=True)
    assert refused.value.code == "not_computed_yet"
    unnamed = api(cast.second_developer)
    assert [one["id"] for one in unnamed.get("/api/v1/self-tests/").json()["results"]] == []


def test_a_pack_leaves_it_out_and_says_so(cast, tmp_path):
    version = a_complete_version(cast)
    request = a_request(cast, version)
    a_self_test(cast, version, worlds.a_dataset(cast, name="another"))
    assert not [row for row in Evidence.objects.filter(version=version) if "another" in row.title]
    seal_now()
    _, data = packed(cast.auditor, request)
    files = unzipped(data)
    said = [one for one in json.loads(files["pack.json"])["left_out"] if "privileged" in one]
    assert len(said) == 1
    assert said[0].startswith("privileged self-tests of this version: 1 ")
    assert said[0] in files["README.txt"].decode()
    assert not [name for name, data in files.items() if b"another" in data and name != "verify.py"]
    path = tmp_path / "pack.zip"
    path.write_bytes(data)
    checked = run(path)
    assert checked.code == 0, checked.out
    assert f"Not in the pack: {said[0]}" in checked.out
