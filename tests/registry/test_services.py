"""What the registry's acts refuse, and that nothing half-written is left."""

import pickle

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from accounts.models import User
from ledger.actors import SystemActor
from ledger.models import Event
from ledger.refusals import Denied, Refusal
from registry import storage
from registry.models import Artifact, Dataset, Evidence, Model, Upload, Version
from registry.services import (
    add_contributors,
    add_evidence,
    attach_evidence,
    edit_card,
    edit_model,
    receive_upload,
    record_upload,
    register_dataset,
    register_model,
    register_version,
    set_risk_tier,
    withdraw_evidence,
)
from tests.worlds import FEATURES, RULE, a_dataset, a_document, a_model, a_version, an_upload, csv_bytes, onnx_bytes

pytestmark = pytest.mark.django_db
ROLES = {"approved": "label", "group": "sensitive", "income": "feature", "debt": "feature"}


def refused(code, act, *args, field=..., **kwargs):
    with pytest.raises(Refusal) as caught:
        act(*args, **kwargs)
    assert caught.value.code == code, caught.value.sentence
    if field is not ...:
        assert caught.value.field == field
    event = Event.objects.order_by("-id").first()
    assert event.outcome == "refused"
    assert event.content["facts"]["code"] == code
    return caught.value.sentence


def version_from(cast, data, filename="model.onnx", **changes):
    model = Model.objects.filter(name="Subject").first() or a_model(cast, "Subject")
    given = {"features": list(FEATURES), "decision_rule": RULE, "contributors": [cast.developer], **changes}
    return register_version(by=cast.developer, model=model, upload=an_upload(cast, data, filename), **given)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not_onnx"),
        (b"just some text", "not_onnx"),
        (pickle.dumps({"weights": [1, 2]}), "pickle"),
        (b"PK\x03\x04" + b"\0" * 40 + b"archive/data.pkl", "pickle"),
        (b"\x08\x07" + b"\xff" * 200, "not_onnx"),
        (onnx_bytes()[:100], "not_onnx"),
    ],
)
def test_a_file_that_is_no_onnx_is_refused_and_recorded(cast, data, code):
    assert refused(code, version_from, cast, data, field="upload")
    assert not Version.objects.exists()
    assert Event.objects.filter(event="version.registered.refused").count() == 1


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"features": ["income"]}, "inputs_differ", "features"),
        ({"features": ["income", "debt", "age"]}, "inputs_differ", "features"),
        ({"features": []}, "features_invalid", "features"),
        ({"features": ["income", "income"]}, "features_invalid", "features"),
        ({"decision_rule": {**RULE, "output": "nothing"}}, "bad_decision_rule", "decision_rule"),
        ({"decision_rule": {**RULE, "class": 5}}, "bad_decision_rule", "decision_rule"),
        ({"decision_rule": {"kind": "magic"}}, "bad_decision_rule", "decision_rule"),
        ({"contributors": []}, "contributors_missing", "contributors"),
        ({"card": "x" * 100_001}, "too_long", "card"),
        ({"notes": "a\x00b"}, "text_invalid", "notes"),
    ],
)
def test_a_version_that_does_not_fit_its_file(cast, changes, code, field):
    assert refused(code, version_from, cast, onnx_bytes(), field=field, **changes)
    assert not Version.objects.exists()


def test_versions_are_numbered_and_the_registrant_is_always_a_contributor(cast):
    model = a_model(cast)
    first = a_version(cast, model, contributors=[cast.second_developer])
    second = a_version(cast, model, weight=2.0)
    assert (first.number, second.number) == (1, 2)
    assert {user.pk for user in first.contributors.all()} == {cast.developer.pk, cast.second_developer.pk}
    facts = Event.objects.filter(event="version.registered").order_by("id").first().content["facts"]
    assert facts["artifact"] == first.artifact.digest
    assert len(facts["contributors"]) == 2


def test_the_same_bytes_features_and_rule_are_one_version(cast):
    model = a_model(cast)
    a_version(cast, model)
    assert "Version 1" in refused("version_exists", a_version, cast, model, notes="again")
    other_rule = a_version(cast, model, decision_rule={**RULE, "at_least": 0.7})
    label_rule = a_version(cast, model, decision_rule={"kind": "label", "output": "label", "equals": 1})
    assert (other_rule.number, label_rule.number) == (2, 3)
    assert label_rule.decision_rule == {"kind": "label", "output": "label", "equals": "1"}


