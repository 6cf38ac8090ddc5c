"""The registry's pages in a browser without scripts: what they show, what they refuse, what they keep."""

import pickle
import re
from html import unescape

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from ledger.models import Event
from registry import cards
from registry.models import Dataset, Evidence, Model, Upload, Version
from tests.worlds import a_dataset, a_document, a_model, a_version, an_upload, csv_bytes, onnx_bytes

pytestmark = pytest.mark.django_db


def text_of(response):
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", response.content.decode())).split())


def file(data, name):
    return SimpleUploadedFile(name, data)


@pytest.fixture
def browser(signed_in, cast):
    return signed_in(cast.developer)


def test_a_model_is_registered_and_a_double_click_does_no_harm(browser, cast):
    given = {"team": cast.team.pk, "name": "Home loans", "purpose": "Screens applications."}
    first = browser.post("/models/new/", given)
    model = Model.objects.get()
    assert first.headers["Location"] == f"/models/{model.pk}/"
    again = browser.post("/models/new/", given, follow=True)
    assert again.redirect_chain == [(f"/models/{model.pk}/", 302)]
    assert "registered already" in text_of(again)
    assert Model.objects.count() == 1
    other = browser.post("/models/new/", {**given, "purpose": "Something else."})
    assert other.status_code == 422
    assert "has a model called “Home loans” already" in text_of(other)
    assert "Something else." in text_of(other)
    foreign = browser.post("/models/new/", {**given, "team": cast.other_team.pk})
    assert foreign.status_code == 422


def test_a_version_goes_through_two_steps(browser, cast):
    model = a_model(cast, "Home loans")
    path = f"/models/{model.pk}/versions/new/"
    assert 'enctype="multipart/form-data"' in browser.get(path).content.decode()
    sent = browser.post(path, {"file": file(onnx_bytes(), "tiny.onnx")})
    upload = Upload.objects.get()
    assert sent.headers["Location"] == f"{path}?upload={upload.pk}"
    page = browser.get(sent.headers["Location"])
    assert upload.artifact.digest in page.content.decode()
    assert "The model takes 2 columns" in text_of(page)
    assert "# Intended use" in text_of(page)
    given = {
        "features": "income\ndebt\n", "output": "probabilities", "kind": "threshold", "klass": "1", "at_least": "",
        "contributors": [cast.developer.pk], "card": "# Use", "notes": "Kept text",
    }  # fmt: skip
    incomplete = browser.post(sent.headers["Location"], given)
    assert incomplete.status_code == 422
    assert "Kept text" in text_of(incomplete)
    assert "This kind of rule needs it." in text_of(incomplete)
    wrong = browser.post(sent.headers["Location"], {**given, "at_least": "0.5", "features": "income"})
    assert wrong.status_code == 422
    assert "takes 2 columns, but 1 features are declared" in text_of(wrong)
    done = browser.post(sent.headers["Location"], {**given, "at_least": "0.5"})
    version = Version.objects.get()
    assert done.headers["Location"] == f"/versions/{version.pk}/"
    again = browser.post(sent.headers["Location"], {**given, "at_least": "0.5"}, follow=True)
    assert again.redirect_chain == [(f"/versions/{version.pk}/", 302)]
    assert "has these bytes, features and decision rule already" in text_of(again)
    assert Version.objects.count() == 1
    label = {**given, "output": "label", "kind": "label", "equals": "1"}
    assert browser.post(sent.headers["Location"], label).status_code == 302
    assert Version.objects.get(number=2).decision_rule == {"kind": "label", "output": "label", "equals": "1"}
    prefilled = browser.get(sent.headers["Location"]).content.decode()
    assert 'value="label" selected' in prefilled


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (pickle.dumps([1, 2, 3]), "Opening one runs whatever code it holds"),
        (b"hello", "no ONNX model"),
        (b"", "empty"),
    ],
)
def test_a_file_that_is_no_model_is_refused_beside_its_field(browser, cast, data, told):
    model = a_model(cast)
    answer = browser.post(f"/models/{model.pk}/versions/new/", {"file": file(data, "model.onnx")})
    assert answer.status_code == 422
    assert told in text_of(answer)
    assert 'href="#id_file"' in answer.content.decode()
    if data:
        late = browser.get(f"/models/{model.pk}/versions/new/?upload={Upload.objects.get().pk}", follow=True)
        assert told in text_of(late)


