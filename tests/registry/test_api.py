"""The registry's API as a client sees it."""

import base64
import hashlib

import pytest

from ledger.models import Event
from registry.models import Dataset, Evidence, Model, Upload, Version
from tests.worlds import FEATURES, RULE, a_dataset, a_document, a_model, a_version, csv_bytes, onnx_bytes

pytestmark = pytest.mark.django_db
RAW = "application/octet-stream"


def send(client, data, filename="tiny.onnx", team=1, **extra):
    return client.post(f"/api/v1/artifacts/?team={team}&filename={filename}", data, content_type=RAW, **extra)


def post(client, path, body):
    return client.post(f"/api/v1/{path}", body, content_type="application/json")


def problem(response, status, code):
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["code"] == code
    assert body["detail"]
    return body


def test_from_bytes_to_evidence_over_the_api(api, cast):
    client = api(cast.developer)
    upload = send(client, onnx_bytes(), team=cast.team.pk)
    assert upload.status_code == 201
    assert upload.json()["digest"] == f"sha256:{hashlib.sha256(onnx_bytes()).hexdigest()}"

    model = post(client, "models/", {"team": cast.team.pk, "name": "Home loans", "purpose": "Screens applications."})
    assert model.status_code == 201
    assert model.json()["slug"] == "home-loans"
    assert model.json()["risk_tier"] == "high"
    assert model.json()["risk_tier_set_by"] is None

    version = post(
        client,
        f"models/{model.json()['id']}/versions/",
        {
            "upload": upload.json()["id"],
            "features": list(FEATURES),
            "decision_rule": RULE,
            "card": "# Use\n",
            "contributors": ["developer@example.org", cast.second_developer.pk],
        },
    )
    assert version.status_code == 201, version.content
    body = version.json()
    assert body["number"] == 1
    assert body["decision_rule"] == RULE
    assert [person["name"] for person in body["contributors"]] == ["Dev Anand", "Siri Dahl"]

    table = send(client, csv_bytes(), "loans.csv", cast.team.pk).json()
    roles = {"approved": "label", "group": "sensitive", "income": "feature", "debt": "feature"}
    dataset = post(
        client,
        "datasets/",
        {
            "team": cast.team.pk, "upload": table["id"], "name": "Loans", "purpose": "test", "roles": roles,
            "positive_class": "1", "source": "Drawn for tests.",
        },
    )  # fmt: skip
    assert dataset.status_code == 201, dataset.content
    found = {column["name"]: column for column in dataset.json()["columns"]}
    assert found["group"]["groups"] == [{"value": "a", "rows": 150}, {"value": "b", "rows": 50}]
    assert found["income"]["type"] == "number"
    assert dataset.json()["rows"] == 200

    document = send(client, b"%PDF-1.7 report", "report.pdf", cast.team.pk).json()
    evidence = post(
        client,
        f"versions/{body['id']}/evidence/",
        {"kind": "validation_report", "title": "Validation", "upload": document["id"]},
    )
    assert evidence.status_code == 201
    assert evidence.json()["provenance"] == "submitted"
    assert evidence.json()["media_type"] == "application/pdf"
    listed = client.get(f"/api/v1/evidence/?version={body['id']}&standing=true").json()["results"]
    assert [row["title"] for row in listed] == ["Validation"]


def test_a_promised_digest_is_checked(api, cast):
    client = api(cast.developer)
    right = hashlib.sha256(b"abc").digest()
    assert send(client, b"abc", team=cast.team.pk, headers={"X-Content-SHA256": right.hex()}).status_code == 201
    header = {"Repr-Digest": f"sha-256=:{base64.b64encode(right).decode()}:"}
    assert send(client, b"abc", team=cast.team.pk, headers=header).status_code == 201
    before = Upload.objects.count()
    wrong = send(client, b"abd", team=cast.team.pk, headers={"X-Content-SHA256": right.hex()})
    assert problem(wrong, 422, "digest_mismatch")["errors"][0]["field"] == "digest"
    nonsense = send(client, b"abc", team=cast.team.pk, headers={"Digest": "md5=abc"})
    problem(nonsense, 422, "digest_invalid")
    assert Upload.objects.count() == before
    assert Event.objects.filter(event="artifact.uploaded.refused").count() == 2


def test_put_uploads_too_and_the_same_file_twice_is_one_upload(api, cast):
    client = api(cast.developer)
    path = f"/api/v1/artifacts/?team={cast.team.pk}&filename=..%2F..%2Fetc%2Fpasswd"
    first = client.put(path, b"abc", content_type=RAW).json()
    again = client.put(path, b"abc", content_type=RAW).json()
    assert first["id"] == again["id"]
    assert first["filename"] == "passwd"
    assert client.get(f"/api/v1/artifacts/{first['id']}/").json()["digest"] == first["digest"]


