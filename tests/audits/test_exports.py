"""Taking the log out: what is in each kind of file, and the entries that it leaves."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import duckdb
import psycopg2
import pytest
from django.conf import settings
from django.db import connection

from accounts.models import Role
from accounts.services import add_team, grant_role
from audits.exports import bundle, document, lines, tables
from audits.exports.copying import ahead, copied, snapshot
from audits.exports.parquet import metadata
from audits.exports.rows import BLOCK, Entry, Head, entries, head_of
from audits.exports.sealed import ends_of, sealed_lines
from audits.exports.selection import Selection
from audits.models import Export
from bench.filling import fill
from bench.filling import rows as made_up
from ledger.canonical import canonical, disclosure_bytes, sha256
from ledger.merkle import leaf_hash
from ledger.models import Checkpoint, Event
from tests.audits.exporting import CONSOLE, a_team_auditor, exported, wanted, written
from tests.client.logs import SCRIPT, verifier

GRANTED = Selection(filters={"event": "role.granted"})


STRANGE = '\x01\x1f\x7f \t\r\n \\ " / ☃ \u2028 \u2029 äß \ufb33 😀,"event":'


def opened(line: bytes) -> tuple[dict[str, Any], bytes]:
    """A line of JSON Lines as any parser reads it, and the event's bytes cut out of it."""
    return json.loads(line), line.removesuffix(b"}").split(b',"event":', 1)[1]


def rows_of(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body.decode(), newline="")))


class TestLines:
    def test_each_line_can_be_verified_by_hashing_alone(self, committing_db, cast, seal):
        seal()
        waiting = grant_role(
            by=CONSOLE, account=cast.developer, role=Role.objects.get(slug="reviewer"), team=None, reason="“quoted” \n"
        )
        export, body = exported(cast.auditor, "jsonl")
        lines, raws = zip(*map(opened, body.splitlines()), strict=True)
        for line, raw in zip(lines, raws, strict=True):
            sealed = "sha256:" + leaf_hash(raw).hex()
            assert line["leaf_hash"] == (sealed if line["seal"] == "sealed" else None)
            assert raw == canonical(line["event"])
            for salt, label, value in line["disclosures"]:
                preimage = disclosure_bytes(base64.urlsafe_b64decode(salt + "=="), label, value)
                assert line["event"]["disclosures"][label] == sha256(preimage)
                assert preimage in body, "the text that is hashed stands there as it is"
        sealed = [line["entry"] for line in lines if line["seal"] == "sealed"]
        assert sealed == list(range(export.tree_size))
        pending = [line["event"] for line in lines if line["seal"] == "pending"]
        assert [content["event"] for content in pending] == ["role.granted", "export.requested"]
        assert pending[0]["facts"]["grant"] == str(waiting.pk)
        assert ["reason", "“quoted” \n"] in [told[1:] for told in lines[-2]["disclosures"]]
        assert (export.count, export.unsealed) == (len(lines), 2)

    def test_the_export_is_an_event_with_digest_count_range_and_tree(self, committing_db, cast, seal):
        seal()
        chosen = Selection(filters={"event": "role.granted", "text": "the cast"}, need="access", article="hipaa-a")
        export, body = exported(cast.auditor, "jsonl", chosen)
        event = Event.objects.get(event="log.exported")
        rows = Event.objects.filter(event="role.granted").order_by("id")
        head = Checkpoint.objects.latest("size")
        assert event.content["facts"] == {
            "format": "jsonl", "sha256": "sha256:" + hashlib.sha256(body).hexdigest(), "size": len(body),
            "count": rows.count(), "unsealed": 0, "first": str(rows.first().pk), "last": str(rows.last().pk),
            "tree": {"origin": head.origin, "size": head.size, "root": bytes(head.note).split(b"\n")[2].decode()},
            "filter": {"event": "role.granted", "need": "access", "article": "hipaa-a"},
            "job": str(export.job_id), "attempt": 1,
        }  # fmt: skip
        assert (event.actor_kind, event.content["on_behalf_of"]["id"]) == ("system", str(cast.auditor.opaque_id))
        for name in ("export.requested", "log.exported"):
            said = Event.objects.get(event=name)
            assert said.disclosures.get(label="filter_text").value == "the cast"
            assert b"the cast" not in bytes(said.bytes)
        taken = Event.objects.get(event="export.downloaded")
        assert (taken.actor_id, taken.content["facts"]["sha256"]) == (str(cast.auditor.opaque_id), export.digest)

    def test_an_export_of_nothing_says_so(self, committing_db, cast, seal):
        export, body = exported(cast.auditor, "jsonl", Selection(filters={"event": "nothing.like_this"}))
        facts = Event.objects.get(event="log.exported").content["facts"]
        assert (facts["count"], facts["first"], facts["last"], facts["size"]) == (0, None, None, 0)
        assert (body, export.count, export.first) == (b"", 0, "")

    def test_what_is_about_no_team_of_ones_own_is_not_in_it(self, committing_db, cast, seal):
        auditor = a_team_auditor(cast)
        seal()
        _, body = exported(auditor, "jsonl", team=cast.other_team)
        assert {json.loads(line)["event"]["team"] for line in body.splitlines()} == {str(cast.other_team.pk)}
        assert Event.objects.get(event="log.exported").team_id == cast.other_team.pk

    def test_beginnings_of_names_and_objects_are_any_of_each(self, committing_db, cast, seal):
        of_team = ("accounts.team", str(cast.team.pk))
        of_person = ("accounts.user", str(cast.developer.pk))
        chosen = Selection(events=("team.", "account."), objects=(of_team, of_person), about="Credit")
        export, body = exported(cast.auditor, "csv", chosen)
        assert {(row["event"], row["object_type"], row["object_id"]) for row in rows_of(body)} == {
            ("team.added", *of_team), ("account.added", *of_person),
        }  # fmt: skip
        facts = Event.objects.get(event="log.exported").content["facts"]["filter"]
        assert facts == {"events": ["team.", "account."], "about": f"accounts.team {cast.team.pk}", "objects": 2}
        assert ("About", "Credit") in export.selection.in_words()
        assert ("Events", "team., account.") in export.selection.in_words()

    def test_a_filter_that_can_choose_nothing_gives_no_entries(self, committing_db, cast):
        with snapshot() as cursor:
            assert list(entries(cursor, Head("x"), Event.objects.none())) == []


