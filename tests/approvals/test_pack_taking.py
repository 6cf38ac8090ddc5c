"""Who gets an evidence pack, how it is made, and when its file goes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.core.exceptions import PermissionDenied
from django.core.files.storage import default_storage
from django.utils import timezone

from accounts.services import deactivate_account
from approvals.pack.gathering import wait_for_seal
from approvals.pack.models import EvidencePack
from approvals.pack.services import open_pack, request_pack
from approvals.tasks import remove_old_packs, write_pack
from ledger.canonical import sha256
from ledger.models import Event
from ledger.refusals import Refusal
from tests.approvals import world as approvals
from tests.approvals.packing import packed, unzipped
from tests.sealing import seal_now


def test_by_the_pages_and_the_worker(committing_db, cast, seal, signed_in, owner_cursor):
    request = approvals.an_approval(cast)
    browser = signed_in(cast.approver)
    assert f"/requests/{request.pk}/pack/" in browser.get(f"/requests/{request.pk}/").content.decode()
    assert (
        f"/requests/{request.pk}/pack/"
        not in signed_in(cast.developer).get(f"/requests/{request.pk}/").content.decode()
    )
    page = browser.post(f"/requests/{request.pk}/pack/")["Location"]
    assert "waits for a free worker" in browser.get(page).content.decode()
    assert browser.get(f"{page}content/").status_code == 409
    pack = EvidencePack.objects.get()
    write_pack(pack.job_id)
    pack = EvidencePack.objects.with_parts().get()
    assert pack.job.state == "succeeded", pack.job.error_sentence
    shown = browser.get(page).content.decode()
    assert pack.digest in shown
    assert f"python3 verify.py {pack.filename}" in shown
    answer = browser.get(f"{page}content/")
    data = b"".join(answer.streaming_content)
    assert sha256(data) == pack.digest
    assert pack.filename in answer["Content-Disposition"]
    index = unzipped(data)["pack.json"]
    made, taken = (
        Event.objects.get(event=f"evidence_pack.{name}").content for name in ("made", "downloaded")
    )  # fmt: skip
    assert (made["facts"]["sha256"], made["facts"]["index"]) == (pack.digest, sha256(index))
    assert made["on_behalf_of"]["id"] == taken["actor"]["id"] == str(cast.approver.opaque_id)
    assert taken["facts"] == {
        "request": str(request.pk), "sha256": pack.digest, "size": len(data), "index": sha256(index),
    }  # fmt: skip
    late = request_pack(by=cast.auditor, request=request)
    deactivate_account(by=cast.platform_admin, account=cast.auditor, reason="left")
    write_pack(late.job_id)
    late = EvidencePack.objects.with_parts().get(pk=late.pk)
    assert (late.state, late.file, late.job.error_code) == ("failed", "", "permission_denied")
    assert Event.objects.filter(event="evidence_pack.made").count() == 1
    decision = request.decisions.latest("id")
    proof = decision.authentication
    for table, statement, one, code in (
        ("record", "DELETE FROM ledger_record WHERE object_id = %s", str(decision.pk), "record_missing"),
        ("leaf", "UPDATE ledger_leaf SET hash = sha256('') WHERE event_id = %s", proof, "proof_unavailable"),
    ):
        owner_cursor.execute(f"ALTER TABLE ledger_{table} DISABLE TRIGGER USER")
        owner_cursor.execute(statement, [str(one)])
        lost = request_pack(by=cast.approver, request=request)
        write_pack(lost.job_id)
        lost = EvidencePack.objects.with_parts().get(pk=lost.pk)
        assert (lost.state, lost.file, lost.job.error_code) == ("failed", "", code)
    default_storage.delete(pack.file)


def test_through_the_api(cast, api):
    request = approvals.a_request(cast)
    asking, address = api(cast.auditor), f"/api/v1/requests/{request.pk}/pack/"
    made = asking.post(address)
    assert (made.status_code, made["Location"]) == (202, made.json()["url"])
    told = asking.get(made["Location"]).json()
    assert (told["state"], told["digest"], told["tree"], told["content_url"]) == ("queued", "", None, None)
    assert [each["id"] for each in asking.get(address).json()] == [told["id"]]
    early = asking.get(f"{told['url']}content/")
    assert (early.status_code, early.json()["code"]) == (409, "pack_not_ready")
    narrow = api(cast.auditor, ["approvals.view_request", "approvals.export_pack"])
    for answer in (narrow.post(address), narrow.get(f"{told['url']}content/")):
        assert answer.status_code == 403
        assert "registry.download_artifact" in answer.json()["detail"]
    assert EvidencePack.objects.count() == 1
    assert api(cast.developer).get(address).status_code == 403


def test_who_may_not_gets_none_and_what_is_not_sealed_makes_none(cast):
    request = approvals.a_request(cast)
    with pytest.raises(PermissionDenied):
        request_pack(by=cast.developer, request=request)
    assert Event.objects.latest("id").event == "evidence_pack.requested.refused"
    assert not EvidencePack.objects.exists()
    with pytest.raises(Refusal) as refusal:
        wait_for_seal(request)
    assert refusal.value.code == "seal_pending"


def test_the_file_is_not_given_out_damaged_and_goes_when_its_time_is_over(cast, settings):
    request = approvals.a_request(cast)
    seal_now()
    pack, data = packed(cast.auditor, request)
    stored = Path(default_storage.path(pack.file))
    stored.chmod(0o600)
    for change, code in ((lambda: stored.write_bytes(b"x"), "export_damaged"), (stored.unlink, "export_missing")):
        change()
        with pytest.raises(Refusal) as refusal:
            open_pack(by=cast.auditor, pack=pack)
        assert refusal.value.code == code
    stored.write_bytes(data)
    assert remove_old_packs() == 0
    EvidencePack.objects.update(written_at=timezone.now() - timedelta(days=settings.EXPORT_DAYS + 1))
    assert remove_old_packs() == 1
    assert not stored.exists()
    pack.refresh_from_db()
    with pytest.raises(Refusal) as refusal:
        open_pack(by=cast.auditor, pack=pack)
    assert (refusal.value.code, pack.state) == ("pack_removed", "removed")
