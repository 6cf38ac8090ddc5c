"""The auditor's page: each question becomes an export of just what shows it."""

from __future__ import annotations

import csv
import io
from datetime import date

import pytest

from audits.exports.needs import ARTICLES, BY_SLUG, NEEDS
from audits.forms import beginning, next_day
from audits.models import Export
from ledger.door import ACTS
from scripts.docs import load
from tests import worlds
from tests.audits.exporting import a_team_auditor, exported

PAGE = "/audit/evidence/"


@pytest.mark.django_db
def test_it_begins_with_questions_and_rules(signed_in, cast):
    page = signed_in(cast.auditor).get(PAGE).content.decode()
    for need in NEEDS:
        assert f'href="{PAGE}?need={need.slug}"' in page
        assert need.question in page
    for article in ARTICLES:
        assert f"?need={article.need}&amp;article={article.slug}" in page
    assert "Nothing was exported yet" in page
    assert signed_in(cast.auditor).get(f"{PAGE}?need=peace").status_code == 404


def test_what_a_need_looks_for_is_there():
    load()
    events = {act.event for act in ACTS.values()}
    for need in NEEDS:
        assert all(any(event.startswith(beginning) for event in events) for beginning in need.events), need.slug
    assert {article.need for article in ARTICLES} <= set(BY_SLUG)


@pytest.mark.django_db
@pytest.mark.parametrize("need", NEEDS, ids=lambda need: need.slug)
def test_each_question_becomes_an_export(signed_in, cast, need):
    browser, model = signed_in(cast.auditor), worlds.a_model(cast)
    article = next((one.slug for one in ARTICLES if one.need == need.slug), "")
    page = browser.get(f"{PAGE}?need={need.slug}&article={article}").content.decode()
    assert need.shows in page
    assert ("id_first" in page, "id_team" in page, "id_model" in page) == tuple(
        one in need.asks for one in ("period", "team", "model")
    )
    form = {"model": model.pk, "first": "2026-01-01", "last": "2026-12-31", "team": cast.team.pk, "article": article}
    answer = browser.post(f"{PAGE}?need={need.slug}", {**form, "kind": need.kinds[0]})
    export = Export.objects.get()
    assert answer["Location"] == export.get_absolute_url()
    chosen = export.selection
    assert (export.kind, chosen.need, chosen.article) == (need.kinds[0], need.slug, article)
    if "period" in need.asks:
        assert chosen.filters["since"] == "2026-01-01T00:00:00Z"
        assert chosen.filters["until"] == "2027-01-01T00:00:00Z"
    assert need.question in browser.get(answer["Location"]).content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"first": "2026-02-01", "last": "2026-01-01"}, "before the first one"),
        ({"first": "soon"}, "Enter a valid date"),
        ({"model": "0"}, "Select a valid choice"),
        ({"kind": "bundle"}, "Select a valid choice"),
        ({"article": "magna-carta"}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_written(signed_in, cast, given, said):
    form = {"model": worlds.a_model(cast).pk, "kind": "pdf", **given}
    answer = signed_in(cast.auditor).post(f"{PAGE}?need=approval", form)
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not Export.objects.exists()


@pytest.mark.django_db
def test_too_many_for_a_pdf_is_said_on_the_form(signed_in, cast, settings):
    settings.EXPORT_PDF_ENTRIES = 3
    answer = signed_in(cast.auditor).post(f"{PAGE}?need=period", {"kind": "pdf"})
    assert answer.status_code == 422
    assert "A PDF holds at most 3 entries" in answer.content.decode()


@pytest.mark.django_db
def test_a_team_auditor_shows_what_is_that_teams(signed_in, cast):
    auditor = a_team_auditor(cast)
    browser = signed_in(auditor)
    theirs = worlds.a_model(cast)
    assert theirs.name not in browser.get(f"{PAGE}?need=approval").content.decode()
    assert browser.post(f"{PAGE}?need=approval", {"model": theirs.pk, "kind": "csv"}).status_code == 422
    browser.post(f"{PAGE}?need=refused", {"kind": "csv"})
    assert Export.objects.get().team == cast.other_team
    assert browser.post(f"{PAGE}?need=complete", {"kind": "bundle"}).status_code == 403


def test_everything_about_one_model_and_nothing_else_is_in_it(committing_db, cast, seal, signed_in):
    from tests.approvals import world as approvals

    version = approvals.a_complete_version(cast)
    approvals.a_request(cast, version)
    worlds.a_model(cast)
    signed_in(cast.auditor).post(f"{PAGE}?need=approval", {"model": version.model.pk, "kind": "csv"})
    asked = Export.objects.get()
    assert asked.selection.about == f"{version.model.name} ({version.model.slug})"
    _, body = exported(cast.auditor, "csv", asked.selection, asked.team)
    rows = list(csv.DictReader(io.StringIO(body.decode(), newline="")))
    events = {row["event"] for row in rows}
    assert {"model.registered", "version.registered", "request.submitted"} <= events
    assert "team.added" not in events
    assert {row["object_id"] for row in rows if row["object_type"] == "registry.model"} == {str(version.model.pk)}


def test_the_last_day_there_is_has_no_next():
    assert next_day(date.max) is None
    assert beginning(next_day(date(2026, 12, 31))) == "2027-01-01T00:00:00Z"