class TestEverything:
    """What the database writes is what is written here, entry by entry."""

    @pytest.fixture
    def log(self, committing_db, cast, settings):
        """Three blocks' worth of entries; `log(statement, *given)` alters them as whoever owns the database may."""
        url = urlsplit(os.environ["ADMIN_DATABASE_URL"])._replace(path=f"/{committing_db}").geturl()
        started = datetime(2026, 1, 1, tzinfo=UTC)
        fill(url, made_up(2 * BLOCK + 100, [("1", "Ada “Countess” Lovelace")], [1], started), settings.LOG_ORIGIN)

        def alter(statement, *given):
            with closing(psycopg2.connect(url)) as owner, owner, owner.cursor() as cursor:
                cursor.execute("ALTER TABLE ledger_event DISABLE TRIGGER USER")
                cursor.execute("ALTER TABLE ledger_disclosure DISABLE TRIGGER USER")
                cursor.execute("ALTER TABLE ledger_leaf DISABLE TRIGGER USER")
                cursor.execute(statement, given)

        return alter

    def both(self):
        with snapshot() as cursor:
            head = head_of(cursor, settings.LOG_ORIGIN)
            with closing(sealed_lines(cursor, head)) as read:
                pieces = list(read)
            assert ends_of(cursor, head) != ("", "")
            sealed = [[entry for entry in block if entry.place is not None] for block in entries(cursor, head, None)]
        assert [(one.first, one.end) for one in pieces] == [
            (0, BLOCK), (BLOCK, 2 * BLOCK), (2 * BLOCK, head.size),
        ]  # fmt: skip
        return b"".join(one.text for one in pieces), b"".join(lines.lines(sealed))

    def test_two_connections_write_the_same_also_of_what_is_no_text_any_more(self, log):
        log("UPDATE ledger_disclosure SET value = %s WHERE label = 'reason'", STRANGE)
        change = "UPDATE ledger_event SET bytes = %s WHERE id = (SELECT event_id FROM ledger_leaf WHERE index = %s)"
        odd = canonical({"facts": {STRANGE: [STRANGE, 1.5]}, "event": "x"})
        log(change, odd, 11)
        log("UPDATE ledger_leaf SET hash = %s WHERE index = 11", leaf_hash(odd))
        by_database, here = self.both()
        assert by_database == here
        assert json.dumps(STRANGE, ensure_ascii=False).encode() in here
        for number, line in enumerate(here.split(b"\n")[:-1]):
            read, raw = opened(line)
            assert (read["entry"], read["leaf_hash"]) == (number, "sha256:" + leaf_hash(raw).hex())
        assert opened(here.split(b"\n")[11])[1] == odd
        for place, altered, shown in [
            (BLOCK + 7, b"\xff\xfe no text", "\ufffd\ufffd no text"),
            (5, b"nothing \0 ends here", "nothing \0 ends here"),
            (2 * BLOCK + 3, b'{}}\n{"entry":1', '{}}\n{"entry":1'),
            (2 * BLOCK + 4, b"\x01quoted\x02", "\x01quoted\x02"),
        ]:
            log(change, altered, place)
            by_database, here = self.both()
            assert by_database == here
            assert opened(here.split(b"\n")[place])[0]["event"] == shown, "it shows, and ends no line"

    def test_in_a_larger_transaction_it_sees_what_only_that_sees(self, db, cast, seal):
        seal()
        with snapshot() as cursor:
            head = head_of(cursor, settings.LOG_ORIGIN)
            (piece,) = sealed_lines(cursor, head)
        assert piece.text.count(b"\n") == head.size > 20

    def test_of_an_empty_log_there_is_nothing(self, db):
        with snapshot() as cursor:
            assert list(sealed_lines(cursor, Head("log"))) == []
            assert ends_of(cursor, Head("log")) == ("", "")


