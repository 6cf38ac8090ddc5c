"""What the pages and the API show of an entry's seal: its number, its proof, the checkpoints, and how to check it."""

from __future__ import annotations

import base64
import html
import re
import shlex
import subprocess
import sys

import pytest
from django.conf import settings as configured

from accounts.services import add_team
from audits.checkpoints import page
from audits.proving import head_of
from ledger.actors import SystemActor
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.models import Anchor, Checkpoint, Event, PublicKey
from ledger.notes import SigningKey, open_checkpoint, parse_proof

pytestmark = pytest.mark.django_db
CONSOLE = SystemActor("console", frozenset({"accounts.add_team"}))


@pytest.fixture
def event(cast, seal):
    seal()
    add_team(by=CONSOLE, name="Fraud", slug="fraud")
    return Event.objects.latest("id")


@pytest.fixture
def sealed(event, seal):
    seal()
    return event


def text_of(response):
    return html.unescape(response.content.decode())


def log_vkeys():
    return [key.vkey for key in PublicKey.objects.filter(role="log")]


def test_the_log_shows_which_entries_are_sealed(signed_in, cast, event, seal):
    browser = signed_in(cast.auditor)
    assert "waits for its seal" in text_of(browser.get("/audit/"))
    links = {state: browser.get(f"/audit/?seal={state}").content.decode() for state in ("sealed", "pending")}
    assert [str(event.pk) in links[state] for state in ("sealed", "pending")] == [False, True]
    seal()
    shown = text_of(browser.get("/audit/"))
    assert "waits for its seal" not in shown
    assert f'entry <span class="number">{event.leaf.index}</span>' in shown
    links = {state: browser.get(f"/audit/?seal={state}").content.decode() for state in ("sealed", "pending")}
    assert [str(event.pk) in links[state] for state in ("sealed", "pending")] == [True, False]


def test_before_any_checkpoint_everything_waits(signed_in, cast):
    shown = text_of(signed_in(cast.auditor).get("/audit/checkpoints/"))
    assert configured.LOG_ORIGIN in shown


def test_a_pending_entry_says_what_it_waits_for(signed_in, api, cast, event):
    browser = signed_in(cast.auditor)
    shown = text_of(browser.get(f"/audit/{event.pk}/"))
    assert "The sequencer has still to give it a number" in shown
    assert "Look again" in shown
    assert browser.get(f"/audit/{event.pk}/proof/").status_code == 404
    given = api(cast.auditor).get(f"/api/v1/events/{event.pk}/proof/").json()
    assert (given["state"], given["entry"], given["checkpoint"], given["proof"]) == ("pending", None, None, "")


def test_the_proof_leads_from_the_bytes_to_the_signed_root(signed_in, cast, sealed):
    browser = signed_in(cast.auditor)
    answer = browser.get(f"/audit/{sealed.pk}/proof/")
    assert f"event-{sealed.pk}.tlog-proof" in answer["Content-Disposition"]
    proof = parse_proof(answer.content)
    checkpoint, _ = open_checkpoint(proof.note, log_vkeys(), configured.LOG_ORIGIN)
    raw = browser.get(f"/audit/{sealed.pk}/bytes/").content
    assert verify_inclusion(proof.index, checkpoint.size, leaf_hash(raw), list(proof.hashes), checkpoint.root)
    shown = text_of(browser.get(f"/audit/{sealed.pk}/"))
    for told in (
        "sha256:" + leaf_hash(raw).hex(), base64.b64encode(checkpoint.root).decode(), "Nowhere yet",
        *(base64.b64encode(one).decode() for one in proof.hashes),
    ):  # fmt: skip
        assert told in shown