def test_what_is_too_large_is_refused_by_its_declared_length(api, cast, settings):
    settings.MAX_UPLOAD_BYTES = 10
    body = problem(send(api(cast.developer), b"x" * 11, team=cast.team.pk), 413, "too_large")
    assert "10 bytes" in body["detail"]
    assert Event.objects.filter(event="artifact.uploaded.refused").count() == 1


@pytest.mark.parametrize(
    ("extra", "status", "code"),
    [
        ({"data": b"", "headers": {"Content-Length": "0"}}, 422, "empty_file"),
        ({"data": b"{}", "content_type": "application/json"}, 415, "unsupported_media_type"),
        ({"data": b"abc", "headers": {"Content-Length": ""}}, 411, "length_required"),
    ],
)
def test_a_body_that_is_no_file(api, cast, extra, status, code):
    given = {"content_type": RAW, **extra}
    problem(api(cast.developer).post(f"/api/v1/artifacts/?team={cast.team.pk}&filename=a", **given), status, code)


def test_upload_needs_a_known_team_and_a_role_in_it(api, cast):
    client = api(cast.developer)
    body = problem(send(client, b"abc", team=999_999), 422, "invalid")
    assert body["errors"][0]["field"] == "team"
    problem(send(client, b"abc", team=cast.other_team.pk), 403, "permission_denied")
    problem(send(api(None), b"abc", team=cast.team.pk), 401, "not_authenticated")
    assert not Upload.objects.exists()


def test_outsiders_find_nothing(api, cast):
    version, dataset = a_version(cast), a_dataset(cast)
    evidence = a_document(cast, version)
    upload = Upload.objects.first()
    client = api(cast.outsider)
    for path in ("models/", "versions/", "datasets/", "evidence/", "artifacts/"):
        assert client.get(f"/api/v1/{path}").json()["results"] == []
    for path in (
        f"models/{version.model_id}/", f"models/{version.model_id}/versions/", f"versions/{version.pk}/",
        f"versions/{version.pk}/card/", f"versions/{version.pk}/artifact/", f"versions/{version.pk}/evidence/",
        f"versions/{version.pk}/comparison/{version.pk}/", f"datasets/{dataset.pk}/", f"datasets/{dataset.pk}/rows/",
        f"datasets/{dataset.pk}/content/", f"evidence/{evidence.pk}/", f"evidence/{evidence.pk}/content/",
        f"artifacts/{upload.pk}/", f"artifacts/{upload.pk}/content/",
    ):  # fmt: skip
        problem(client.get(f"/api/v1/{path}"), 404, "not_found")
    named = post(client, "models/", {"team": cast.team.pk, "name": "Mine now", "purpose": "x"})
    problem(named, 403, "permission_denied")
    taken = post(
        client, "datasets/",
        {"team": cast.other_team.pk, "upload": upload.pk, "name": "x", "purpose": "test", "roles": {},
         "positive_class": "1", "source": "x"},
    )  # fmt: skip
    assert problem(taken, 422, "invalid")["errors"][0]["field"] == "upload"


def test_lists_are_filtered(api, cast):
    loans, cards = a_model(cast, "Loans"), a_model(cast, "Cards", by=cast.model_owner)
    version = a_version(cast, loans)
    client = api(cast.auditor)

    def names(query):
        return [row["name"] for row in client.get(f"/api/v1/models/?{query}").json()["results"]]

    assert names("q=loan") == ["Loans"] or set(names("q=loan")) == {"Loans", "Cards"}
    assert names(f"q={version.artifact.digest}") == ["Loans"]
    assert names(f"owner={cast.model_owner.pk}") == ["Cards"]
    assert names("tier=low") == []
    assert set(names("tier=high")) == {"Loans", "Cards"}
    assert names(f"team={cast.other_team.pk}") == []
    assert cards.slug == "cards"
    found = client.get(f"/api/v1/versions/?digest={version.artifact.digest}").json()["results"]
    assert [row["id"] for row in found] == [version.pk]
    assert "card" not in found[0]


def test_an_unchanged_object_is_answered_with_304(api, cast):
    version = a_version(cast)
    client = api(cast.validator)
    etag = client.get(f"/api/v1/versions/{version.pk}/")["ETag"]
    assert client.get(f"/api/v1/versions/{version.pk}/", headers={"If-None-Match": etag}).status_code == 304


def test_the_card_is_changed_only_from_what_was_read(api, cast):
    version = a_version(cast)
    client = api(cast.developer)
    path = f"/api/v1/versions/{version.pk}/card/"
    etag = client.get(path)["ETag"]
    changed = client.put(path, {"card": "# New"}, content_type="application/json", headers={"If-Match": etag})
    assert changed.status_code == 200
    assert changed.json()["card_digest"] != version.card_digest
    late = client.put(path, {"card": "# Other"}, content_type="application/json", headers={"If-Match": etag})
    problem(late, 412, "changed_meanwhile")
    assert Version.objects.get(pk=version.pk).card == "# New"
    problem(client.put(path, {"card": "# New"}, content_type="application/json"), 422, "nothing_changed")