def test_an_upload_of_another_team_is_not_found(browser, cast):
    model = a_model(cast)
    theirs = an_upload(cast, onnx_bytes(), by=cast.outsider, team=cast.other_team)
    for key in (theirs.pk, "x", 999_999):
        assert browser.get(f"/models/{model.pk}/versions/new/?upload={key}").status_code == 404
        assert browser.get(f"/datasets/new/?upload={key}").status_code == 404


def test_a_dataset_goes_through_two_steps(browser, cast):
    sent = browser.post("/datasets/new/", {"team": cast.team.pk, "file": file(csv_bytes(), "loans.csv")})
    upload = Upload.objects.get()
    address = f"/datasets/new/?upload={upload.pk}"
    assert sent.headers["Location"] == address
    page = browser.get(address)
    assert "approved" in text_of(page)
    given = {
        "name": "Loans", "purpose": "test", "source": "Drawn for tests.", "positive_class": "1", "role_0": "label",
        "role_1": "sensitive", "role_2": "feature", "role_3": "label",
    }  # fmt: skip
    twice = browser.post(address, given)
    assert twice.status_code == 422
    assert "Only one column can be the label" in text_of(twice)
    assert '<option value="sensitive" selected>' in twice.content.decode()
    given["role_3"] = "feature"
    done = browser.post(address, given)
    dataset = Dataset.objects.get()
    assert done.headers["Location"] == f"/datasets/{dataset.pk}/"
    again = browser.post(address, given, follow=True)
    assert again.redirect_chain == [(f"/datasets/{dataset.pk}/", 302)]
    other = an_upload(cast, csv_bytes(300), "more.csv")
    taken = browser.post(f"/datasets/new/?upload={other.pk}", given)
    assert taken.status_code == 422
    assert "has a dataset called “Loans” already" in text_of(taken)
    seen = text_of(browser.get(f"/datasets/{dataset.pk}/"))
    assert "75.0" in seen
    assert "Sensitive attribute" in seen
    assert dataset.artifact.digest in seen


def test_a_dataset_may_have_a_number_for_an_outcome_or_none(browser, cast):
    upload = an_upload(cast, csv_bytes(), "loans.csv")
    address = f"/datasets/new/?upload={upload.pk}"
    given = {
        "name": "Losses", "purpose": "test", "source": "Drawn for tests.", "positive_class": "1", "role_0": "other",
        "role_1": "sensitive", "role_2": "label_number", "role_3": "label_classes",
    }  # fmt: skip
    twice = browser.post(address, given)
    assert "A dataset has one outcome at most; income and debt were named" in text_of(twice)
    for name, role, note in (("Losses", "label_number", "income is a number"), ("Rows", "other", "no outcome")):
        browser.post(address, given | {"name": name, "role_2": role, "role_3": "other"})
        dataset = Dataset.objects.get(name=name)
        assert dataset.positive_class == "", "what the form begins with is no class of these"
        assert note in text_of(browser.get(dataset.get_absolute_url()))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("a,b\n1,caf\xe9\n".encode("latin-1"), "save it as UTF-8"),
        (b"a,b,a\n1,2,3\n", "Two columns are called"),
        (b"a,b\n", "no rows"),
    ],
)
def test_a_bad_table_is_refused(browser, cast, data, told):
    answer = browser.post("/datasets/new/", {"team": cast.team.pk, "file": file(data, "t.csv")}, follow=True)
    assert told in text_of(answer)
    late = browser.get(f"/datasets/new/?upload={Upload.objects.get().pk}", follow=True)
    assert told in text_of(late)


def test_a_form_that_is_too_large_is_refused_unread(browser, cast, settings):
    model = a_model(cast)
    settings.MAX_UPLOAD_BYTES = 1000
    answer = browser.post(f"/models/{model.pk}/versions/new/", {"file": file(b"x" * (1024**2 + 2000), "m.onnx")})
    assert answer.status_code == 413
    assert "bytes that are taken here" in text_of(answer)
    slightly = browser.post(f"/models/{model.pk}/versions/new/", {"file": file(b"x" * 2000, "m.onnx")})
    assert slightly.status_code == 422
    assert "larger than the 1,000 bytes" in text_of(slightly)
    wide = browser.post("/api/v1/models/", b"x" * (6 * 1024**2), content_type="application/json")
    assert (wide.status_code, wide.json()["code"]) == (413, "too_large")


