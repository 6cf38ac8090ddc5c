"""Pages that look back: the state of a moment, marked as such, and nothing to do there."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from approvals.models import PolicyVersion
from approvals.services import comment, revise, revoke
from inference.services import add_endpoint, bind_endpoint
from ledger.canonical import timestamp
from ledger.events import database_time
from ledger.models import Event, Record
from registry.services import edit_card, edit_model, set_risk_tier
from tests import worlds
from tests.approvals import world


def shown(browser, url, at, status=200):
    answer = browser.get(url, {"as_of": at if isinstance(at, str) else timestamp(at)})
    assert answer.status_code == status, answer.content.decode()[:2000]
    return re.sub(r"\s+", " ", answer.content.decode())


@pytest.fixture
def browser(committing_db, cast, signed_in, seal):
    return signed_in(cast.developer)


def test_a_model_is_shown_as_it_stood_and_says_so(browser, cast, seal):
    model = worlds.a_model(cast)
    name, before = model.name, database_time()
    version = worlds.a_version(cast, model)
    edit_model(by=cast.developer, model=model, name="Renamed", purpose="Screens renters.")
    set_risk_tier(by=cast.risk_officer, model=model, tier="low", reason="Small sums.")
    seal()
    url = model.get_absolute_url()
    now = browser.get(url).content.decode()
    assert "Renamed" in now
    assert 'name="as_of"' in now
    assert "As it stood on" not in now
    page = shown(browser, url, before)
    assert f"<h1>{name}</h1>" in page
    assert "Screens renters." not in page
    assert "As it stood on" in page
    assert "it agrees with the log" in page
    assert version.get_absolute_url() not in page
    assert "Register a version" not in page
    assert "Edit" not in page
    assert "until the second line sets it" in page
    assert "Model risk tier set" not in page
    after = shown(browser, url, database_time())
    assert "Screens renters." in after
    assert version.get_absolute_url() in after
    assert "its own record has not changed since" in after
    # From one state to the next by the links alone.
    link = re.search(r'href="(\?as_of=[^"]+)">The next change', page)[1]
    step = browser.get(url + link).content.decode()
    assert "Renamed" in step
    assert "until the second line sets it" in step
    assert "The state before" in step


def test_a_version_is_shown_with_its_card_its_evidence_and_the_gate_s_answer_of_the_moment(browser, cast, seal):
    request = world.an_approval(cast)
    seal()
    version, approved = request.version, database_time()
    edit_card(by=cast.developer, version=version, card="# Something else entirely\n")
    worlds.a_document(cast, version)
    seal()
    url = version.get_absolute_url()
    assert "May not serve" in browser.get(url).content.decode()
    page = shown(browser, url, approved)
    assert "May serve in production" in page
    assert "Screening of home loans." in page
    assert "Something else entirely" not in page
    assert "computed from what was on record then" in page
    assert "Request approval" not in page
    evidence = browser.get(url, {"as_of": timestamp(approved), "tab": "evidence"}).content.decode()
    assert "Bias report, model" in evidence
    assert "Validation report" not in evidence
    approvals = browser.get(url, {"as_of": timestamp(approved), "tab": "approvals"}).content.decode()
    assert request.get_absolute_url() in approvals
    history = browser.get(url, {"as_of": timestamp(approved), "tab": "history"}).content.decode()
    assert "Version registered" in history
    assert "Version card edited" not in history
    # Links lead on to other pages of the same moment.
    assert f"{request.get_absolute_url()}?as_of={timestamp(approved)}" in approvals
    early = Event.objects.get(event="version.registered", object_id=str(version.pk)).time
    assert "Nobody had asked for approval by then." in shown(browser, url, early)


def test_a_request_is_shown_with_what_was_said_and_signed_by_then(browser, cast, seal):
    request = world.a_request(cast)
    asked = database_time()
    comment(by=cast.developer, request=request, text="Mind the threshold.")
    world.sign(cast.validator, request, "validation", "request_changes")
    seal()
    changes = database_time()
    revise(by=cast.developer, request=request, note="Explained the threshold.")
    world.sign(cast.validator, request, "validation")
    world.sign(cast.approver, request, "approval", sealed=False)
    signed = database_time()
    seal()
    approved = database_time()
    request.refresh_from_db()
    revoke(by=cast.risk_officer, request=request, reason="Found a mistake.")
    seal()
    url = request.get_absolute_url()
    assert "This approval was revoked" in browser.get(url).content.decode()

    page = shown(browser, url, asked)
    assert "Cannot serve yet" in page
    assert "revision 1" in page
    assert "Mind the threshold." not in page
    assert "may sign" not in page
    assert "Withdraw" not in page
    assert "<textarea" not in page
    page = shown(browser, url, changes)
    assert "Mind the threshold." in page
    assert "Changes requested" in page
    assert "Explained the threshold." not in page
    page = shown(browser, url, signed)
    assert "waits for its seal" in page
    assert "May not serve in production" in page
    page = shown(browser, url, approved)
    assert "May serve in production" in page
    assert "This approval was revoked" not in page
    assert "revision 2" in page
    page = shown(browser, url, database_time())
    assert "This approval was revoked" in page
    assert "May not serve in production" in page


def test_a_policy_is_shown_or_was_not_there(browser):
    policy = PolicyVersion.objects.latest("number")
    url = policy.get_absolute_url()
    assert "It was the newest version of this policy." in shown(browser, url, database_time())
    page = shown(browser, url, policy.published_at - timedelta(days=1), 404)
    assert "It is on record since" in page


@pytest.mark.parametrize("at", ["yesterday", "2026-13-01", "9999-12-31"])
def test_what_is_no_moment_is_refused_with_a_sentence(browser, cast, at):
    model = worlds.a_model(cast)
    page = shown(browser, model.get_absolute_url(), at, 422)
    assert "Write the moment as a date" in page or "still to come" in page


def test_what_was_not_there_yet_is_not_found_and_a_stranger_sees_nothing_then_as_now(browser, cast, signed_in):
    before = database_time()
    model = worlds.a_model(cast)
    page = shown(browser, model.get_absolute_url(), before, 404)
    assert "At that moment this was not there. It is on record since" in page
    shown(signed_in(cast.outsider), model.get_absolute_url(), database_time(), 404)


def rewrite(cursor, kind, obj, old, new):
    """What the owner of the database can do: change the newest record of an object."""
    row = Record.objects.filter(object_type=kind, object_id=str(obj.pk)).latest("id")
    bad = bytes(row.bytes).replace(old, new)
    assert bad != bytes(row.bytes)
    cursor.execute("ALTER TABLE ledger_record DISABLE TRIGGER append_only")
    cursor.execute("UPDATE ledger_record SET bytes = %s WHERE id = %s", [bad, row.pk])
    cursor.execute("ALTER TABLE ledger_record ENABLE ALWAYS TRIGGER append_only")


def test_an_endpoint_is_shown_with_the_version_that_it_served_then(browser, cast, owner_cursor):
    model = worlds.a_model(cast)
    first, second = worlds.a_version(cast, model), worlds.a_version(cast, model, weight=2.0)
    endpoint = add_endpoint(by=cast.model_owner, model=model, name="desk", environment="production", use=world.USE)
    unbound = database_time()
    bind_endpoint(by=cast.model_owner, endpoint=endpoint, version=first)
    bound = database_time()
    bind_endpoint(by=cast.model_owner, endpoint=endpoint, version=second)
    model_url, served = model.get_absolute_url(), first.get_absolute_url()
    assert "nothing yet" in shown(browser, model_url, unbound)
    tabs = [browser.get(served, {"as_of": timestamp(at), "tab": "serving"}).content.decode() for at in (unbound, bound)]
    assert ["desk" in tab for tab in tabs] == [False, True]
    now = browser.get(first.get_absolute_url(), {"tab": "serving"}).content.decode()
    assert endpoint.get_absolute_url() not in now
    rewrite(owner_cursor, "inference.endpoint", endpoint, b"production", b"producting")
    assert "was altered" in shown(browser, model_url, database_time())


def test_a_record_that_was_altered_is_said_on_the_page(browser, cast, owner_cursor):
    model = worlds.a_model(cast)
    rewrite(owner_cursor, "registry.model", model, model.name.encode(), b"Rewritten")
    page = shown(browser, model.get_absolute_url(), database_time())
    assert "The record of this moment was altered" in page
    assert "it agrees with the log" not in page


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("approvals.reviewrequest", b'"closed_at":"2', b'"closed_at":"1'),
        ("registry.version", b"threshold", b"thresholf"),
        ("registry.model", b"Mortgage", b"Mortgagx"),
    ],
)
def test_no_approval_rests_on_an_altered_record(browser, cast, owner_cursor, kind, old, new):
    request = world.an_approval(cast)
    at, url = database_time(), request.version.get_absolute_url()
    assert "May serve in production" in shown(browser, url, at)
    of = {"approvals.reviewrequest": request, "registry.version": request.version}.get(kind, request.version.model)
    rewrite(owner_cursor, kind, of, old, new)
    page = shown(browser, url, at)
    assert "May not serve in production" in page
    assert "is not what the log recorded" in page
    assert ("The record of this moment was altered" in page) is kind.startswith("registry")