def test_tier_contributors_and_description(api, cast):
    version = a_version(cast)
    model = f"models/{version.model_id}/"
    problem(post(api(cast.developer), f"{model}risk-tier/", {"tier": "low", "reason": "x"}), 403, "permission_denied")
    tier = post(api(cast.risk_officer), f"{model}risk-tier/", {"tier": "medium", "reason": "Few applicants."})
    assert tier.json()["risk_tier"] == "medium"
    assert tier.json()["risk_tier_set_by"]["name"] == "Rosa Klein"
    client = api(cast.developer)
    edited = client.patch(f"/api/v1/{model}", {"purpose": "Screens faster."}, content_type="application/json")
    assert edited.json()["purpose"] == "Screens faster."
    added = post(client, f"versions/{version.pk}/contributors/", {"contributors": ["second-developer@example.org"]})
    assert {person["name"] for person in added.json()["contributors"]} == {"Dev Anand", "Siri Dahl"}
    stranger = post(client, f"versions/{version.pk}/contributors/", {"contributors": ["outsider@example.org"]})
    assert problem(stranger, 422, "person_unknown")["errors"][0]["field"] == "contributors.0"


def test_downloads_are_events_and_carry_their_digest(api, cast):
    version, dataset = a_version(cast), a_dataset(cast)
    evidence = a_document(cast, version)
    client = api(cast.validator)
    got = client.get(f"/api/v1/versions/{version.pk}/artifact/")
    assert b"".join(got.streaming_content) == onnx_bytes()
    digest = base64.b64encode(hashlib.sha256(onnx_bytes()).digest()).decode()
    assert got["Repr-Digest"] == f"sha-256=:{digest}:"
    assert got["Content-Disposition"] == 'attachment; filename="tiny.onnx"'
    assert b"".join(client.get(f"/api/v1/datasets/{dataset.pk}/content/").streaming_content) == csv_bytes()
    assert b"".join(client.get(f"/api/v1/evidence/{evidence.pk}/content/").streaming_content) == b"Validation report\n"
    upload = Upload.objects.filter(artifact=version.artifact).get()
    assert b"".join(client.get(f"/api/v1/artifacts/{upload.pk}/content/").streaming_content) == onnx_bytes()
    rows = client.get(f"/api/v1/datasets/{dataset.pk}/rows/").json()
    assert rows["columns"] == ["approved", "group", "income", "debt"]
    assert len(rows["rows"]) == 20
    events = list(Event.objects.filter(actor_id=str(cast.validator.opaque_id)).values_list("event", flat=True))
    assert events.count("artifact.downloaded") == 3
    assert {"dataset.downloaded", "dataset.rows_opened"} <= set(events)
    # An auditor may download documents, but rows of people are another right.
    auditor = api(cast.auditor)
    problem(auditor.get(f"/api/v1/datasets/{dataset.pk}/rows/"), 403, "permission_denied")
    problem(auditor.get(f"/api/v1/datasets/{dataset.pk}/content/"), 403, "permission_denied")


def test_evidence_is_withdrawn_only_by_who_submitted_it(api, cast):
    evidence = a_document(cast, a_version(cast))
    path = f"evidence/{evidence.pk}/withdrawal/"
    problem(post(api(cast.developer), path, {"reason": "bad"}), 409, "not_yours")
    client = api(cast.validator)
    done = post(client, path, {"reason": "Wrong file."})
    assert done.json()["withdrawn_reason"] == "Wrong file."
    problem(post(client, path, {"reason": "Again."}), 409, "already_withdrawn")
    assert not Evidence.objects.standing().exists()


def test_two_versions_are_compared(api, cast):
    model = a_model(cast)
    first = a_version(cast, model)
    second = a_version(cast, model, weight=2.0, card="# Intended use\n\nScreening of car loans.\n")
    client = api(cast.approver)
    body = client.get(f"/api/v1/versions/{second.pk}/comparison/{first.pk}/").json()
    changed = [line["name"] for line in body["lines"] if line["changed"]]
    assert changed == ["artifact"]
    kinds = {(line["kind"], line["text"]) for line in body["card"]}
    assert ("removed", "Screening of home loans.") in kinds
    assert ("added", "Screening of car loans.") in kinds
    assert ("same", "# Intended use") in kinds


def test_a_request_sent_twice_does_nothing_twice(api, cast):
    client = api(cast.developer)
    body = {"team": cast.team.pk, "name": "Twice", "purpose": "x"}
    key = {"Idempotency-Key": "a-key-of-some-length"}
    first = client.post("/api/v1/models/", body, content_type="application/json", headers=key)
    again = client.post("/api/v1/models/", body, content_type="application/json", headers=key)
    assert first.json()["id"] == again.json()["id"]
    assert again["Idempotency-Replayed"] == "true"
    problem(client.post("/api/v1/models/", body, content_type="application/json"), 422, "model_exists")
    assert Model.objects.filter(name="Twice").count() == 1
    assert not Dataset.objects.exists()