def test_evidence_is_attached_with_the_file_kept_when_the_rest_is_wrong(browser, cast):
    version = a_version(cast)
    path = f"/versions/{version.pk}/evidence/new/"
    missing = browser.post(path, {"kind": "document", "title": "", "file": file(b"# Notes", "notes.md")})
    assert missing.status_code == 422
    kept = re.search(r'name="kept" value="(\d+)"', missing.content.decode())[1]
    done = browser.post(path, {"kind": "document", "title": "Notes", "kept": kept})
    evidence = Evidence.objects.get()
    assert done.headers["Location"] == f"/evidence/{evidence.pk}/"
    again = browser.post(path, {"kind": "document", "title": "Notes", "kept": kept})
    assert again.status_code == 422
    assert "attached under this title already" in text_of(again)
    assert browser.post(path, {"kind": "document", "title": "Nothing"}).status_code == 422
    page = text_of(browser.get(f"/evidence/{evidence.pk}/"))
    assert "This document was handed in" in page
    withdraw = f"/evidence/{evidence.pk}/withdraw/"
    assert "stays listed" in text_of(browser.get(withdraw))
    assert browser.post(withdraw, {"reason": ""}).status_code == 422
    browser.post(withdraw, {"reason": "Wrong file."})
    assert "Wrong file." in text_of(browser.get(f"/evidence/{evidence.pk}/"))
    assert browser.post(withdraw, {"reason": "Again."}).status_code == 409


def test_an_upload_that_is_too_large_for_evidence_is_said_beside_the_field(browser, cast, settings):
    version = a_version(cast)
    settings.MAX_UPLOAD_BYTES = 10
    given = {"kind": "document", "title": "Long", "file": file(b"x" * 11, "long.txt")}
    answer = browser.post(f"/versions/{version.pk}/evidence/new/", given)
    assert answer.status_code == 422
    assert "larger than the 10 bytes" in text_of(answer)
    assert not Evidence.objects.exists()


def test_the_version_page_says_what_is_missing_and_shows_the_card_harmlessly(browser, cast):
    hostile = "# Use\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1))"
    version = a_version(cast, card=hostile)
    page = browser.get(f"/versions/{version.pk}/")
    html = page.content.decode()
    assert "Nobody has asked for approval yet." in text_of(page)
    assert "You worked on this version" in text_of(page)
    assert "<script>alert" not in html
    assert 'href="javascript' not in html
    for tab in ("evidence", "approvals", "serving", "history", "nonsense"):
        assert browser.get(f"/versions/{version.pk}/?tab={tab}").status_code == 200
    assert "Version registered" in text_of(browser.get(f"/versions/{version.pk}/?tab=history"))


def test_a_version_without_a_card_offers_the_template(browser, cast):
    version = a_version(cast, card="")
    assert "No card yet" in text_of(browser.get(f"/versions/{version.pk}/"))
    assert cards.TEMPLATE.splitlines()[0] in text_of(browser.get(f"/versions/{version.pk}/card/"))


def test_a_card_is_not_overwritten_by_an_old_form(browser, cast):
    version = a_version(cast)
    path = f"/versions/{version.pk}/card/"
    before = version.card_digest
    assert browser.post(path, {"card": "# New", "before": before}).status_code == 302
    late = browser.post(path, {"card": "# Mine", "before": before})
    assert late.status_code == 409
    assert "# Mine" in text_of(late)
    assert Version.objects.get().card == "# New"


def test_contributors_are_added(browser, cast):
    version = a_version(cast)
    path = f"/versions/{version.pk}/contributors/"
    assert "Otto Fremd" not in text_of(browser.get(path))
    assert browser.post(path, {"contributors": [cast.second_developer.pk]}).status_code == 302
    assert browser.post(path, {"contributors": [cast.outsider.pk]}).status_code == 422
    named = {cast.developer, cast.second_developer, cast.outsider, cast.platform_admin}
    browser.post(path, {"contributors": [person.pk for person in set(cast.everybody().values()) - named]})
    assert "Nobody is left to name" in text_of(browser.get(path))


def test_two_versions_side_by_side(browser, cast):
    model = a_model(cast, "Home loans")
    first = a_version(cast, model)
    second = a_version(cast, model, weight=2.0, card="# Intended use\n\nOther.\n")
    a_document(cast, second)
    chosen = browser.get(f"/versions/{second.pk}/compare/?with={first.pk}")
    assert chosen.headers["Location"] == f"/versions/{second.pk}/compare/{first.pk}/"
    page = text_of(browser.get(chosen.headers["Location"]))
    assert first.artifact.digest in page
    assert second.artifact.digest in page
    assert "added: Other." in page
    assert "Validation report" in page
    assert browser.get(f"/versions/{second.pk}/compare/?with=x").headers["Location"] == f"/versions/{second.pk}/"
    same = a_version(cast, model, weight=3.0, card=second.card)
    assert "Both versions have the same card." in text_of(browser.get(f"/versions/{same.pk}/compare/{second.pk}/"))


