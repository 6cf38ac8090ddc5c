"""What whoever acts is told about the seal of the act, and what they can keep."""

from __future__ import annotations

import re
import uuid

from ledger.keys import portal_key
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.models import Event
from ledger.notes import open_note, parse_checkpoint, parse_proof
from tests.approvals import world


def submitted(api, cast, settings, wait):
    settings.SEAL_WAIT_SECONDS = wait
    version = world.a_complete_version(cast)
    body = {"version": version.pk, "environment": "production", "use": world.USE, "note": "Please look."}
    answer = api(cast.developer).post("/api/v1/requests/", body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    return answer.json()["seal"]


def test_an_answer_waits_for_the_seal_and_says_which_entry_it_is(committing_db, cast, api, settings, sealing):
    seal = submitted(api, cast, settings, 10)
    event = Event.objects.get(event="request.submitted")
    assert seal == {"state": "sealed", "entry": event.leaf.index, "receipt": f"/api/v1/receipts/{event.pk}/"}


def test_without_a_sequencer_the_act_stands_and_the_seal_is_pending(committing_db, cast, api, settings, seal):
    told = submitted(api, cast, settings, 0.1)
    assert (told["state"], told["entry"]) == ("pending", None)
    before = api(cast.developer).get(told["receipt"]).json()
    assert (before["seal"]["state"], before["proof"]) == ("pending", "")
    seal()
    after = api(cast.developer).get(told["receipt"]).json()
    event = Event.objects.get(event="request.submitted")
    assert after["seal"]["entry"] == event.leaf.index
    assert after["note"] == before["note"], "the same receipt, whenever it is fetched"
    opened = open_note(before["note"].encode(), [portal_key().verifier])
    lines = opened.body.decode().splitlines()
    assert lines[0] == "countersign-receipt/1"
    assert lines[2] == str(event.pk)
    proof = parse_proof(after["proof"].encode())
    tree = parse_checkpoint(proof.note.split(b"\n\n")[0] + b"\n")
    digest = leaf_hash(bytes(event.bytes))
    assert verify_inclusion(proof.index, tree.size, digest, list(proof.hashes), tree.root)


def test_only_whoever_acted_and_readers_of_the_log_get_a_receipt(cast, api, signed_in, settings, seal):
    told = submitted(api, cast, settings, 0)
    event = Event.objects.get(event="request.submitted")
    page = f"/audit/receipts/{event.pk}/"
    for who, status in ((cast.developer, 200), (cast.auditor, 200), (cast.second_developer, 404), (cast.outsider, 404)):
        assert api(who).get(told["receipt"]).status_code == status
        assert signed_in(who).get(page).status_code == status
    assert api(cast.developer).get(f"/api/v1/receipts/{uuid.uuid4()}/").status_code == 404


def test_the_page_of_a_receipt(cast, signed_in, settings, seal, api):
    submitted(api, cast, settings, 0)
    event = Event.objects.get(event="request.submitted")
    client = signed_in(cast.developer)
    page = f"/audit/receipts/{event.pk}/"
    assert "seal in the log is pending" in client.get(page).content.decode()
    seal()
    text = client.get(page).content.decode()
    assert re.search(r"Sealed as entry [\d,]+\.", text)
    assert "c2sp.org/tlog-proof@v1" in text
    file = client.get(page, {"file": "receipt"})
    assert file["Content-Type"].startswith("text/plain")
    assert file.content.startswith(b"countersign-receipt/1\n")


def test_a_signature_by_the_form_says_its_entry(committing_db, cast, signed_in, settings, sealing):
    settings.SEAL_WAIT_SECONDS = 10
    request = world.a_request(cast)
    client = signed_in(cast.validator)
    page = client.get(f"/requests/{request.pk}/sign/")
    form = {
        "requirement": "validation", "outcome": "approve", "digest": request.latest.digest,
        "comment": world.REASONING, "password": world.PASSWORD,
    }  # fmt: skip
    assert page.status_code == 200
    answer = client.post(f"/requests/{request.pk}/sign/", form, follow=True)
    assert re.search(r"Signed: approve, over sha256:\w+…\. Sealed as entry [\d,]+\.", answer.content.decode())
    assert re.search(r"and sealed as entry [\d,]+ of the log", answer.content.decode())
