"""What the audits floor does: it reads, and taking the log out is an act."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from typing import IO

from accounts.models import Team
from audits.export import Written, write
from ledger.actors import Actor
from ledger.door import Done, governed
from ledger.models import EventQuerySet
from ledger.refusals import Refusal

KINDS = {"jsonl": "application/jsonl", "csv": "text/csv; charset=utf-8"}
PERSONAL = ("actor", "text")


@governed(permission="audits.export_log", event="log.exported", on="team", lock=False)
def export_log(
    *, by: Actor, team: Team | None, events: EventQuerySet, filters: Mapping[str, str], kind: str
) -> Done[tuple[IO[bytes], Written]]:
    """A temporary file with these events, oldest first, at its start, and what is in it. The caller closes it.

    `team` is the team whose log this is, None for the whole house. The file is complete before the event that names
    its digest is written, and nobody gets it before that has committed. Raises Refusal `unknown_format`, `disk_full`.
    """
    if kind not in KINDS:
        raise Refusal("unknown_format", "The log can be exported as jsonl or csv.", "type")
    if team is not None:
        events = events.filter(team_id=team.pk)
    rows = events.order_by("pk").prefetch_related("disclosures").iterator(chunk_size=1000)
    target = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        written = write(target, kind, rows)
    except OSError as error:
        with suppress(OSError):  # closing tries once more to write what did not fit
            target.close()
        sentence = "There is no room for the file. Ask for a shorter time, or tell whoever runs the portal."
        raise Refusal("disk_full", sentence) from error
    except BaseException:
        target.close()
        raise
    target.seek(0)
    facts = {
        "format": kind, "sha256": written.digest, "size": written.size, "count": written.count,
        "first": written.first, "last": written.last,
        "filter": {name: value for name, value in filters.items() if name not in PERSONAL},
    }  # fmt: skip
    personal = {f"filter_{name}": value for name, value in filters.items() if name in PERSONAL}
    return Done((target, written), facts=facts, discloses=personal)
