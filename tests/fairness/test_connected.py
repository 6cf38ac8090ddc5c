"""Rows that stay in a database: counted there, as those of a file are here, and said to be there."""

from __future__ import annotations

import csv
import io
import json
import math
import random
from dataclasses import replace

import pytest
from django.conf import settings

from fairness.bias import bias_report, canonical_bytes
from fairness.connected import Connected, connected
from fairness.problems import DataProblem
from fairness.roles import Roles
from ledger.refusals import Refusal
from registry.connecting import rules
from tests.fairness import files
from tests.registry import sources

TYPES = {
    "decided": "boolean", "outcome": "smallint", "weight": "real", "person": "bigint", "age": "double precision",
    "due": "date",
}  # fmt: skip
KINDS = {
    "outcome": "integer", "decided": "boolean", "group": "text", "age": "number", "weight": "number",
    "person": "integer", "left_out": "text", "due": "date", "class": "text", "guess": "text",
}  # fmt: skip
ROLES = Roles("outcome", ("group", "age"), prediction="decided", weight="weight", cluster="person")
PLAIN = Roles("outcome", ("group",))
ONE = "0" * 64


def loans(rows: int = 600) -> bytes:
    """Rows with all that a role can be: gaps in groups, weights, several rows a person, reasons, some rows twice."""
    dice = random.Random(11)  # noqa: S311
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(KINDS)
    for number in range(rows):
        group = ("a", "b", "b", " c", "")[dice.randrange(5)]
        outcome = int(dice.random() < 0.6)
        row = [
            outcome, "true" if dice.random() < 0.4 + 0.3 * outcome else "false", group, (20, 30.5, "")[number % 3],
            0.5 + number % 4, number // 3, "bankrupt" if number % 19 == 0 else "", f"2026-01-{number % 28 + 1:02}",
            "xyz"[number % 3], "xyz"[dice.randrange(3)],
        ]  # fmt: skip
        writer.writerow(row)
        if number % 50 == 0:
            writer.writerow(row)
    return out.getvalue().encode()


def target(table="", query="", **changes):
    address = rules.address_of(sources.url(**changes), settings.CONNECTION_INTERNAL_HOSTS)
    assert isinstance(address, rules.Address)
    return rules.Target(address, table, query)


def there(table="", query="", columns=KINDS, most=10_000, **changes):
    return connected(target(table, query, **changes), columns, document=ONE, most=most)


def differing(one, other, at=""):
    """Where two documents differ. PostgreSQL makes whole numbers of weights with 15 digits, DuckDB with more."""
    if isinstance(one, float) and isinstance(other, float):
        return [] if math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12) else [(at, one, other)]
    if type(one) is not type(other) or not isinstance(one, dict | list):
        return [] if one == other else [(at, one, other)]
    if isinstance(one, list):
        one, other = (dict(enumerate(each)) for each in (one, other))
    keys = sorted({*one, *other}, key=str)
    return [found for key in keys for found in differing(one.get(key), other.get(key), f"{at}/{key}")]


def test_a_report_on_a_connection_has_the_numbers_of_one_on_the_file(tmp_path):
    data = loans()
    table, path = sources.a_table(data, TYPES), files.csv(tmp_path, data.decode())
    asked = [
        (ROLES, {"positive": "1", "source": "submitted", "depth": 1}),
        (Roles("outcome", ("group",), exclusion="left_out"), {"positive": 1, "source": "historical"}),
        (
            Roles("class", ("group",), prediction="guess"),
            {"positive": "x", "source": "submitted", "task": "multiclass"},
        ),
        (
            Roles("class", ("group",), cluster="person"),
            {"positive": "x", "source": "historical", "task": "multiclass"},
        ),
        (
            Roles("weight", ("group",), exclusion="left_out"),
            {"positive": "at least 2", "source": "historical", "task": "regression", "at_least": 2},
        ),
    ]
    for roles, how in asked:
        here = bias_report(path, roles, dataset_digest=ONE, **how)
        with there(table) as source:
            elsewhere = bias_report(source, roles, dataset_digest=ONE, **how)
        said = elsewhere["provenance"].pop("connection")
        assert said["reproducible"] is True
        assert (said["rows"], said["rows_after"], said["rows_hash_after"]) == (612, 612, said["rows_hash"])
        assert elsewhere["warnings"].pop()["code"] == "rows_elsewhere"
        here["warnings"] = [each for each in here["warnings"] if each["code"] != "label_as_feature"]
        assert (elsewhere["provenance"].pop("format"), here["provenance"].pop("format")) == ("connection", "csv")
        assert differing(json.loads(canonical_bytes(elsewhere)), json.loads(canonical_bytes(here))) == []
    assert sources.PASSWORD not in json.dumps(elsewhere) + json.dumps(said)
    assert here["rows"]["repeated"]["repeated"] > 0