def test_a_file_uploaded_for_another_team_is_not_ours(cast):
    upload = an_upload(cast, onnx_bytes(), by=cast.outsider, team=cast.other_team)
    model = a_model(cast)
    refused(
        "upload_of_another_team", register_version, by=cast.developer, model=model, upload=upload,
        features=list(FEATURES), decision_rule=RULE, contributors=[cast.developer],
    )  # fmt: skip
    table = an_upload(cast, csv_bytes(), by=cast.outsider, team=cast.other_team)
    refused(
        "upload_of_another_team", register_dataset, by=cast.developer, team=cast.team, upload=table, name="Theirs",
        purpose="test", roles=ROLES, positive_class="1", source="x",
    )  # fmt: skip
    version = a_version(cast, model)
    refused(
        "upload_of_another_team", attach_evidence, by=cast.developer, version=version, kind="document", title="x",
        upload=upload,
    )  # fmt: skip


def test_who_may_not_is_denied_before_a_file_is_opened(cast):
    model, upload = a_model(cast), an_upload(cast, b"whatever this is")
    for who in (cast.auditor, cast.outsider, cast.approver, cast.platform_admin):
        with pytest.raises(Denied):
            register_version(by=who, model=model, upload=upload, features=["a"], decision_rule=RULE, contributors=[who])
        with pytest.raises(Denied):
            register_dataset(
                by=who,
                team=cast.team,
                upload=upload,
                name="x",
                purpose="test",
                roles=ROLES,
                positive_class="1",
                source="x",
            )
    taken = []

    def bytes_of_an_outsider():
        taken.append(1)
        yield b"x"

    with pytest.raises(Denied):
        receive_upload(by=cast.outsider, team=cast.team, chunks=bytes_of_an_outsider(), filename="x")
    assert not taken
    assert Event.objects.filter(event="artifact.uploaded.refused").count() == 1


def test_an_upload_over_the_limit_leaves_nothing(cast, settings):
    settings.MAX_UPLOAD_BYTES = 1000
    before = Artifact.objects.count()
    refused(
        "too_large",
        receive_upload,
        by=cast.developer,
        team=cast.team,
        chunks=(b"x" * 400 for _ in range(9)),
        filename="x",
    )
    assert Artifact.objects.count() == before
    assert not Upload.objects.exists()


def test_the_system_itself_uploads_nothing(cast):
    stored = storage.put([b"x"], limit=10)
    robot = SystemActor("robot", frozenset({"registry.upload_artifact"}))
    with pytest.raises(Denied):
        record_upload(by=robot, team=cast.team, stored=stored, filename="x")
    assert not Upload.objects.exists()


def dataset_from(cast, data, **changes):
    given = {
        "name": "Table", "purpose": "test", "roles": ROLES, "positive_class": "1", "source": "Drawn.", **changes,
    }  # fmt: skip
    return register_dataset(by=cast.developer, team=cast.team, upload=an_upload(cast, data, "t.csv"), **given)


ONE_CLASS = b"approved,group,income,debt\n" + b"1,a,2,3\n1,b,2,3\n"

SHARES = b"approved,group,share,much\n1,a,0.5,1\n0,b,50,inf\n1,b,0,2\n"
PARTS = {"approved": "label", "group": "sensitive"}