class TestCsv:
    def test_there_is_a_row_for_each_event(self, committing_db, cast, seal):
        seal()
        export, body = exported(cast.auditor, "csv", GRANTED)
        rows = rows_of(body)
        first = Event.objects.filter(event="role.granted").order_by("id")[0]
        assert tuple(rows[0]) == tables.COLUMNS
        assert len(rows) == export.count == Event.objects.filter(event="role.granted").count()
        assert json.loads(rows[0]["disclosures"])["reason"] == "the cast"
        assert (rows[0]["id"], rows[0]["sha256"]) == (str(first.pk), first.digest)
        assert int(rows[0]["entry"]) == first.leaf.index

    @pytest.mark.parametrize("evil", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
    def test_no_cell_is_a_formula(self, evil):
        assert tables.harmless(evil) == f"'{evil}"
        assert tables.harmless("plain") == "plain"
        (row,) = csv.reader(io.StringIO(tables.csv_text([['quo"te', "a,b", evil]]).decode(), newline=""))
        assert row == ['quo"te', "a,b", evil]

    def test_names_that_look_like_formulas_stay_text(self, committing_db, cast, seal):
        add_team(by=CONSOLE, name="=HYPERLINK(1)", slug="formula")
        _, body = exported(cast.auditor, "csv")
        for line in csv.reader(io.StringIO(body.decode(), newline="")):
            assert not any(cell.startswith(("=", "+", "-", "@")) for cell in line)

    def test_an_altered_event_shows_with_the_digest_that_it_has_now(self):
        for raw in (b"\xff not JSON", b"[]"):
            cells = dict(zip(tables.COLUMNS, tables.cells(Entry(7, raw, b"")), strict=True))
            assert (cells["entry"], cells["id"], cells["event"]) == ("7", "", "")
            assert cells["sha256"] == "sha256:" + hashlib.sha256(raw).hexdigest()


class TestParquet:
    def test_it_holds_the_same_with_types_and_says_what_it_is(self, committing_db, cast, seal, tmp_path):
        seal()
        grant_role(by=CONSOLE, account=cast.developer, role=Role.objects.get(slug="reviewer"), team=None,
                   reason="=1+1, \"quoted\"\nand 'more'")  # fmt: skip
        export, body = exported(cast.auditor, "parquet", GRANTED)
        path = tmp_path / "log.parquet"
        path.write_bytes(body)
        found = duckdb.read_parquet(str(path)).project("entry, id, typeof(time), disclosures").fetchall()
        events = Event.objects.filter(event="role.granted").order_by("id")
        assert [row[1] for row in found] == [str(event.pk) for event in events]
        assert [row[0] for row in found] == [event.leaf.index for event in events[: len(found) - 1]] + [None]
        assert found[0][2] == "TIMESTAMP WITH TIME ZONE"
        assert json.loads(found[-1][3])["reason"] == "=1+1, \"quoted\"\nand 'more'", "no apostrophe before it here"
        about = json.loads(metadata(path)["countersign"])
        assert (about["count"], about["unsealed"], about["tree_size"]) == (len(found), 1, export.tree_size)
        assert about["filter"] == {"filters": {"event": "role.granted"}}


class TestPdf:
    def test_the_same_entries_give_the_same_bytes(self, committing_db, cast, seal):
        seal()
        chosen = Selection(filters={"event": "account."}, need="access", article="hipaa-a")
        export, body = exported(cast.auditor, "pdf", chosen)
        assert body.startswith(b"%PDF-")
        found = [Entry(0, bytes(Event.objects.earliest("id").bytes), b"")]
        cover = document.Cover("Title", "Question?", "origin", 1, "root", [("A", "b")])
        assert document.typeset([found], cover) == document.typeset([found], cover)
        assert export.count == Event.objects.filter(event__startswith="account.").count()

    def test_it_says_who_did_what_in_words(self, committing_db, cast):
        event = Event.objects.filter(event="role.granted").order_by("id")[0]
        told = b'["x","actor_name","Console"],["x","reason","the cast"]'
        shown = document.shown(Entry(1200, bytes(event.bytes), told))
        words = dict(shown["rows"])
        assert (shown["number"], shown["what"], shown["digest"]) == ("1,200", "Role granted", event.digest)
        assert shown["time"].endswith(" UTC")
        assert (words["Who"], words["Reason"]) == ("Console, system console", "the cast")
        assert words["On"].startswith("accounts.user ")
        assert words["Role"] == json.loads(bytes(event.bytes))["facts"]["role"]
        assert document.said({"at_least": 0.8, "on": True, "who": [], "of": ["a", None]}) == (
            "at least 0.8; on yes; who none; of a, "
        )
        erased = document.shown(Entry(None, bytes(event.bytes), b""))
        assert (erased["number"], dict(erased["rows"])["Reason"]) == ("not sealed yet", "erased")
        assert document.sentence("decision.signed.refused") == "Refused: decision signed"
        assert document.who_of({"actor": None, "disclosures": {"actor_name": "sha256:x"}}, {}) == "name erased, "
        assert document.shown(Entry(1, b"?", b""))["what"] == "This entry cannot be read"

    def test_a_long_one_is_refused_before_and_while_it_is_written(self, committing_db, cast, seal, settings):
        settings.EXPORT_PDF_ENTRIES = Event.objects.count() + 2
        fits = wanted(cast.auditor, "pdf")
        for number in range(3):
            add_team(by=CONSOLE, name=f"Team {number}", slug=f"team-{number}")
        late = written(fits)
        assert (late.job.state, late.job.error_code, late.file) == ("failed", "too_many_for_pdf", "")
        with pytest.raises(Exception, match="A PDF holds at most") as refusal:
            wanted(cast.auditor, "pdf")
        assert refusal.value.code == "too_many_for_pdf"


class TestBundle:
    def test_it_checks_itself_on_a_python_without_packages(self, committing_db, cast, seal, tmp_path):
        seal()
        add_team(by=CONSOLE, name="Fraud", slug="fraud")
        seal()
        wanted(cast.auditor, "csv")  # not sealed, so not in it
        export, body = exported(cast.auditor, "bundle")
        path = tmp_path / export.filename
        path.write_bytes(body)
        with zipfile.ZipFile(path) as archive:
            archive.extract("verify.py", tmp_path)
            said = json.loads(archive.read("bundle.json"))
            assert f"{export.tree_size} entries" in archive.read("README.txt").decode()
        assert (tmp_path / "verify.py").read_bytes() == SCRIPT.read_bytes()
        assert said["size"] == export.tree_size == export.count
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(tmp_path / "verify.py"), str(path)], capture_output=True, text=True,
            check=False, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "\nVERIFIED\n" in done.stdout

    def test_two_bundles_of_one_tree_differ_in_their_date_alone(self, committing_db, cast, seal):
        seal()
        first, second = (zipfile.ZipFile(io.BytesIO(exported(cast.auditor, "bundle")[1])) for _ in range(2))
        assert first.namelist() == second.namelist()
        assert [name for name in first.namelist() if first.read(name) != second.read(name)] in ([], ["bundle.json"])

    def test_without_a_seal_there_is_nothing_to_bundle(self, committing_db, cast, settings):
        settings.LOG_ORIGIN = "another.example/log"
        failed = written(wanted(cast.auditor, "bundle"))
        assert (failed.job.state, failed.job.error_code, failed.file) == ("failed", "nothing_sealed", "")
        assert not Event.objects.filter(event="log.exported").exists()

    def test_it_is_the_whole_log_or_none(self, committing_db, cast, seal):
        with pytest.raises(Exception, match="whole log") as refusal:
            wanted(cast.auditor, "bundle", GRANTED)
        assert (refusal.value.code, refusal.value.field) == ("bundle_is_whole", "filter")
        auditor = a_team_auditor(cast)
        with pytest.raises(Exception, match=r"audits\.export_log"):
            wanted(auditor, "bundle", team=cast.other_team)
        assert not Export.objects.exists()

    def test_a_missing_folder_of_tiles_is_made_good_from_the_database(
        self, committing_db, cast, seal, settings, tmp_path
    ):
        seal()
        settings.LOG_ROOT = str(tmp_path / "nowhere")
        _, body = exported(cast.auditor, "bundle")
        (tmp_path / "log.zip").write_bytes(body)
        assert verifier.main([str(tmp_path / "log.zip")]) == 0

    def test_of_very_many_checkpoints_one_a_day_and_the_anchored_are_kept(self, committing_db, cast, seal, settings):
        for number in range(4):
            add_team(by=CONSOLE, name=f"Team {number}", slug=f"team-{number}")
            seal()
        sizes = list(Checkpoint.objects.order_by("size").values_list("size", flat=True))
        with connection.cursor() as cursor:
            head = Head(settings.LOG_ORIGIN, sizes[-1])
            assert [size for size, _ in bundle.checkpoints(cursor.cursor, head)] == sizes[:-1]
            cursor.execute(
                "INSERT INTO ledger_anchor (origin, size, target, kind, place, receipt)"
                " VALUES (%s, %s, 'vault', 'folder', '/vault', '{}')", [head.origin, sizes[-3]],
            )  # fmt: skip
            few = [size for size, _ in bundle.checkpoints(cursor.cursor, head, most=1)]
        assert sizes[-3] in few
        assert len(few) < len(sizes) - 1


class TestReading:
    def test_items_come_ahead_in_order_and_an_error_comes_through(self):
        def broken():
            yield 1
            raise ValueError("no more")

        assert list(ahead(iter(range(10)))) == list(range(10))
        items = ahead(broken())
        assert next(items) == 1
        with pytest.raises(ValueError, match="no more"):
            next(items)

    def test_who_stops_listening_ends_the_thread(self):
        taken = []
        items = ahead(taken.append(number) or number for number in range(1000))
        assert next(items) == 0
        items.close()
        assert len(taken) < 10

    def test_rows_are_copied_as_bytes(self, committing_db, cast):
        with snapshot() as cursor:
            assert copied(cursor, "SELECT 1::int2, NULL::text, 'ä'::text, ''::bytea") == [
                (b"\0\x01", None, "ä".encode(), b"")
            ]
            assert copied(cursor, "SELECT 1 WHERE false") == []
            cursor.execute("SHOW transaction_read_only")
            assert cursor.fetchone() == ("on",)
        with pytest.raises(psycopg2.errors.DivisionByZero), snapshot() as cursor:
            copied(cursor, "SELECT 1 / %s", [0])
