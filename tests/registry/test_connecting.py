"""Datasets that stay in a database elsewhere: connected by who may, refused with a code, and never with a secret."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.db import DatabaseError, transaction

from ledger.events import database_time
from ledger.models import Disclosure, Event
from ledger.refusals import Denied, Refusal
from registry.connecting.faults import refusal_of, unconnected
from registry.connecting.services import check, connect, register_connected, replace_secret
from registry.connecting.source import Unreadable, session
from registry.models import Artifact, Connection, Dataset
from registry.processing.models import Processing
from registry.processing.services import delete_due
from registry.services import first_rows, record_dataset_download
from tests import worlds
from tests.registry import sources
from tests.registry.test_pages import text_of

pytestmark = pytest.mark.django_db
OUTSIDE = "postgresql://reader:hidden@{}/lending"


def kept():
    """All that the log holds, as text."""
    told = json.dumps(list(Disclosure.objects.values_list("value", flat=True)))
    return b"".join(bytes(each) for each in Event.objects.values_list("bytes", flat=True)).decode() + told


def refused(act, *args, **given):
    with pytest.raises(Refusal) as found:
        act(*args, **given)
    return found.value.code, found.value.field


def test_a_connection_and_its_dataset_by_the_api(cast, api):
    client, table = api(cast.developer), sources.a_table()
    sent = {"team": cast.team.pk, "url": sources.url(), "table": table, "snapshot": "export of October"}
    made = client.post("/api/v1/connections/", sent, "application/json")
    assert made.status_code == 201, made.content
    there = made.json()
    assert (there["rows"], there["table"], len(there["rows_hash"])) == (200, table, 64)
    assert there["place"].endswith(":5432/postgres")
    where = f"/api/v1/connections/{there['id']}/"
    columns = client.get(f"{where}columns/").json()["columns"]
    types = [(column["name"], column["type"]) for column in columns]
    assert types == [("approved", "integer"), ("group", "text"), ("income", "number"), ("debt", "number")]
    record = {
        "name": "Warehouse", "purpose": "historical", "roles": sources.ROLES, "positive_class": "1", "source": "Loans."
    }  # fmt: skip
    answer = client.post(f"{where}datasets/", record, "application/json")
    assert answer.status_code == 201, answer.content
    dataset = Dataset.objects.get(pk=answer.json()["id"])
    assert (dataset.format, dataset.rows, dataset.rows_here) == ("connection", 200, False)
    assert answer.json()["connection"]["id"] == there["id"]
    file = worlds.a_dataset(cast)
    for column in ("approved", "group"):
        (mine,), (theirs,) = (
            [each for each in one.columns if each["name"] == column] for one in (dataset, file)
        )  # fmt: skip
        assert mine["groups"] == theirs["groups"]
    assert answer.json()["artifact"]["digest"] == dataset.artifact.digest
    event = Event.objects.get(event="dataset.registered", object_id=str(dataset.pk)).content["facts"]
    assert (event["place"], event["artifact"]) == (there["place"], dataset.artifact.digest)
    said = kept() + made.content.decode() + answer.content.decode() + client.get(where).content.decode()
    assert sources.PASSWORD not in said
    assert sources.READER not in said
    assert sources.PASSWORD.encode() not in bytes(Connection.objects.get().sealed)
    assert refused(first_rows, by=cast.developer, dataset=dataset) == ("rows_elsewhere", None)
    assert refused(record_dataset_download, by=cast.developer, dataset=dataset) == ("rows_elsewhere", None)
    for change in ({"host": "elsewhere"}, {"table": "other"}):
        with pytest.raises(DatabaseError, match="frozen"), transaction.atomic():
            Connection.objects.update(**change)
    with pytest.raises(DatabaseError, match="frozen"), transaction.atomic():
        Dataset.objects.filter(pk=file.pk).update(connection=there["id"])


def test_what_cannot_be_connected_is_refused_and_nothing_is_kept(cast, settings, monkeypatch):
    table, closed = sources.a_table(), sources.a_table(readable=False)
    open_to_change, superuser = sources.a_table(), urlsplit(os.environ["ADMIN_DATABASE_URL"]).username
    sources.administer(f"GRANT UPDATE ON {open_to_change} TO {sources.READER}")
    within = settings.CONNECTION_INTERNAL_HOSTS
    settings.CONNECTION_INTERNAL_HOSTS = [*within, "localhost"]
    cases = [
        ({"url": "mysql://reader:hidden@db.example.com/x"}, "address_invalid", "url"),
        ({"url": OUTSIDE.format("127.0.0.1")}, "address_inside", "url"),
        ({"url": OUTSIDE.format("[::ffff:10.0.0.1]")}, "address_inside", "url"),
        ({"url": OUTSIDE.format("no-such-host.invalid")}, "source_unreachable", "url"),
        ({"url": OUTSIDE.format("localhost:1")}, "source_unreachable", "url"),
        ({"url": sources.url(user="nobody_here", password="hidden")}, "credentials_refused", "url"),
        ({"url": sources.url(database="none_here")}, "credentials_refused", "url"),
        ({"table": f"{sources.schema()}.nothing"}, "table_unknown", "table"),
        ({"table": f"{table}; SELECT 1"}, "table_invalid", "table"),
        ({"table": closed}, "source_denied", "table"),
        ({"table": open_to_change}, "not_read_only", "url"),
        ({"table": "", "query": "SELECT 1 AS a", "url": sources.url(user=superuser)}, "not_read_only", "url"),
        ({"table": "", "query": f"SELECT none FROM {table}"}, "query_invalid", "query"),  # noqa: S608
        ({"table": "", "query": f"SELECT 1 AS a, 2 AS \"A\" FROM {table}"}, "duplicate_column", "query"),  # noqa: S608
        ({"table": "", "query": f"SELECT FROM {table}"}, "too_many_columns", "query"),
        ({"table": "", "query": f"SELECT 1 AS a FROM {table} WHERE false"}, "no_rows", "table"),  # noqa: S608
        ({"table": "", "query": f"SELECT 1 AS a FROM {table} WHERE 1 / (approved - approved) > 1"},  # noqa: S608
         "source_unreadable", "query"),
        ({"table": "", "query": "SELECT set_config('transaction_read_only', 'off', true) AS a"},
         "not_read_only", "query"),
        ({"table": "", "query": f"DELETE FROM {table}"}, "query_invalid", "query"),  # noqa: S608
        ({"snapshot": "\x07"}, "text_invalid", "snapshot"),
    ]  # fmt: skip
    before = Event.objects.count()
    for change, code, field in cases:
        given = {"url": sources.url(), "table": table, **change}
        assert refused(connect, by=cast.developer, team=cast.team, **given) == (code, field), change
    assert not Connection.objects.exists()
    events = [event.content for event in Event.objects.order_by("id")[before:]]
    assert [each["facts"]["code"] for each in events] == [code for _, code, _ in cases]
    assert {each["event"] for each in events} == {"connection.added.refused"}
    assert not [word for word in ("hidden", sources.PASSWORD, "nobody_here") if word in kept()]
    with pytest.raises(Denied):
        connect(by=cast.auditor, team=cast.team, url=sources.url(), table=table)
    assert refused(connect, by=cast.developer, team=cast.team, url=sources.url())[0] == "relation_missing"


def test_what_libpq_and_a_database_say_becomes_a_code_without_their_words():
    said = {
        'FATAL:  password authentication failed for user "reader"': "credentials_refused",
        "server does not support SSL, but SSL was required": "source_not_encrypted",
        'could not translate host name "x"': "source_unreachable",
    }
    for text, code in said.items():
        refusal = unconnected(text)
        assert (refusal.code, refusal.field) == (code, "url")
        assert "reader" not in refusal.sentence
    target = type("Target", (), {"query": "", "table": "loans"})
    codes = {
        "57014": "source_too_slow", "57P01": "source_unreachable", "": "source_unreachable", "42P01": "table_unknown",
        "25006": "not_read_only", "22012": "source_unreadable", "42501": "source_denied",
    }  # fmt: skip
    assert {code: refusal_of(code, "words", target).code for code in codes} == codes


def test_a_session_only_reads_and_ends(cast):
    target = sources.a_connection(cast).target
    with session(target, seconds=1) as found:
        for statement, code in (
            (f"DELETE FROM {target.table}", "25006"),  # noqa: S608
            ("CREATE TEMP TABLE x (y int)", "25006"),
            ("SELECT set_config('transaction_read_only', 'off', true)", "25001"),
            ("SELECT pg_sleep(5)", "57014"),
        ):
            with pytest.raises(Unreadable) as told:
                found.ask(statement)
            assert told.value.code == code
        assert found.ask("SHOW transaction_isolation")[0] == {"transaction_isolation": "repeatable read"}
        before = found.rows_hash(["approved", "group"])
        sources.administer(f"UPDATE {target.table} SET approved = 1 - approved")  # noqa: S608
        assert found.rows_hash(["approved", "group"]) == before
    with session(target) as found:
        assert found.rows_hash(["approved", "group"]) != before
    with pytest.raises(Refusal, match="lost"), session(target, seconds=9, altogether=1) as found:
        found.ask("SELECT pg_sleep(8)")


def test_the_hash_of_rows_owes_nothing_to_their_order_or_the_tables_types(cast):
    data = worlds.csv_bytes(60)
    head, *rows = data.decode().splitlines(keepends=True)
    turned = "".join([head, *reversed(rows)]).encode()
    wide = {**sources.TYPES, "approved": "bigint", "group": "varchar(9)"}
    tables = [
        sources.a_table(data),
        sources.a_table(turned, wide),
        sources.a_table("".join([head, *rows, rows[0]]).encode()),
    ]
    one, other, more = (sources.a_connection(cast, table=table).rows_hash for table in tables)
    assert one == other != more
    query = f"SELECT * FROM {tables[0]} ORDER BY random()"  # noqa: S608
    assert sources.a_connection(cast, query=query).rows_hash == one


def test_checked_again_and_with_another_password(cast, settings):
    connection = sources.a_connection(cast)
    before = connection.rows_hash
    sources.administer(f"DELETE FROM {connection.table} WHERE approved = 0")  # noqa: S608
    checked = check(by=cast.developer, connection=connection)
    assert checked.rows < 200
    assert checked.rows_hash != before
    assert Event.objects.get(event="connection.checked").content["facts"]["changed"] is True
    sealed = bytes(checked.sealed)
    assert refused(replace_secret, by=cast.developer, connection=connection, user="nobody_here", password="x") == (
        "credentials_refused", "password",
    )  # fmt: skip
    assert refused(replace_secret, by=cast.developer, connection=connection, user="", password="x")[0] == (
        "password_missing"
    )
    assert bytes(Connection.objects.get().sealed) == sealed
    replaced = replace_secret(by=cast.developer, connection=connection, user=sources.READER, password="a-newer-one")
    assert bytes(replaced.sealed) != sealed
    assert replaced.target.address.password == "a-newer-one"
    assert "a-newer-one" not in kept()
    for act, more in ((check, {}), (replace_secret, {"user": "a", "password": "b"})):
        with pytest.raises(Denied):
            act(by=cast.auditor, connection=connection, **more)
    settings.FACTOR_KEY = "another key than before"
    failed = check(by=cast.developer, connection=connection)
    assert "can no longer be read" in failed.problem
    assert failed.rows == checked.rows, "what was seen last stays"


def test_roles_are_checked_as_for_files(cast):
    connection, before = sources.a_connection(cast), Artifact.objects.count()
    wrong = [
        ({"roles": {"none": "label"}}, "column_missing"),
        ({"roles": {"income": "label", "group": "sensitive"}}, "not_binary"),
        ({"roles": {"approved": "label", "debt": "sensitive"}}, "too_many_categories"),
        ({"roles": {"approved": "label", "group": "weight"}}, "not_numeric"),
        ({"roles": {"approved": "label", "income": "weight"}}, "weight_not_positive"),
        ({"positive_class": "yes"}, "positive_class_missing"),
        ({"purpose": "fun"}, "purpose_unknown"),
    ]
    for change, code in wrong:
        assert refused(sources.a_connected_dataset, cast, connection, **change)[0] == code
    assert not Dataset.objects.exists()
    assert Artifact.objects.count() == before
    with pytest.raises(Denied):
        register_connected(
            by=cast.auditor, connection=connection, name="x", purpose="test", roles=sources.ROLES, positive_class="1",
            source="x",
        )  # fmt: skip


def test_a_password_goes_when_the_retention_is_over(cast):
    connection = sources.a_connection(cast)
    one, other = (sources.a_connected_dataset(cast, connection, purpose=each) for each in ("test", "historical"))

    def over(dataset):
        Processing.objects.create(
            dataset=dataset, number=1, basis="6.1.f", condition="none", note="x", recorded_by=cast.developer, phi=False,
            open_to="team", readers=[], keep_until=database_time().date() - timedelta(2),
        )  # fmt: skip
        delete_due()
        connection.refresh_from_db()
        return connection.closed

    assert over(one) is False, "another dataset needs it still"
    assert over(other) is True
    assert refused(check, by=cast.developer, connection=connection) == ("connection_closed", None)
    assert refused(sources.a_connected_dataset, cast, connection)[0] == "connection_closed"


def test_the_pages_of_a_connection(cast, signed_in):
    browser, table = signed_in(cast.developer), sources.a_table()
    sent = {"team": cast.team.pk, "url": sources.url(password="hid-den"), "table": "nothing", "query": ""}
    answer = browser.post("/datasets/new/connection/", sent)
    assert answer.status_code == 422
    assert "has no table nothing" in text_of(answer)
    assert "hid-den" not in answer.content.decode()
    answer = browser.post("/datasets/new/connection/", {**sent, "table": table}, follow=True)
    page, here = text_of(answer), answer.redirect_chain[-1][0]
    assert f"Table {table}" in page
    assert "200" in page
    assert "No dataset yet" in page
    assert "hid-den" not in page + kept()
    assert sources.READER not in page
    answer = browser.post(f"{here}check/", follow=True)
    assert "It answers: 200 rows." in text_of(answer)
    answer = browser.post(f"{here}secret/", {"user": "nobody_here", "password": "hid-den"})
    assert "refuses this user" in text_of(answer)
    assert "hid-den" not in answer.content.decode()
    answer = browser.post(f"{here}secret/", {"user": sources.READER, "password": "x"}, follow=True)
    assert "new password works" in text_of(answer)
    assert "Describe the dataset" in browser.get(f"{here}dataset/").content.decode()
    record = {"name": "Warehouse", "purpose": "test", "source": "Loans.", "positive_class": "1", "lawful_basis": ""}
    record |= {"role_0": "label", "role_1": "sensitive", "role_2": "other", "role_3": "other"}
    answer = browser.post(f"{here}dataset/", record, follow=True)
    page = text_of(answer)
    assert "The rows stay where they are" in page
    assert "Open first rows" not in page
    assert table in page
    sources.administer(f"DROP TABLE {table}")
    assert "The check failed. The database has no table" in text_of(browser.post(f"{here}check/", follow=True))
    assert "has no table" in text_of(browser.get(f"{here}dataset/", follow=True))
    assert browser.get("/datasets/new/connection/").status_code == 200
    auditor = signed_in(cast.auditor)
    assert "Check the connection" not in text_of(auditor.get(here))
    assert auditor.get("/datasets/new/connection/").status_code == 403
    assert signed_in(cast.outsider).get(here).status_code == 404
