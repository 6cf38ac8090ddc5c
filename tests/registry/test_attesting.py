"""Owners attest each of their models once a year: one act, over what they have read."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction

from ledger.canonical import digest_of
from ledger.models import Event, Record
from ledger.refusals import Denied, Refusal
from registry.attesting.models import OwnerAttestation
from registry.attesting.services import STATEMENT, attest, this_year
from registry.services import edit_model
from tests import worlds
from tests.registry.test_pages import text_of

pytestmark = pytest.mark.django_db


def test_from_the_missing_list_to_the_record_in_the_log(cast, signed_in, seal):
    model = worlds.a_model(cast, "Limits")
    browser, year = signed_in(cast.developer), this_year()
    assert "0 attested, 1 missing" in text_of(browser.get("/attestations/"))
    assert f"Attest for {year}" in text_of(browser.get(f"/models/{model.pk}/"))
    assert STATEMENT in text_of(browser.get(f"/models/{model.pk}/attest/"))
    digest = digest_of(model.as_record())
    sent = browser.post(f"/models/{model.pk}/attest/", {"digest": digest, "note": "All good."}, follow=True)
    assert f"for {year} by Dev Anand" in text_of(sent)
    row = OwnerAttestation.objects.get()
    assert (row.year, row.statement, row.record, row.note) == (year, STATEMENT, digest, "All good.")
    event = Event.objects.get(event="model.attested")
    assert event.content["facts"] == {"slug": "limits", "year": year, "record": digest}
    assert Record.objects.filter(event=event, object_type="registry.ownerattestation").exists()
    assert "1 attested, 0 missing" in text_of(browser.get("/attestations/?state=attested"))
    assert "None is missing" in text_of(browser.get("/attestations/"))
    assert f"attested it for {year}" in text_of(browser.get(f"/models/{model.pk}/attest/"))
    again = browser.post(f"/models/{model.pk}/attest/", {"digest": digest})
    assert (again.status_code, "It is done once a year" in text_of(again)) == (409, True)
    assert "0 attested, 0 missing" in text_of(browser.get("/attestations/?year=2001")), "it was not there then"
    assert "1 attested, 0 missing" in text_of(browser.get("/attestations/?year=soon"))


def test_only_the_owner_attests_and_only_what_they_read(cast, signed_in):
    model = worlds.a_model(cast)
    digest = digest_of(model.as_record())
    for who, code in [(cast.second_developer, "not_the_owner"), (cast.model_owner, "not_the_owner")]:
        with pytest.raises(Refusal) as told:
            attest(by=who, model=model, digest=digest)
        assert told.value.code == code
    with pytest.raises(Denied):
        attest(by=cast.validator, model=model, digest=digest)
    edit_model(by=cast.second_developer, model=model, name=model.name, purpose="Something else.")
    with pytest.raises(Refusal) as told:
        attest(by=cast.developer, model=model, digest=digest)
    assert told.value.code == "changed_meanwhile"
    assert not OwnerAttestation.objects.exists()
    assert Event.objects.filter(event="model.attested.refused").count() == 4
    assert "Only Dev Anand" in text_of(signed_in(cast.model_owner).get(f"/models/{model.pk}/attest/"))
    assert signed_in(cast.auditor).get(f"/models/{model.pk}/attest/").status_code == 403


def test_a_machine_attests_nothing(cast):
    model = worlds.a_model(cast, by=cast.ci_bot)
    with pytest.raises(Denied):
        attest(by=cast.ci_bot, model=model, digest=digest_of(model.as_record()))
    from accounts.models import Role
    from accounts.services import grant_role

    developer = Role.objects.get(slug="developer")
    grant_role(by=cast.platform_admin, account=cast.ci_bot, role=developer, team=cast.team, reason="builds")
    with pytest.raises(Refusal) as told:
        attest(by=cast.ci_bot, model=model, digest=digest_of(model.as_record()))
    assert told.value.code == "humans_only"


def test_by_the_api(cast, api):
    model = worlds.a_model(cast)
    client = api(cast.developer)
    due = client.get(f"/api/v1/models/{model.pk}/attestation/").json()
    assert (due["attestation"], due["digest"]) == (None, digest_of(due["record"]))
    assert [row["id"] for row in client.get("/api/v1/attestations/missing/").json()["results"]] == [model.pk]
    made = client.post(
        f"/api/v1/models/{model.pk}/attestation/", {"digest": due["digest"]}, content_type="application/json"
    )
    assert (made.status_code, made.json()["record"]) == (201, due["digest"])
    assert client.get("/api/v1/attestations/missing/").json()["results"] == []
    listed = client.get(f"/api/v1/attestations/?year={this_year()}").json()["results"]
    assert [row["model"]["id"] for row in listed] == [model.pk]
    assert client.get("/api/v1/attestations/missing/?year=2001").json()["results"] == []
    assert client.get(f"/api/v1/models/{model.pk}/attestation/").json()["attestation"]["id"] == made.json()["id"]


def test_nobody_takes_an_attestation_back(cast):
    model = worlds.a_model(cast)
    row = attest(by=cast.developer, model=model, digest=digest_of(model.as_record()))
    for statement in ("UPDATE registry_ownerattestation SET year = 2001", "DELETE FROM registry_ownerattestation"):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    assert OwnerAttestation.objects.get() == row
