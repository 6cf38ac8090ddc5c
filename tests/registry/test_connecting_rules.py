"""What a connection may be: its address, table or query, and the hash of a set of rows. Plain values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.connecting import rules

GOOD = "postgresql://reader:secret@db.example.com/lending"
WITHIN = ["db.local", "/run/postgresql"]


def test_an_address_is_read_and_never_shown_whole():
    found = rules.address_of("postgres://r%40x:s%23%2F@DB.example.com.:5433/lending?sslmode=verify-full", [])
    assert found == rules.Address("db.example.com", 5433, "lending", "verify-full", "r@x", "s#/")
    assert repr(found) == "Address(db.example.com:5433/lending)"
    assert rules.address_of(GOOD, []).encryption == "require"
    assert rules.address_of(f"{GOOD.replace('db.example.com', 'db.local')}?sslmode=disable", WITHIN).host == "db.local"
    assert rules.address_of("postgresql://r:s@/d?host=/run/postgresql", WITHIN).encryption == "prefer"
    assert rules.address_of("postgresql://r:s@[2001:db8::1]/d", []).host == "2001:db8::1"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", "address_invalid"),
        ("db.example.com", "address_invalid"),
        ("mysql://reader:secret@db.example.com/lending", "address_invalid"),
        (f"{GOOD} ou", "address_invalid"),
        (f"{GOOD}?{'x' * 1000}", "address_invalid"),
        ("postgresql://reader:secret@db.example.com:port/lending", "address_invalid"),
        ("postgresql://reader:secret@db.example.com/lending?sslmode", "address_invalid"),
        (f"{GOOD}#part", "address_invalid"),
        (f"{GOOD}?host=10.0.0.1", "address_invalid"),
        (f"{GOOD}?passfile=/etc/passwd&sslkey=/x", "address_invalid"),
        ("postgresql://reader:secret@/lending", "address_invalid"),
        ("postgresql://reader:secret@a,b/lending", "address_invalid"),
        ("postgresql://reader:secret@db.example.com/", "address_invalid"),
        ("postgresql://reader:secret@db.example.com/a/b", "address_invalid"),
        ("postgresql://reader:secret%00@db.example.com/lending", "address_invalid"),
        ("postgresql://reader@db.example.com/lending", "password_missing"),
        ("postgresql://:secret@db.example.com/lending", "password_missing"),
        (f"{GOOD}?sslmode=disable", "address_invalid"),
        ("postgresql://reader:secret@/lending?host=/tmp", "address_inside"),
    ],
)
def test_what_is_no_address_is_said_without_its_password(url, code):
    fault = rules.address_of(url, WITHIN)
    assert (fault.code, fault.field) == (code, "url")
    assert "secret" not in fault.sentence


@pytest.mark.parametrize(
    ("table", "query", "code", "field"),
    [
        ("lending.loans", "", None, None),
        ('"Lending"."The ""loans"""', "", None, None),
        ("", "", "relation_missing", "table"),
        ("loans", "SELECT 1", "relation_missing", "table"),
        ("loans; DROP TABLE loans", "", "table_invalid", "table"),
        ("a.b.c", "", "table_invalid", "table"),
        ("x" * 64, "", "table_invalid", "table"),
        ("", "SELECT a, 'it''s; ' AS \"update\" FROM t WHERE n > 1.5e3 AND (b OR U&'x' = c)", None, None),
        ("", "WITH x AS (SELECT 1 AS a) SELECT * FROM x", None, None),
        ("", "DELETE FROM t", "query_invalid", "query"),
        ("", "  ", "query_invalid", "query"),
        ("", "SELECT 1; SELECT 2", "query_invalid", "query"),
        ("", "SELECT 1 -- all", "query_invalid", "query"),
        ("", "SELECT 1 /* all */", "query_invalid", "query"),
        ("", "SELECT 'open", "query_invalid", "query"),
        ("", "SELECT $$x$$", "query_invalid", "query"),
        ("", "SELECT E'\\'' AS a", "query_invalid", "query"),
        ("", "SELECT 1) AS a, (SELECT 2", "query_invalid", "query"),
        ("", "SELECT (1", "query_invalid", "query"),
        ("", "SELECT * INTO other FROM t", "query_invalid", "query"),
        ("", "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", "query_invalid", "query"),
        ("", "SELECT * FROM t FOR UPDATE", "query_invalid", "query"),
        ("", f"SELECT '{'x' * 10_000}'", "query_invalid", "query"),
    ],
)
def test_one_table_or_one_query_that_reads(table, query, code, field):
    fault = rules.relation_at_fault(table, query)
    assert (fault and fault.code, fault and fault.field) == (code, field)


@given(st.text(alphabet="'\"\\$;()-/*sSeElLcCtT \n1aU&\u00e9", max_size=40))
def test_no_text_gets_a_semicolon_past_its_quotes(text):
    """Whatever passes has, outside of quotes, no semicolon, comment or bracket too many, for a reader as simple."""
    if rules.query_at_fault(f"SELECT {text}"):
        return
    bare, depth = rules.re.sub(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", "", text), 0
    assert not set(bare) & set(";'\"$\\")
    assert "--" not in bare
    assert "/*" not in bare
    for character in bare:
        depth += (character == "(") - (character == ")")
        assert depth >= 0
    assert depth == 0


def test_names_are_as_the_database_has_them():
    assert rules.parts_of('Lending."The ""Loans"""') == ["lending", 'The "Loans"']
    address = rules.address_of(GOOD, [])
    assert rules.Target(address, 'Lending."The ""Loans"""', "").relation == '"lending"."The ""Loans""" AS given'
    assert rules.Target(address, "", "SELECT 1").relation == "(SELECT 1\n) AS given"
    assert "secret" not in repr(rules.Target(address, "loans", ""))


def test_the_mark_of_rows_tells_them_apart():
    assert len({rules.mark(*each) for each in [(2, 5, 7), (2, 7, 5), (3, 5, 7), (2, 57, 0), (0, None, None)]}) == 5
    assert rules.mark(2, None, 1) == rules.mark(2, 1, None) == ""


def test_the_document_holds_what_is_not_there_as_null():
    made = rules.document(
        host="h", port=1, database="d", table="", query="SELECT 1", snapshot="", rows=3, rows_hash="", columns=[]
    )
    assert (made["table"], made["query"], made["snapshot"], made["rows_hash"]) == (None, "SELECT 1", None, None)
    assert rules.place_of("h", 1, "d") == "h:1/d"
