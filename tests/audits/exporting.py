"""Exports asked for and written here and now, by the worker's own task."""

from __future__ import annotations

from typing import Any

from accounts.models import Role
from accounts.services import grant_role
from audits.exports.selection import Selection
from audits.models import Export
from audits.services import open_export, request_export
from audits.tasks import write_export
from ledger.actors import SystemActor

CONSOLE = SystemActor("console", frozenset({"accounts.add_team", "accounts.grant_role", "accounts.add_account"}))


def wanted(by: Any, kind: str, selection: Selection | None = None, team: Any = None) -> Export:
    return request_export(by=by, account=by, team=team, kind=kind, selection=selection or Selection())


def written(export: Export) -> Export:
    """The export once the task has run, whichever way that ended."""
    write_export(export.job_id)
    return Export.objects.with_parts().get(pk=export.pk)


def exported(by: Any, kind: str, selection: Selection | None = None, team: Any = None) -> tuple[Export, bytes]:
    """A finished export and its bytes."""
    export = written(wanted(by, kind, selection, team))
    assert export.job.state == "succeeded", export.job.error_sentence
    with open_export(by=by, export=export) as file:
        return export, file.read()


def a_team_auditor(cast: Any) -> Any:
    """Somebody who may read and take out the log of one team."""
    role = Role.objects.get(slug="auditor")
    grant_role(by=CONSOLE, account=cast.outsider, role=role, team=cast.other_team, reason="audit")
    return cast.outsider