def test_what_is_asked_for_comes_here_in_cells_only():
    data = loans(300)
    table, largest = sources.a_table(data, TYPES), 0
    with there(table) as source:
        plain = source.con.session.ask

        def heard(statement):
            nonlocal largest
            rows = plain(statement)
            largest = max(largest, len(rows))
            return rows

        source.con.session.ask = heard
        bias_report(source, Roles("outcome", ("group",), prediction="decided"), positive=1, source="submitted")
    assert 0 < largest <= 4 * 2 * 2, "as many as there are groups, outcomes and decisions"


def test_the_same_rows_give_the_same_bytes_and_others_do_not():
    data = loans(200)
    head, *rows = data.decode().splitlines(keepends=True)
    tables = [sources.a_table(each, TYPES) for each in (data, "".join([head, *reversed(rows)]).encode())]
    tables.append(sources.a_table("".join([head, *rows[1:]]).encode(), TYPES))

    def report(**where):
        with there(**where) as source:
            assert isinstance(source, Connected)
            return bias_report(source, replace(ROLES, cluster=None), positive=1, source="historical", depth=1)

    one, other, less = (report(table=each) for each in tables)
    assert one["provenance"]["seed"] == other["provenance"]["seed"] != less["provenance"]["seed"]
    assert canonical_bytes(one) == canonical_bytes(report(table=tables[0]))
    unsteady = f"SELECT *, random() AS chance FROM {tables[0]}"  # noqa: S608
    found = report(query=unsteady, columns={**KINDS, "chance": "number"})
    assert found["warnings"][-1]["code"] == "not_reproducible"
    assert "twice in one snapshot gave different rows" in found["warnings"][-1]["sentence"]
    assert found["provenance"]["connection"]["reproducible"] is False
    broken = f"SELECT *, 1 / (outcome - outcome) AS n FROM {tables[0]}"  # noqa: S608
    found = report(query=broken, columns={**KINDS, "n": "integer"})
    assert "hash could not be taken" in found["warnings"][-1]["sentence"]
    assert found["rows"]["repeated"]["looked_at"] == 0


def faulted(roles=PLAIN, how=None, **where):
    with pytest.raises((DataProblem, Refusal)) as told, there(**where) as source:
        bias_report(source, roles, **{"positive": "1", "source": "historical", **(how or {})})
    assert sources.PASSWORD not in told.value.sentence
    return told.value.code


def test_what_has_changed_since_registration_or_does_not_fit_has_a_code():
    table, submitted = sources.a_table(loans(100), TYPES), {"source": "submitted"}
    assert faulted(table=table, columns={**KINDS, "income": "number"}) == "column_missing"
    assert faulted(table=table, columns={**KINDS, "group": "number"}) == "columns_differ"
    assert faulted(table=table, most=9) == "too_many_rows"
    assert faulted(query=f"SELECT * FROM {table} WHERE outcome > 7") == "no_rows"  # noqa: S608
    assert faulted(table=table, password="another", user="nobody_here") == "credentials_refused"
    assert faulted(table=f"{table}_gone") == "table_unknown"
    broken = f"SELECT *, 1 / (outcome - outcome) AS n FROM {table}"  # noqa: S608
    more = {**KINDS, "n": "integer"}
    assert faulted(Roles("outcome", ("n",)), query=broken, columns=more) == "source_unreadable"
    assert faulted(Roles("outcome", ("due",)), table=table) == "dates_as_groups"
    assert faulted(Roles("outcome", ("group",), weight="class"), table=table) == "not_numeric"
    assert faulted(Roles("outcome", ("group",), weight="age"), table=table) == "value_missing"
    assert faulted(Roles("outcome", ("group",), cluster="left_out"), table=table) == "value_missing"
    assert faulted(Roles("outcome", ("group",), prediction="guess"), submitted, table=table) == "not_binary"
    assert faulted(Roles("group", ("class",)), table=table) in ("value_missing", "not_binary")
    odd = f"SELECT *, due::text AS day, -weight AS less, 'NaN'::float8 AS none FROM {table}"  # noqa: S608
    more = {**KINDS, "day": "text", "less": "number", "none": "number"}
    assert faulted(Roles("outcome", ("day",)), query=odd, columns=more) == "dates_as_groups"
    assert faulted(Roles("outcome", ("group",), weight="less"), query=odd, columns=more) == "weight_not_positive"
    assert faulted(Roles("outcome", ("group",), weight="none"), query=odd, columns=more) == "value_missing"
