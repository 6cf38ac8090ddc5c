"""Asking for exports and taking them away: pages, API, who may, what is refused, and what is left behind."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import resource
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from accounts.services import revoke_grant
from audits.exports import keeping
from audits.exports.selection import Selection
from audits.models import Export
from audits.services import open_export, remove_old_files
from audits.tasks import remove_old_exports
from jobs.models import Job
from jobs.services import cancel
from ledger.actors import SystemActor
from ledger.models import Event
from ledger.refusals import Denied, Refusal
from tests.audits.exporting import a_team_auditor, exported, wanted, written
from tests.jobs.workers import Workers, wait_for

GRANTED = Selection(filters={"event": "role.granted"})


def newest() -> Event:
    return Event.objects.latest("id")


def post(client, **body):
    return client.post("/api/v1/exports/", json.dumps(body), content_type="application/json")


def files() -> set[str]:
    try:
        return set(default_storage.listdir(keeping.FOLDER)[1])
    except FileNotFoundError:
        return set()


class TestTheApi:
    def test_it_asks_looks_and_downloads(self, committing_db, cast, seal, api):
        seal()
        client = api(cast.auditor)
        asked = post(client, format="jsonl", filter={"event": "role.granted", "text": "", "outcome": "done"})
        assert asked.status_code == 202
        where = asked["Location"]
        body = client.get(where).json()
        assert (body["state"], body["content_url"], body["tree"]) == ("queued", None, None)
        assert body["filter"] == {"filters": {"event": "role.granted", "outcome": "done"}}
        early = client.get(f"{where}content/")
        assert (early.status_code, early.json()["code"]) == (409, "export_not_ready")
        export = written(Export.objects.get(pk=body["id"]))
        body = client.get(where).json()
        assert (body["state"], body["progress"], body["count"]) == ("succeeded", 100, export.count)
        assert (body["tree"]["size"], body["error"]) == (export.tree_size, None)
        answer = client.get(body["content_url"])
        content = b"".join(answer.streaming_content)
        assert "sha256:" + hashlib.sha256(content).hexdigest() == body["digest"]
        assert answer["Content-Type"] == "application/jsonl"
        assert answer["Content-Length"] == str(len(content)) == str(body["size"])
        assert answer["Repr-Digest"].startswith("sha-256=:")
        assert answer["Content-Disposition"].startswith(f'attachment; filename="audit-log-{export.pk}-')
        assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert [one["id"] for one in client.get("/api/v1/exports/").json()["results"]] == [export.pk]

    @pytest.mark.parametrize(
        ("body", "field", "code"),
        [
            ({"format": "xls"}, "format", "invalid_choice"),
            ({}, "format", "required"),
            ({"format": "csv", "filter": {"colour": "red"}}, "filter", "unknown_filter"),
            ({"format": "csv", "filter": {"since": "yesterday"}}, "filter.since", "invalid"),
            ({"format": "csv", "filter": {"outcome": "perhaps"}}, "filter.outcome", "invalid"),
            ({"format": "bundle", "filter": {"outcome": "done"}}, "filter", "bundle_is_whole"),
        ],
    )
    @pytest.mark.django_db
    def test_what_cannot_be_exported_is_refused_by_field(self, cast, api, body, field, code):
        answer = post(api(cast.auditor), **body)
        assert answer.status_code == 422
        problem = answer.json()
        found = {(error["field"], error["code"]) for error in problem.get("errors", [])}
        assert field in {name for name, _ in found}
        assert code in {problem["code"], *(one for _, one in found)}
        assert not Export.objects.exists()
        assert not Job.objects.exists()

    @pytest.mark.django_db
    def test_who_may_not_export_is_refused_and_recorded(self, cast, api):
        assert post(api(cast.risk_officer), format="csv").status_code == 403
        assert (newest().event, newest().outcome) == ("export.requested.refused", "refused")
        assert not Export.objects.exists()

    def test_a_team_auditor_takes_out_that_teams_log_and_sees_no_other(self, committing_db, cast, seal, api):
        house, _ = exported(cast.auditor, "csv")
        auditor = a_team_auditor(cast)
        client = api(auditor)
        answer = post(client, format="jsonl")
        assert answer.status_code == 202
        assert Export.objects.get(pk=answer.json()["id"]).team == cast.other_team
        assert post(client, format="jsonl", filter={"team": str(cast.team.pk)}).status_code == 422
        assert post(client, format="bundle").status_code == 403
        assert client.get(f"/api/v1/exports/{house.pk}/").status_code == 404
        assert client.get(f"/api/v1/exports/{house.pk}/content/").status_code == 404
        assert len(client.get("/api/v1/exports/").json()["results"]) == 1


@pytest.mark.django_db
class TestThePages:
    def test_the_logs_filters_become_an_export(self, signed_in, cast):
        browser = signed_in(cast.auditor)
        assert 'value="role.granted"' in browser.get("/audit/export/?event=role.granted").content.decode()
        answer = browser.post("/audit/export/", {"event": "role.granted", "kind": "csv"})
        export = Export.objects.get()
        assert answer["Location"] == export.get_absolute_url()
        assert (export.kind, export.selection, export.team) == ("csv", GRANTED, None)
        page = browser.get(answer["Location"]).content.decode()
        assert 'hx-trigger="every 1s"' in page
        assert "It waits for a free worker" in page
        assert "every 1s" in browser.get(f"{answer['Location']}live/").content.decode()

    @pytest.mark.parametrize(
        ("form", "said"),
        [
            ({"kind": "xls"}, "Select a valid choice"),
            ({"kind": "csv", "since": "x"}, "Enter a valid date"),
            ({"kind": "bundle", "event": "role"}, "Leave the filters away"),
        ],
    )
    def test_what_cannot_be_is_said_beside_what_was_typed(self, signed_in, cast, form, said):
        answer = signed_in(cast.auditor).post("/audit/export/", form)
        assert answer.status_code == 422
        assert said in answer.content.decode()
        assert not Export.objects.exists()

    def test_who_may_not_sees_no_form(self, signed_in, cast):
        for address in ("/audit/export/", "/exports/", "/audit/evidence/"):
            assert signed_in(cast.risk_officer).get(address).status_code == 403
        export = wanted(cast.auditor, "csv")
        for address in ("", "live/", "content/"):
            assert signed_in(cast.risk_officer).get(f"/exports/{export.pk}/{address}").status_code == 404

    def test_the_list_goes_on_where_the_page_ends(self, signed_in, cast):
        for _ in range(51):
            wanted(cast.auditor, "csv")
        browser = signed_in(cast.auditor)
        page = browser.get("/exports/").content.decode()
        oldest = Export.objects.earliest("id").pk
        assert page.count("data-row") == 50
        assert f"before={oldest + 1}" in page
        assert browser.get(f"/exports/?before={oldest + 1}").content.decode().count("data-row") == 1

    def test_each_state_is_said_in_words(self, signed_in, cast):
        browser, export = signed_in(cast.auditor), wanted(cast.auditor, "bundle")
        said = {
            "running": "Export",
            "succeeded": "The file is ready",
            "failed": "There is no room",
            "cancelled": "It was stopped before there was a file",
        }
        for state, words in said.items():
            Job.objects.filter(pk=export.job_id).update(
                state=state, error_code="disk_full", error_sentence="There is no room for the file.", progress=50
            )
            assert words in browser.get(export.get_absolute_url()).content.decode()
        Export.objects.filter(pk=export.pk).update(removed_at=timezone.now())
        page = browser.get(export.get_absolute_url()).content.decode()
        assert "Ask for it again" in page


def test_a_finished_one_says_how_to_check_it(committing_db, cast, seal, signed_in):
    seal()
    browser = signed_in(cast.auditor)
    table, _ = exported(cast.auditor, "csv", GRANTED)
    page = browser.get(table.get_absolute_url()).content.decode()
    assert f"sha256sum {table.filename}" in page
    assert table.digest in page
    assert f'href="/audit/{table.first}/"' in page
    bundle, _ = exported(cast.auditor, "bundle")
    page = browser.get(bundle.get_absolute_url()).content.decode()
    assert f"python3 verify.py {bundle.filename}" in page
    assert f'href="/exports/{bundle.pk}/content/"' in page
    answer = browser.get(f"/exports/{bundle.pk}/content/")
    assert answer["Content-Type"] == "application/zip"
    b"".join(answer.streaming_content)
    assert newest().event == "export.downloaded"


class TestTheWork:
    def test_no_room_for_the_file_is_a_sentence_and_leaves_nothing(self, committing_db, cast, seal):
        """The largest file that this process may write is set to a few bytes, as a full disk would."""
        export, before = wanted(cast.auditor, "jsonl"), files()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
        try:
            export = written(export)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert (export.job.state, export.job.error_code) == ("failed", "disk_full")
        assert "There is no room for the file" in export.job.error_sentence
        assert (files(), export.file, export.digest) == (before, "", "")
        assert not Event.objects.filter(event="log.exported").exists()

    def test_another_fault_of_the_disk_is_not_called_full(self):
        with pytest.raises(OSError, match="broken"), keeping.aside():
            raise OSError(errno.EIO, "broken")

    def test_what_a_killed_process_left_goes_after_a_day_or_with_the_next_attempt(self):
        aside = keeping.place_aside()
        aside.mkdir(parents=True, exist_ok=True)
        left = {name: aside / name for name in ("export-old", "export-new", "batch-7-new", "batch-71-new")}
        for folder in left.values():
            folder.mkdir()
            (folder / "part").write_bytes(b"half of")
        os.utime(left["export-old"], (0, 0))
        with keeping.aside("batch-7") as folder:
            assert folder.name.startswith("batch-7-")
        assert [name for name, path in left.items() if path.exists()] == ["export-new", "batch-71-new"]
        for name in ("export-new", "batch-71-new"):
            os.utime(left[name], (0, 0))
        keeping.remove_abandoned()
        assert not any(path.exists() for path in left.values())

    def test_who_lost_the_right_meanwhile_gets_nothing(self, committing_db, cast, seal):
        export = wanted(cast.auditor, "csv")
        console = SystemActor("console", frozenset({"accounts.grant_role"}))
        revoke_grant(by=console, grant=cast.auditor.grants.get(), reason="left")
        export = written(export)
        assert (export.job.state, export.job.error_code, export.file) == ("failed", "permission_denied", "")
        with pytest.raises(Denied):
            open_export(by=cast.auditor, export=export)

    def test_a_cancelled_one_writes_nothing(self, committing_db, cast, seal):
        export, before = wanted(cast.auditor, "csv"), files()
        cancel(by=cast.risk_officer, job=export.job, reason="not needed")
        assert (written(export).job.state, files()) == ("cancelled", before)

    def test_on_another_kind_of_storage(self, committing_db, cast, seal, settings):
        settings.STORAGES = {
            **settings.STORAGES, "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"}
        }  # fmt: skip
        export, body = exported(cast.auditor, "csv", GRANTED)
        assert (len(body), keeping.strays(set())) == (export.size, [])

    @pytest.mark.long  # tests/fairness/test_report_jobs.py kills one in mid report
    def test_a_real_worker_writes_one_file_though_it_is_killed(
        self, committing_db, cast, seal, valkey, process_environment, settings
    ):
        seal()
        workers = Workers({**process_environment, "ARTIFACT_ROOT": settings.ARTIFACT_ROOT}, valkey, stale=2)
        try:
            first = workers.start()
            export = wanted(cast.auditor, "bundle")
            wait_for(lambda: Job.objects.get(pk=export.job_id).attempt, each=workers.tick)
            first.kill()
            workers.start()
            wait_for(lambda: Job.objects.filter(pk=export.job_id, state="succeeded").exists(), each=workers.tick)
        finally:
            workers.close()
        export.refresh_from_db()
        with open_export(by=cast.auditor, export=export) as file:
            assert "sha256:" + hashlib.sha256(file.read()).hexdigest() == export.digest
        assert Event.objects.filter(event="log.exported").count() == 1


class TestTheFile:
    def damaged(self, export: Export, change) -> str:
        path = Path(default_storage.path(export.file))
        path.chmod(0o600)
        change(path)
        with pytest.raises(Refusal) as refusal:
            open_export(by=export.asked_by, export=export)
        return refusal.value.code

    def test_one_that_is_not_the_one_that_was_written_is_not_given_out(self, committing_db, cast, seal):
        export, _ = exported(cast.auditor, "csv")
        assert self.damaged(export, lambda path: path.write_bytes(b"x")) == "export_damaged"
        assert self.damaged(export, Path.unlink) == "export_missing"

    def test_it_goes_when_its_time_is_over_and_the_export_stays(self, committing_db, cast, seal, signed_in, settings):
        export, _ = exported(cast.auditor, "csv")
        kept, _ = exported(cast.auditor, "csv")
        old = timezone.now() - timedelta(days=settings.EXPORT_DAYS + 1)
        Export.objects.filter(pk=export.pk).update(written_at=old)
        assert remove_old_exports() == 1
        assert remove_old_files() == 0
        assert not default_storage.exists(export.file)
        assert default_storage.exists(kept.file)
        export = Export.objects.with_parts().get(pk=export.pk)
        assert (export.state, export.file) == ("removed", "")
        with pytest.raises(Refusal) as refusal:
            open_export(by=cast.auditor, export=export)
        assert refusal.value.code == "export_removed"
        assert newest().content["facts"]["code"] == "export_removed"
        assert signed_in(cast.auditor).get(f"/exports/{export.pk}/content/").status_code == 409

    def test_what_an_ended_worker_has_left_goes_after_a_day(self, committing_db, cast, seal):
        kept, _ = exported(cast.auditor, "csv")
        stray = Path(default_storage.path(kept.file)).with_name("999-1")
        stray.write_bytes(b"half")
        remove_old_files()
        assert stray.exists()
        two_days_ago = time.time() - 2 * 86400
        os.utime(stray, (two_days_ago, two_days_ago))
        os.utime(default_storage.path(kept.file), (two_days_ago, two_days_ago))
        remove_old_files()
        assert not stray.exists()
        assert default_storage.exists(kept.file)
        keeping.remove(kept.file)  # another test's database does not know it