@pytest.mark.parametrize(
    ("data", "changes", "code", "field"),
    [
        (csv_bytes(), {"roles": {**ROLES, "age": "sensitive"}}, "column_missing", "roles.age"),
        (csv_bytes(), {"roles": {"group": "sensitive"}}, "positive_class_unused", "positive_class"),
        (csv_bytes(), {"roles": {**ROLES, "debt": "label_number"}}, "role_twice", "roles.debt"),
        (csv_bytes(), {"roles": {**ROLES, "debt": "label"}}, "role_twice", "roles.debt"),
        (csv_bytes(), {"roles": {**ROLES, "debt": "friend"}}, "role_unknown", "roles.debt"),
        (csv_bytes(), {"positive_class": "yes"}, "positive_class_missing", "positive_class"),
        (csv_bytes(), {"positive_class": ""}, "text_missing", "positive_class"),
        (csv_bytes(), {"purpose": "fun"}, "purpose_unknown", "purpose"),
        (csv_bytes(), {"source": " "}, "text_missing", "source"),
        (csv_bytes(), {"name": ""}, "text_missing", "name"),
        (csv_bytes(), {"roles": {**ROLES, "group": "weight"}}, "not_numeric", "roles.group"),
        (SHARES, {"roles": {**PARTS, "share": "probability"}}, "not_probability", "roles.share"),
        (SHARES, {"roles": {**PARTS, "much": "score"}}, "not_finite", "roles.much"),
        (ONE_CLASS, {}, "one_class", "roles.approved"),
        (ONE_CLASS + b"2,a,1,1\n0,a,1,1\n", {}, "not_binary", "roles.approved"),
        (ONE_CLASS + b",a,1,1\n0,a,1,1\n", {}, "value_missing", "roles.approved"),
        ("approved,group\n1,café\n0,a\n".encode("latin-1"), {}, "not_utf8", "upload"),
        (b"", {}, "empty_file", "upload"),
        (b"approved,group,Group\n1,a,a\n", {}, "duplicate_column", "upload"),
    ],
)
def test_a_bad_dataset(cast, data, changes, code, field):
    assert refused(code, dataset_from, cast, data, field=field, **changes)
    assert not Dataset.objects.exists()


def test_a_dataset_of_too_many_rows_is_refused(cast, settings):
    settings.MAX_DATASET_ROWS = 199
    assert "200 rows; at most 199" in refused("too_many_rows", dataset_from, cast, csv_bytes(), field="upload")
    assert not Dataset.objects.exists()


def test_a_dataset_name_is_taken_once_in_a_team(cast):
    dataset_from(cast, csv_bytes())
    refused("dataset_exists", dataset_from, cast, csv_bytes(300), name="TABLE", field="name")
    theirs = an_upload(cast, csv_bytes(), by=cast.outsider, team=cast.other_team)
    other = register_dataset(
        by=cast.outsider, team=cast.other_team, upload=theirs, name="Table", purpose="test", roles=ROLES,
        positive_class="1.0", source="Drawn.",
    )  # fmt: skip
    assert other.record["roles"]["approved"] == "label"
    assert other.labels == ["approved"]
    assert other.sensitive == ["group"]


def test_models_have_one_name_in_a_team_and_slugs_of_their_own(cast):
    first = register_model(by=cast.developer, team=cast.team, name="Home loans", purpose="x")
    refused(
        "model_exists", register_model, by=cast.developer, team=cast.team, name="home LOANS ", purpose="x", field="name"
    )
    theirs = register_model(by=cast.outsider, team=cast.other_team, name="Home loans", purpose="x")
    assert (first.slug, theirs.slug) == ("home-loans", "home-loans-2")
    given = {"by": cast.developer, "team": cast.team, "purpose": "x"}
    refused("slug_taken", register_model, name="Other", slug="home-loans", field="slug", **given)
    refused("slug_invalid", register_model, name="Other", slug="Home Loans!", field="slug", **given)
    refused("text_missing", register_model, name="  ", field="name", **given)
    refused("too_long", register_model, name="x" * 121, field="name", **given)
    assert register_model(name="模型", **given).slug == "model"


def test_descriptions_are_edited_with_both_texts_disclosed(cast):
    model, other = a_model(cast, "One"), a_model(cast, "Two")
    edit_model(by=cast.developer, model=model, name="One", purpose="Something else.")
    event = Event.objects.filter(event="model.edited").get()
    assert event.content["facts"]["changed"] == ["purpose"]
    told = dict(event.disclosures.values_list("label", "value"))
    assert told["purpose_after"] == "Something else."
    assert "Something else." not in str(event.content)
    refused("model_exists", edit_model, by=cast.developer, model=other, name="one", purpose="x", field="name")


def test_the_risk_tier_is_set_by_somebody_who_had_no_part(cast):
    model = a_model(cast)
    assert model.tier == "high"
    refused("tier_unknown", set_risk_tier, by=cast.risk_officer, model=model, tier="tiny", reason="x", field="tier")
    refused("text_missing", set_risk_tier, by=cast.risk_officer, model=model, tier="low", reason="", field="reason")
    set_risk_tier(by=cast.risk_officer, model=model, tier="low", reason="A pilot for ten people.")
    assert Event.objects.filter(event="model.risk_tier_set").get().content["facts"] == {
        "slug": model.slug, "from": None, "to": "low",
    }  # fmt: skip
    assert list(Model.objects.of_tier("low")) == [model]
    assert list(Model.objects.of_tier("high")) == []
    version = a_version(cast, model)
    add_contributors(by=cast.developer, version=version, contributors=[cast.risk_officer])
    refused("own_model", set_risk_tier, by=cast.risk_officer, model=model, tier="medium", reason="x")
    User.objects.filter(pk=model.owner_id).update(name="Owner")
    Model.objects.filter(pk=model.pk).update(owner=cast.risk_officer)
    version.contributors.remove(cast.risk_officer)
    refused("own_model", set_risk_tier, by=cast.risk_officer, model=model, tier="medium", reason="x")
    assert Model.objects.get(pk=model.pk).risk_tier == "low"


