"""Overrides: short words without a person in them, each recorded once, never changed, and counted as a rate."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from inference.models import DecisionTotal, Override
from inference.overrides.rates import by_month
from inference.overrides.services import digest_of_rows, record_overrides, record_total
from ledger.events import database_time
from ledger.models import Event
from ledger.refusals import Denied, Refusal
from tests import worlds
from tests.registry.test_pages import text_of

pytestmark = pytest.mark.django_db
NOW = database_time


def a_row(place=1, **changes):
    given = {
        "version": None, "environment": "production", "decided_at": NOW() - timedelta(minutes=1), "output": "decline",
        "decision": "approve", "reason": "information", "words": "A bonus that is not in the file.",
        "reference": f"case-{place}",
    }  # fmt: skip
    return {**given, **changes}


def test_on_the_page_it_is_recorded_once_and_listed_with_its_month(cast, signed_in):
    version = worlds.a_version(cast)
    model, browser = version.model, signed_in(cast.developer)
    home = f"/models/{model.pk}/overrides/"
    assert home in browser.get(f"/models/{model.pk}/").content.decode()
    assert "No overrides recorded" in text_of(browser.get(home))
    reference = re.search(r'name="reference" value="([^"]+)"', browser.get(f"{home}new/").content.decode())[1]
    sent = {
        "environment": "production", "version": version.pk, "decided_at": f"{NOW():%Y-%m-01T00:00}",
        "output": "decline", "decision": "approve", "reason": "judgement", "words": "She wrote to me@example.org.",
        "reference": reference,
    }  # fmt: skip
    wrong = browser.post(f"{home}new/", sent)
    assert (wrong.status_code, "looks like a mail address" in text_of(wrong)) == (422, True)
    assert not Override.objects.exists()
    sent["words"] = "The income was read from the wrong line."
    for _ in range(2):  # a double click
        page = text_of(browser.post(f"{home}new/", sent, follow=True))
    assert Override.objects.get().version == version
    assert "decline approve Expert judgement The income was read from the wrong line." in page
    assert "production 1" in page
    total = {"environment": "production", "month": f"{NOW():%Y-%m}", "decisions": "40"}
    page = text_of(browser.post(f"{home}total/", total, follow=True))
    assert "1 40 2.50" in page
    assert "No override is like this" in text_of(browser.get(f"{home}?reason=input"))
    answer = browser.get(f"/models/{model.pk}/overrides.csv?reason=judgement")
    (line,) = csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode()))
    assert (line["decision"], line["version"], line["recorded_by"]) == ("approve", "1", "Dev Anand")
    assert signed_in(cast.auditor).get(f"{home}new/").status_code == 403
    assert signed_in(cast.outsider).get(home).status_code == 404


def test_a_machine_sends_many_and_sends_them_again(cast, api):
    model = worlds.a_model(cast)
    client, path = api(cast.ci_bot), f"/api/v1/models/{model.pk}/overrides/"
    rows = [{**a_row(place), "decided_at": "2026-10-31T23:30:00Z"} for place in range(3)]

    def send(rows):
        return client.post(path, {"rows": rows}, content_type="application/json")

    made = send(rows)
    assert (made.status_code, made.json()["recorded"], made.json()["known"]) == (201, 3, 0)
    facts = Event.objects.get(event="override.recorded").content["facts"]
    assert facts["batch"] == made.json()["batch"]
    assert facts["sha256"] == digest_of_rows(Override.objects.filter(batch=facts["batch"]))
    again = send([*rows, rows[0], a_row(4, output="0.31", decision="0", decided_at="2026-10-01T00:00:00Z")]).json()
    assert (again["recorded"], again["known"]) == (1, 4)
    taken = send([a_row(9), {**rows[1], "decision": "refer"}])
    assert (taken.status_code, taken.json()["code"]) == (422, "reference_taken")
    assert taken.json()["errors"][0]["field"] == "rows.1.reference"
    assert client.post(path, {"rows": []}, content_type="application/json").status_code == 422
    assert Override.objects.count() == 4
    listed = client.get(f"/api/v1/overrides/?model={model.pk}&since=2026-10-15&until=2026-10-31").json()["results"]
    assert [row["reference"] for row in listed] == ["case-2", "case-1", "case-0"]
    assert api(cast.outsider).get("/api/v1/overrides/").json()["results"] == []
    said = {"environment": "production", "month": "2026-10-09", "decisions": 50}
    for decisions in (50, 80):
        body = {**said, "decisions": decisions}
        made = client.post(f"/api/v1/models/{model.pk}/decision-totals/", body, content_type="application/json")
        assert (made.status_code, made.json()["month"]) == (201, "2026-10-01")
    (month,) = client.get(f"/api/v1/models/{model.pk}/overrides/rates/").json()["results"]
    assert (month["month"], month["overrides"], month["decisions"], month["rate"]) == ("2026-10-01", 4, 80, 0.05)
    assert month["reasons"]["information"] == 4
    assert client.get(f"/api/v1/models/{model.pk}/overrides/rates/?environment=staging").json()["results"] == []


def test_what_is_refused_leaves_nothing_but_its_record(cast):
    model, other = worlds.a_model(cast), worlds.a_version(cast)
    good = a_row()
    for changes, code, field in [
        ({"output": "x" * 61}, "too_long", "output"), ({"words": "x" * 301}, "too_long", "words"),
        ({"output": " "}, "text_missing", "output"), ({"decision": "a\x07"}, "text_invalid", "decision"),
        ({"output": "ask ann@example.org"}, "personal_data", "output"), ({"environment": "moon"}, "unknown_environment",
        "environment"), ({"version": other.pk}, "unknown_version", "version"), ({"reason": "mood"}, "unknown_reason",
        "reason"), ({"decided_at": NOW() + timedelta(days=1)}, "not_yet", "decided_at"),
        ({"decision": "Decline"}, "nothing_overridden", "decision"),
    ]:  # fmt: skip
        with pytest.raises(Refusal) as refused:
            record_overrides(by=cast.developer, model=model, rows=[good, {**good, "reference": "b", **changes}])
        assert (refused.value.code, refused.value.field) == (code, f"rows.1.{field}")
    for rows, code in ([], "no_rows"), ([good] * 501, "too_many_rows"):
        with pytest.raises(Refusal) as refused:
            record_overrides(by=cast.developer, model=model, rows=rows)
        assert refused.value.code == code
    with pytest.raises(Denied):
        record_overrides(by=cast.auditor, model=model, rows=[good])
    assert not Override.objects.exists()
    assert Event.objects.filter(event="override.recorded.refused").count() == 13
    record_overrides(by=cast.validator, model=model, rows=[good, a_row(2)])
    today = NOW().date()
    for changes, code in [
        ({"decisions": 1}, "too_few_decisions"), ({"decisions": 0}, "no_decisions"),
        ({"month": today + timedelta(days=40)}, "not_yet"), ({"environment": "moon"}, "unknown_environment"),
    ]:  # fmt: skip
        given = {"environment": "production", "month": today, "decisions": 9, **changes}
        with pytest.raises(Refusal) as refused:
            record_total(by=cast.developer, model=model, **given)
        assert refused.value.code == code
    assert not DecisionTotal.objects.exists()


def test_nobody_changes_what_was_recorded(cast):
    model = worlds.a_model(cast)
    record_overrides(by=cast.developer, model=model, rows=[a_row()])
    record_total(by=cast.developer, model=model, environment="production", month=NOW().date(), decisions=9)
    for statement in (
        "UPDATE inference_override SET output = 'approve'", "DELETE FROM inference_override",
        "UPDATE inference_decisiontotal SET decisions = 900",
    ):  # fmt: skip
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    # Recorded after it was said how many there were: no rate rather than a wrong one.
    record_overrides(by=cast.developer, model=model, rows=[a_row(place) for place in range(2, 12)])
    (month,) = by_month(model, NOW())
    assert (month.overrides, month.decisions, month.rate) == (11, 9, None)
    assert by_month(model, datetime(2031, 1, 1, tzinfo=UTC)) == []