def test_the_inventory_is_filtered_and_paged(browser, cast):
    assert "No models yet" in text_of(browser.get("/models/"))
    for number in range(27):
        a_model(cast, f"Model {number:02}")
    page = browser.get("/models/")
    assert "25 of 27" in text_of(page)
    older = re.search(r'href="(\?before=\d+)"', page.content.decode())[1]
    last = browser.get(f"/models/{older}")
    assert "Model 01" in text_of(last)
    assert "Model 02" not in text_of(last)
    newer = re.search(r'href="(\?after=\d+)"', last.content.decode())[1]
    assert "Model 26" in text_of(browser.get(f"/models/{newer}"))
    assert "No model is like this" in text_of(browser.get("/models/?q=nothing-like-it"))
    narrow = text_of(browser.get(f"/models/?q=model 07&owner={cast.developer.pk}&tier=high&team={cast.team.pk}"))
    assert "Model 07" in narrow
    assert "Model 08" not in narrow


def test_the_list_of_datasets(browser, cast):
    assert "No datasets yet" in text_of(browser.get("/datasets/"))
    a_dataset(cast, name="Spring")
    assert "Spring" in text_of(browser.get("/datasets/?q=spr"))
    assert "No dataset is like this" in text_of(browser.get("/datasets/?q=autumn"))


def test_first_rows_are_shown_and_recorded(signed_in, cast):
    dataset = a_dataset(cast)
    page = signed_in(cast.validator).get(f"/datasets/{dataset.pk}/rows/")
    assert "has been recorded" in text_of(page)
    assert Event.objects.filter(event="dataset.rows_opened").count() == 1
    assert signed_in(cast.auditor).get(f"/datasets/{dataset.pk}/rows/").status_code == 403


def test_downloads(browser, cast):
    version, dataset = a_version(cast), a_dataset(cast)
    evidence = a_document(cast, version)
    for path in (
        f"versions/{version.pk}/artifact",
        f"datasets/{dataset.pk}/content",
        f"evidence/{evidence.pk}/content",
    ):
        answer = browser.get(f"/{path}/")
        assert answer["Content-Disposition"].startswith("attachment")
        assert b"".join(answer.streaming_content)
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer["Content-Security-Policy"]


def test_insiders_without_the_right_are_told_which(signed_in, cast):
    version = a_version(cast)
    auditor = signed_in(cast.auditor)
    for path in (
        "/models/new/", f"/models/{version.model_id}/edit/", f"/models/{version.model_id}/risk-tier/", "/datasets/new/",
        f"/models/{version.model_id}/versions/new/", f"/versions/{version.pk}/card/",
        f"/versions/{version.pk}/contributors/", f"/versions/{version.pk}/evidence/new/",
    ):  # fmt: skip
        answer = auditor.get(path)
        assert answer.status_code == 403, path
        assert "registry." in text_of(answer)
    assert "Register a version" not in text_of(auditor.get(f"/models/{version.model_id}/"))
    assert "Register a model" not in text_of(auditor.get("/models/"))
    sent = auditor.post(f"/models/{version.model_id}/edit/", {"name": "Mine", "purpose": "x"})
    assert sent.status_code == 403
    assert Event.objects.filter(event="model.edited.refused").count() == 1


def test_tier_and_description_forms(signed_in, cast):
    model = a_model(cast)
    officer = signed_in(cast.risk_officer)
    path = f"/models/{model.pk}/risk-tier/"
    assert officer.post(path, {"tier": "low", "reason": ""}).status_code == 422
    assert officer.post(path, {"tier": "low", "reason": "A pilot."}).status_code == 302
    assert "set by Rosa Klein" in text_of(officer.get(f"/models/{model.pk}/"))
    developer = signed_in(cast.developer)
    edit = f"/models/{model.pk}/edit/"
    assert model.purpose in text_of(developer.get(edit))
    assert developer.post(edit, {"name": "Renamed", "purpose": "Other."}).status_code == 302
    assert "Renamed" in text_of(developer.get(f"/models/{model.pk}/"))
