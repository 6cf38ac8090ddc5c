"""An inventory from elsewhere: the file, its columns, a preview that names each fault, and one act or none."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from ledger.models import Event, Record
from ledger.refusals import Denied, Refusal
from registry.importing.models import ModelImport
from registry.importing.reading import MOST_ROWS, NotATable, checked_mapping, guessed, read_table
from registry.importing.services import import_models, preview
from registry.models import Model, Upload
from tests import worlds
from tests.registry.importing import COLUMNS, TEXT, a_file, an_import
from tests.registry.test_pages import text_of

pytestmark = pytest.mark.django_db
FAULTY = (
    "Model,Use,Mail,Key\nLimits,,dev@nowhere.org,\nAlarms,Stops payments.,,Not A Slug\nalarms,Stops.,,taken\n"
    "Old one,Was here.,,a,b\n"
)


def test_from_the_file_to_the_models_by_plain_forms(cast, signed_in):
    browser = signed_in(cast.developer)
    assert "Import an inventory" in text_of(browser.get("/imports/"))
    sent = browser.post("/imports/new/", {"team": cast.team.pk, "file": SimpleUploadedFile("old.csv", TEXT.encode())})
    path = sent.headers["Location"]
    assert path == f"/imports/new/?upload={Upload.objects.get().pk}"
    page = browser.get(path).content.decode()
    assert '<option value="Model" selected>Model</option>' in page, "columns are guessed by their names"
    told = text_of(browser.post(path, COLUMNS))
    assert "What will be registered" in told
    assert "Olga Novak" in told
    assert Model.objects.count() == 0, "a preview writes nothing"
    done = browser.post(path, {**COLUMNS, "confirm": "yes"}, follow=True)
    row = ModelImport.objects.get()
    assert done.redirect_chain == [(f"/imports/{row.pk}/", 302)]
    assert "Collections" in text_of(done)
    owners = dict(Model.objects.values_list("slug", "owner__name"))
    assert owners == {"collections": "Olga Novak", "fraud": "Dev Anand"}
    model = Model.objects.get(slug="fraud")
    assert "Inventory imported" in text_of(browser.get(f"/models/{model.pk}/"))
    again = browser.post(path, {**COLUMNS, "confirm": "yes"})
    assert (again.status_code, Model.objects.count()) == (422, 2), "a double click does no harm"
    assert "has a model called “Collections” already" in text_of(again)


def test_one_act_seals_every_model_that_it_made(cast, seal):
    row = an_import(cast)
    seal()
    event = Event.objects.get(event="inventory.imported")
    assert event.content["facts"] == {
        "artifact": row.artifact.digest, "models": 2, "fields": ["name", "owner", "purpose", "slug"],
    }  # fmt: skip
    kept = Record.objects.filter(event=event, object_type="registry.model").values_list("object_id", flat=True)
    assert sorted(kept) == sorted(str(pk) for pk in row.brought.values_list("pk", flat=True))


def test_each_fault_is_told_by_row_and_column_and_nothing_is_half_written(cast, signed_in):
    taken = worlds.a_model(cast, "Taken")
    assert taken.slug == "taken"
    upload = a_file(cast, FAULTY)
    plan = preview(by=cast.developer, team=cast.team, upload=upload, columns=COLUMNS)
    said = [(fault.row, fault.column, fault.sentence.partition(".")[0]) for fault in plan.faults]
    assert said == [
        (2, "Use", "Purpose is empty"),
        (2, "Mail", "“dev@nowhere"),
        (3, "Key", "“Not A Slug” is no short name"),
        (4, "Model", "Row 3 has the same name"),
        (4, "Key", "Another model has the short name “taken” already"),
        (5, "Key", "This row has more cells than there are columns"),
    ]
    assert plan.models == []
    with pytest.raises(Refusal) as told:
        import_models(by=cast.developer, team=cast.team, upload=upload, columns=COLUMNS)
    assert told.value.code == "import_faulty"
    assert "There are 5 more faults. Nothing was imported." in told.value.sentence
    assert list(Model.objects.all()) == [taken]
    assert not ModelImport.objects.exists()
    assert Event.objects.filter(event="inventory.imported.refused").count() == 1
    browser = signed_in(cast.developer)
    page = browser.post(f"/imports/new/?upload={upload.pk}", {**COLUMNS, "confirm": "yes"})
    assert page.status_code == 422
    assert "What has to be repaired" in text_of(page)
    wrong = browser.post(f"/imports/new/?upload={upload.pk}", {**COLUMNS, "purpose": "Model"})
    assert "was chosen for two things" in text_of(wrong)
    assert browser.post(f"/imports/new/?upload={upload.pk}", {"name": "No such"}).status_code == 422


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xff\xfe", "not_utf8"), (b"", "column_unnamed"), (b"name,\nx,y\n", "column_unnamed"),
        (b"name,name\nx,y\n", "duplicate_column"), (b"name,purpose\n\n , \n", "no_rows"),
        (b'name,purpose\n"x,y\n', "broken_csv"),
        (b"name,purpose\n" + b"x,y\n" * (MOST_ROWS + 1), "too_many_rows"), (b"x" * (5 * 1024**2), "too_large"),
    ],
    ids=["utf8", "empty", "unnamed", "twice", "no-rows", "quote", "rows", "bytes"],
)  # fmt: skip
def test_what_is_no_table_is_said_at_once(data, code):
    with pytest.raises(NotATable) as told:
        read_table(data)
    assert told.value.code == code


def test_a_file_that_is_no_table_is_said_beside_the_field(cast, signed_in):
    browser = signed_in(cast.developer)
    sent = {"team": cast.team.pk, "file": SimpleUploadedFile("old.csv", b"name,\nx,y\n")}
    answer = browser.post("/imports/new/", sent)
    assert (answer.status_code, "needs a name in the first row" in text_of(answer)) == (422, True)
    late = browser.get(f"/imports/new/?upload={Upload.objects.get().pk}", follow=True)
    assert late.redirect_chain[-1][0] == "/imports/new/"
    assert browser.get("/imports/new/?upload=x").status_code == 404


def test_columns_are_guessed_and_checked():
    table = read_table("\ufeffModel name;Owner e-mail;Intended use\nA;b@example.org;Sets; limits\n".encode())
    assert guessed(table.columns) == {"name": "Model name", "owner": "Owner e-mail", "purpose": "Intended use"}
    assert table.value(table.lines[0], "Intended use") == "Sets"
    for mapping, code in [
        ({"name": "Model name"}, "column_missing"), ({"name": "x", "purpose": "y"}, "column_missing"),
        ({"colour": "Model name"}, "field_unknown"), ({"name": "Model name", "purpose": "Model name"}, "column_twice"),
    ]:  # fmt: skip
        with pytest.raises(NotATable) as told:
            checked_mapping(table.columns, mapping)
        assert told.value.code == code


def test_by_the_api_with_the_same_rules(cast, api):
    client, upload = api(cast.developer), a_file(cast)
    given = {"team": cast.team.pk, "upload": upload.pk, "columns": COLUMNS}

    def post(path, **changes):
        return client.post(path, {**given, **changes}, content_type="application/json")

    seen = post("/api/v1/imports/previews/").json()
    assert ([model["name"] for model in seen["models"]], seen["faults"]) == (["Collections", "Fraud alarm"], [])
    made = post("/api/v1/imports/")
    assert made.status_code == 201
    assert [model["slug"] for model in made.json()["models"]] == ["collections", "fraud"]
    assert client.get("/api/v1/imports/").json()["results"][0]["digest"] == upload.artifact.digest
    assert client.get(f"/api/v1/imports/{made.json()['id']}/").json()["filename"] == "inventory.csv"
    again = post("/api/v1/imports/")
    assert (again.status_code, again.json()["code"]) == (422, "import_faulty")
    (first, *_) = post("/api/v1/imports/previews/").json()["faults"]
    assert (first["row"], first["column"]) == (2, "Model")
    assert post("/api/v1/imports/", columns={"name": "x"}).json()["errors"][0]["field"] == "columns.name"


def test_only_who_may_register_models_imports_and_only_from_the_teams_own_files(cast, signed_in):
    upload = a_file(cast)
    for who in (cast.validator, cast.auditor):
        assert signed_in(who).get("/imports/new/").status_code == 403
        with pytest.raises(Denied):
            import_models(by=who, team=cast.team, upload=upload, columns=COLUMNS)
    with pytest.raises(Refusal) as told:
        import_models(by=cast.outsider, team=cast.other_team, upload=upload, columns=COLUMNS)
    assert told.value.code == "upload_of_another_team"
    assert not Model.objects.exists()
    assert signed_in(cast.outsider).get(f"/imports/{an_import(cast).pk}/").status_code == 404
