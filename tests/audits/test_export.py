"""Taking the log out: what is in the file, who may have it, and the entry it leaves."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os

import pytest
from django.db import DataError, transaction

from accounts.models import Role
from accounts.services import add_team, grant_role
from audits.export import COLUMNS, csv_row, write
from audits.services import export_log
from ledger.actors import SystemActor
from ledger.canonical import disclosure_bytes, sha256
from ledger.models import Event
from ledger.refusals import Refusal

pytestmark = pytest.mark.django_db
CONSOLE = SystemActor("console", frozenset({"accounts.add_team", "accounts.grant_role"}))


def body(response):
    return b"".join(response.streaming_content)


def test_each_line_can_be_verified_by_hashing_alone(api, cast):
    before = [str(pk) for pk in Event.objects.order_by("id").values_list("id", flat=True)]
    client = api(cast.auditor)  # the token is an event too
    answer = client.get("/api/v1/events/export/")
    lines = [json.loads(line) for line in body(answer).splitlines()]
    assert answer["Content-Type"] == "application/jsonl"
    ids = []
    for line in lines:
        assert sha256(line["bytes"].encode()) == line["sha256"]
        content = json.loads(line["bytes"])
        ids.append(content["id"])
        for label, told in line["disclosures"].items():
            salt = told["salt"].encode() + b"=" * (-len(told["salt"]) % 4)
            import base64

            digest = sha256(disclosure_bytes(base64.urlsafe_b64decode(salt), label, told["value"]))
            assert content["disclosures"][label] == digest
    assert ids[: len(before)] == before


def test_the_export_is_an_event_with_digest_count_and_range(api, cast):
    answer = api(cast.auditor).get("/api/v1/events/export/?event=role.granted&text=the+cast")
    content = body(answer)
    event = Event.objects.latest("id")
    rows = Event.objects.filter(event="role.granted").order_by("id")
    assert event.event == "log.exported"
    assert event.content["facts"] == {
        "format": "jsonl",
        "sha256": "sha256:" + hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "count": rows.count(),
        "first": str(rows.first().pk),
        "last": str(rows.last().pk),
        "filter": {"event": "role.granted"},
    }
    assert event.disclosures.get(label="filter_text").value == "the cast"
    assert answer["X-Event-Count"] == str(rows.count())
    assert answer["Content-Length"] == str(len(content))


def test_csv_has_a_row_for_each_event(api, cast):
    answer = api(cast.auditor).get("/api/v1/events/export/?type=csv&event=role.granted", headers={"Accept": "text/csv"})
    rows = list(csv.DictReader(io.StringIO(body(answer).decode())))
    assert tuple(rows[0]) == COLUMNS
    assert (
        len(rows)
        == Event.objects.filter(event="role.granted").count()
        == Event.objects.latest("id").content["facts"]["count"]
    )
    assert json.loads(rows[0]["disclosures"])["reason"] == "the cast"
    assert rows[0]["sha256"] == Event.objects.filter(event="role.granted").order_by("id")[0].digest


@pytest.mark.parametrize("evil", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_no_cell_is_a_formula(evil):
    (row,) = csv.reader(io.StringIO(csv_row([evil, "plain", 'quo"te', "a,b"]).decode(), newline=""))
    assert row == [f"'{evil}", "plain", 'quo"te', "a,b"]


def test_an_empty_export_says_so(api, cast):
    body(api(cast.auditor).get("/api/v1/events/export/?event=nothing.like_this"))
    facts = Event.objects.latest("id").content["facts"]
    assert (facts["count"], facts["first"], facts["last"], facts["size"]) == (0, None, None, 0)


@pytest.mark.parametrize(
    ("query", "field"), [("type=pdf", "type"), ("since=yesterday", "since"), ("outcome=perhaps", "outcome")]
)
def test_what_cannot_be_exported_is_refused_by_field(api, cast, query, field):
    answer = api(cast.auditor).get(f"/api/v1/events/export/?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert not Event.objects.filter(event="log.exported").exists()


def test_the_page_exports_what_its_filters_say(signed_in, cast):
    browser = signed_in(cast.auditor)
    assert 'value="role.granted"' in browser.get("/audit/export/?event=role.granted").content.decode()
    answer = browser.post("/audit/export/", {"event": "role.granted", "type": "csv"})
    assert answer["Content-Disposition"].startswith('attachment; filename="audit-log-')
    assert body(answer).count(b"\r\n") == 1 + Event.objects.filter(event="role.granted").count()
    assert browser.post("/audit/export/", {"type": "pdf"}).status_code == 422
    assert browser.post("/audit/export/", {"type": "csv", "since": "x"}).status_code == 422


def test_who_may_not_export_is_refused_and_recorded(api, cast):
    answer = api(cast.risk_officer).get("/api/v1/events/export/")
    assert answer.status_code == 403
    assert Event.objects.latest("id").event == "log.exported.refused"


def test_a_team_auditor_exports_that_team_only(api, cast):
    role = Role.objects.get(slug="auditor")
    grant_role(by=CONSOLE, account=cast.outsider, role=role, team=cast.other_team, reason="audit")
    client = api(cast.outsider)
    lines = [json.loads(line) for line in body(client.get("/api/v1/events/export/")).splitlines()]
    assert {json.loads(line["bytes"])["team"] for line in lines} == {str(cast.other_team.pk)}
    assert Event.objects.latest("id").team_id == cast.other_team.pk
    assert client.get(f"/api/v1/events/export/?team={cast.team.pk}").status_code in (403, 422)


def test_names_that_look_like_formulas_stay_text(api, cast):
    add_team(by=CONSOLE, name="=HYPERLINK(1)", slug="formula")
    grant_role(by=CONSOLE, account=cast.developer, role=Role.objects.get(slug="reviewer"), team=None, reason="=1+1")
    for line in csv.reader(io.StringIO(body(api(cast.auditor).get("/api/v1/events/export/?type=csv")).decode())):
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in line)


def test_an_unknown_format_is_no_file(cast):
    with pytest.raises(Refusal) as refusal:
        export_log(by=cast.auditor, team=None, events=Event.objects.all(), filters={}, kind="pdf")
    assert refusal.value.code == "unknown_format"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full to be a full disk")
def test_a_full_disk_is_noticed(cast):
    events = Event.objects.prefetch_related("disclosures").order_by("pk")
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="No space"):
        write(full, "jsonl", events)


def test_no_room_for_the_file_is_a_refusal_and_leaves_nothing(signed_in, cast):
    """The largest file that this process may write is set to a few bytes, as a full disk would."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    browser = signed_in(cast.auditor)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        page = browser.post("/audit/export/", {"type": "jsonl"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert page.status_code == 422
    assert "There is no room for the file" in page.content.decode()
    assert Event.objects.latest("id").content["facts"]["code"] == "disk_full"


def test_an_error_while_writing_closes_the_file(cast):
    broken = Event.objects.extra(where=["1 / (octet_length(bytes) - octet_length(bytes)) = 1"])
    with pytest.raises(DataError), transaction.atomic():
        write(io.BytesIO(), "csv", broken)
    with pytest.raises(DataError):
        export_log(by=cast.auditor, team=None, events=broken, filters={}, kind="csv")