def test_cards_change_but_say_so(cast):
    version = a_version(cast)
    before = version.card_digest
    refused("nothing_changed", edit_card, by=cast.developer, version=version, card=version.card, field="card")
    edit_card(by=cast.developer, version=version, card="# Other\r\n\r\nText")
    version.refresh_from_db()
    assert version.card == "# Other\n\nText"
    facts = Event.objects.filter(event="version.card_edited").get().content["facts"]
    assert facts == {"from": before, "to": version.card_digest}
    refused("nothing_changed", add_contributors, by=cast.developer, version=version, contributors=[cast.developer])


def test_people_cannot_hand_in_what_only_the_portal_computes(cast):
    version = a_version(cast)
    upload = an_upload(cast, b"{}", "bias.json")
    given = {"by": cast.developer, "version": version, "upload": upload, "title": "Bias"}
    for kind in ("bias_report", "explanation_report", "nonsense"):
        refused("kind_unknown", attach_evidence, kind=kind, field="kind", **given)
    attached = attach_evidence(kind="document", **given)
    assert (attached.media_type, attached.provenance) == ("application/json", "submitted")
    refused("evidence_exists", attach_evidence, kind="document", field="upload", **given)
    withdraw_evidence(by=cast.developer, evidence=attached, reason="Wrong numbers.")
    assert attach_evidence(kind="document", **given).pk != attached.pk


def test_a_computed_report_stays(cast):
    version = a_version(cast)
    stored = storage.put([b"{}"], limit=10)
    with transaction.atomic():
        evidence = add_evidence(
            version, kind="bias_report", title="Bias", stored=stored, filename="bias.json",
            media_type="application/json", provenance="computed", produced_by=cast.developer,
            summary={"verdict": "outside"},
        )  # fmt: skip
    refused("computed_evidence", withdraw_evidence, by=cast.developer, evidence=evidence, reason="ugly")
    assert Evidence.objects.standing().filter(pk=evidence.pk).exists()


@pytest.mark.parametrize(
    ("model", "change"),
    [
        (Version, {"decision_rule": {"kind": "label", "output": "label", "equals": "0"}}),
        (Version, {"features": ["other"]}),
        (Version, {"number": 9}),
        (Artifact, {"digest": "sha256:" + "0" * 64}),
        (Dataset, {"columns": []}),
        (Dataset, {"positive_class": "0"}),
        (Evidence, {"summary": {"verdict": "within"}}),
        (Evidence, {"provenance": "computed"}),
    ],
)
def test_the_database_keeps_what_approvals_rest_on(cast, model, change):
    a_document(cast, a_version(cast))
    a_dataset(cast)
    with pytest.raises(DatabaseError, match="frozen"), transaction.atomic():
        model.objects.update(**change)


def test_the_database_lets_evidence_name_no_other_model_than_its_versions(cast):
    evidence = a_document(cast, a_version(cast))
    assert evidence.model == evidence.version.model
    other = a_model(cast, name="Another")
    with pytest.raises(IntegrityError, match="registry_evidence_of_model"), transaction.atomic():
        Evidence.objects.update(model=other)


def test_damaged_bytes_register_nothing(cast):
    from pathlib import Path

    from django.conf import settings

    upload = an_upload(cast, onnx_bytes(7.0), "model.onnx")
    place = Path(settings.ARTIFACT_ROOT) / upload.artifact.path
    place.chmod(0o600)
    place.write_bytes(onnx_bytes(8.0))
    given = {"features": list(FEATURES), "decision_rule": RULE, "contributors": [cast.developer]}
    refused("artifact_damaged", register_version, by=cast.developer, model=a_model(cast), upload=upload, **given)
    storage.put([onnx_bytes(7.0)], limit=10_000)