def test_the_command_on_the_page_verifies_the_downloaded_files(signed_in, cast, sealed, tmp_path):
    browser = signed_in(cast.auditor)
    shown = text_of(browser.get(f"/audit/{sealed.pk}/"))
    command = shlex.split(re.search(r"python3 (countersign_verify\.py proof [^<]+)", shown)[1].replace("\\\n", ""))
    for name in ("proof", "bytes"):
        answer = browser.get(f"/audit/{sealed.pk}/{name}/")
        (tmp_path / re.search(r'filename="([^"]+)"', answer["Content-Disposition"])[1]).write_bytes(answer.content)
    (tmp_path / command[0]).write_bytes(b"".join(browser.get("/audit/verifier/").streaming_content))
    assert "--key" in command
    run = subprocess.run([sys.executable, "-I", *command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    (tmp_path / command[command.index("--entry") + 1]).write_bytes(b"another entry")
    run = subprocess.run([sys.executable, "-I", *command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 1


def test_the_api_gives_seal_and_proof(api, cast, sealed):
    client, size = api(cast.auditor), Checkpoint.objects.newest(configured.LOG_ORIGIN).size
    expected = {"state": "sealed", "entry": sealed.leaf.index, "checkpoint": size}
    assert client.get(f"/api/v1/events/{sealed.pk}/").json()["seal"] == expected
    rows = client.get("/api/v1/events/").json()["results"]
    assert {row["id"]: row["seal"] for row in rows}[str(sealed.pk)] == expected
    assert rows[0]["seal"] == {"state": "pending", "entry": None, "checkpoint": None}  # the token of this client
    given = client.get(f"/api/v1/events/{sealed.pk}/proof/").json()
    proof = parse_proof(given["proof"].encode())
    assert given["checkpoint"]["size"] == size
    assert [base64.b64decode(one) for one in given["hashes"]] == list(proof.hashes)
    assert given["leaf_hash"] == "sha256:" + leaf_hash(bytes(sealed.bytes)).hex()


def test_where_an_entry_is_kept_outside(signed_in, cast, sealed):
    size = Checkpoint.objects.newest(configured.LOG_ORIGIN).size
    kept = {"origin": configured.LOG_ORIGIN, "size": size, "receipt": b"x", "place": "https://example.org/<b>"}
    Anchor.objects.create(target="vault", kind="s3", **kept)
    Anchor.objects.create(target="colleague", kind="witness", **kept)
    browser = signed_in(cast.auditor)
    entry, one, every = (
        text_of(browser.get(f"/audit/{address}/"))
        for address in (sealed.pk, f"checkpoints/{size}", "checkpoints")
    )  # fmt: skip
    assert "Object storage with a lock vault" in entry
    assert "Nowhere yet" not in entry
    assert "https://example.org/<b>" in one
    assert "colleague and vault" in every


def test_checkpoints_are_listed_with_the_state_of_the_log(signed_in, cast, sealed):
    add_team(by=CONSOLE, name="Later", slug="later")
    browser, newest = signed_in(cast.auditor), Checkpoint.objects.newest(configured.LOG_ORIGIN)
    shown = text_of(browser.get("/audit/checkpoints/"))
    for told in (configured.LOG_ORIGIN, *log_vkeys(), f'href="/audit/checkpoints/{newest.size}/"', "the oldest for"):
        assert told in shown
    one = text_of(browser.get(f"/audit/checkpoints/{newest.size}/"))
    assert bytes(newest.note).decode() in one
    assert "Verified" in one
    note = browser.get(f"/audit/checkpoints/{newest.size}/note/")
    assert note.content == bytes(newest.note)
    assert browser.get(f"/audit/checkpoints/{newest.size + 1}/").status_code == 404
    assert browser.get("/audit/checkpoints/99999999999999999999999/").status_code == 404
    assert browser.get("/audit/checkpoints/?before=x&after=-1").status_code == 200
    assert "No checkpoint yet" in text_of(browser.get("/audit/checkpoints/?before=0"))


def test_checkpoints_have_pages(cast, seal):
    for number in range(4):
        add_team(by=CONSOLE, name=f"Team {number}", slug=f"team-{number}")
        seal()
    rows = Checkpoint.objects.filter(origin=configured.LOG_ORIGIN)
    sizes, seen, before = list(rows.order_by("-size").values_list("size", flat=True)), [], None
    while True:
        shown = page(rows, before=before, size=2)
        seen += [one.head.size for one in shown.heads]
        if not shown.older:
            break
        before = int(shown.older)
    assert seen == sizes
    back = page(rows, after=before, size=2)
    assert [one.head.size for one in back.heads] == sizes[: sizes.index(before)][-2:]


def test_checkpoints_are_for_readers_of_the_log(signed_in, api, cast, sealed):
    for path in (
        "verifier/",
        "checkpoints/",
        f"checkpoints/{sealed.leaf.index + 1}/",
        f"checkpoints/{sealed.leaf.index + 1}/note/",
    ):
        assert signed_in(cast.developer).get(f"/audit/{path}").status_code == 403
    assert signed_in(cast.developer).get(f"/audit/{sealed.pk}/proof/").status_code == 404
    assert api(cast.developer).get(f"/api/v1/events/{sealed.pk}/proof/").status_code == 404


def test_a_signature_is_told_from_a_wrong_and_an_unknown_one(sealed):
    note = bytes(Checkpoint.objects.newest(configured.LOG_ORIGIN).note)
    head, known = head_of(note), list(PublicKey.objects.all())
    assert [(one.valid, one.role) for one in head.signatures(known)] == [(True, "log")]
    assert [one.valid for one in head.signatures([])] == [None]
    body, line = note.split(b"\n\n")
    forged = head_of(body.replace(b"\n", b"\n1", 1) + b"\n\n" + line)
    assert [one.valid for one in forged.signatures(known)] == [False]
    stranger = SigningKey.generate("witness.example")
    joined = head_of(note + stranger.line(body + b"\n"))
    assert joined.cosigners == ["witness.example"]
    assert [one.valid for one in joined.signatures(known)] == [True, None]
