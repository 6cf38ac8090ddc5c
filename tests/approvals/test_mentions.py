"""Naming people and parts of a request in its conversation."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from approvals.models import Comment
from approvals.services import comment, revise
from approvals.workflow.mentions import named, pieces
from ledger.models import Event
from ledger.refusals import Refusal
from notifications.models import Notification
from tests import worlds
from tests.approvals import world
from tests.approvals.findings_world import a_finding
from tests.approvals.test_pages import text_of
from tests.forms import fields_of
from tests.notifications.world import choose, text_for, told

NAMES = ["Ann Lee", "Ann Lee Roth", "O'Neil", "Ian"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("@Ann Lee, look.", ["Ann Lee"]), ("@ann lee roth and @ANN LEE", ["Ann Lee Roth", "Ann Lee"]),
        ("(@O'Neil)", ["O'Neil"]), ("@Ann Lees", []), ("mail@Ian", []), ("@@Ian", []), ("@Nobody", []), ("Ian", []),
        ("@Ian @Ian", ["Ian"]), ("@ıan", []), ("", []),
    ],
)  # fmt: skip
def test_whom_a_text_names(text, found):
    assert named(text, NAMES) == found
    assert named(text, []) == []


@settings(max_examples=25)
@given(st.text(alphabet="@ IanAnn LeRoth\n", max_size=40), st.lists(st.text(alphabet="@ Ian", max_size=4), max_size=3))
def test_no_letter_is_lost(text, names):
    cut = pieces(text, [*NAMES, *names])
    assert "".join(piece for piece, _ in cut) == text
    assert all(piece and (not name or piece[0] == "@") for piece, name in cut)


def refused(code, **given):
    before = (Comment.objects.count(), Notification.objects.count(), Event.objects.count())
    with pytest.raises(Refusal) as caught:
        comment(**given)
    assert caught.value.code == code
    assert (Comment.objects.count(), Notification.objects.count(), Event.objects.count() - 1) == before
    return caught.value


@pytest.mark.django_db
def test_those_who_may_see_it_are_told_and_nobody_else(cast, signed_in):
    request = world.a_request(cast, worlds.a_version(cast))
    Notification.objects.all().delete()
    choose(cast.auditor, mentioned="off")
    browser, page = signed_in(cast.validator), request.get_absolute_url()
    blank = browser.get(page).content.decode()
    assert set(fields_of(blank, "text")) == {"text", "mentions", "about"}
    offered = blank.partition('name="mentions"')[2].partition("</select>")[0]
    assert "Dev Anand" in offered
    assert not {name for name in ("Otto Fremd", "Vera Lind", "CI bot", "Petra Sand") if name in offered}
    text = "@Dev Anand <b>look</b>, @otto fremd, @Aziz Haddad and @Vera Lind.\n\n<script>x()</script>"
    sent = {"text": text, "mentions": str(cast.approver.opaque_id), "about": ""}
    shown = browser.post(f"{page}comment/", sent, follow=True).content.decode()
    assert "<strong>@Dev Anand</strong> &lt;b&gt;look&lt;/b&gt;, @otto fremd" in shown
    assert "&lt;script&gt;" in shown
    assert "Mentions Arno Weiss" in shown
    row = Comment.objects.get()
    assert set(row.mentioned.all()) == {cast.developer, cast.approver, cast.auditor}
    subject = f"Vera Lind mentioned you in request {request.pk}: {request.version.model.name} 1 "
    assert told() == {who: [f"{subject}for mortgage-screening in production"] for who in ("developer", "approver")}
    assert f"{page}#comment-{row.pk}" in text_for(cast.developer, "mentioned")
    assert "look" not in text_for(cast.developer, "mentioned").partition("http")[0], "what was said stays here"
    facts = Event.objects.get(event="comment.added").content["facts"]
    assert facts["mentioned"] == sorted(str(each.opaque_id) for each in row.mentioned.all())


@pytest.mark.django_db
def test_a_comment_is_about_a_part_of_the_page(cast, api, signed_in):
    version = worlds.a_version(cast)
    evidence = worlds.a_document(cast, version)
    request = world.a_request(cast, version)
    finding = a_finding(cast, version)
    keys = {
        f"evidence-{evidence.pk}": evidence.title, "requirement-validation": "Independent validation",
        f"finding-{finding.pk}": f"Finding {finding.pk}: Cut-off not tested", "line-decision-rule": "Decision rule",
    }  # fmt: skip
    given = {"by": cast.validator, "request": request, "text": "Why?"}
    for key in list(keys)[1:]:
        assert comment(**given, about=key).about == key
    sent = {"text": "Why?", "about": f"evidence-{evidence.pk}", "mentions": [str(cast.developer.opaque_id)]}
    made = api(cast.validator).post(f"/api/v1/requests/{request.pk}/comments/", sent, "application/json").json()
    assert (made["about"], [each["name"] for each in made["mentioned"]]) == (sent["about"], ["Dev Anand"])
    page = signed_in(cast.auditor).get(request.get_absolute_url()).content.decode()
    for key, label in keys.items():
        assert f'id="part-{key}"' in page
        assert f'About <a href="#part-{key}">{label}</a>' in page
    revise(by=cast.developer, request=request, note="Without it.", evidence=[])
    assert refused("part_unknown", **given, about=f"evidence-{evidence.pk}").field == "about"
    hidden, nobody = str(cast.outsider.opaque_id), "00000000-0000-0000-0000-000000000000"
    sentences = [refused("person_unknown", **given, mentions=[each]).sentence for each in (hidden, nobody)]
    assert sentences[0] == sentences[1], "who may not see it is as unknown as who is not there"
    typed = {"text": "Kept.", "mentions": hidden, "about": "line-weather"}
    again = signed_in(cast.validator).post(f"{request.get_absolute_url()}comment/", typed)
    assert (again.status_code, "Kept." in again.content.decode()) == (422, True)
    assert f"About evidence {evidence.pk}, which is not on this page any more" in text_of(again)


@pytest.mark.django_db
def test_of_two_with_one_name_neither_is_meant_and_nobody_calls_the_whole_house(cast):
    from accounts.models import Grant, Role, User

    request = world.a_request(cast, worlds.a_version(cast))
    given = {"by": cast.validator, "request": request, "text": "@Arno Weiss?"}
    User.objects.filter(pk=cast.second_approver.pk).update(name="arno weiss")
    assert not comment(**given).mentioned.exists()
    made = comment(**given, mentions=[str(cast.second_approver.opaque_id)] * 2)
    assert list(made.mentioned.all()) == [cast.second_approver]
    people = User.objects.bulk_create(
        User(name=f"Person {place}x", email=f"{place}@example.org") for place in range(21)
    )
    role = Role.objects.get(slug="reviewer")
    Grant.objects.bulk_create(Grant(user=each, role=role, team=cast.team, reason="many") for each in people)
    everybody = " ".join(f"@{each.name}" for each in people)
    refused("too_many_mentions", **given | {"text": everybody})
    assert comment(**given | {"text": everybody.replace("@Person 0x", "")}).mentioned.count() == 20
