"""What a reader sees of an entry that the owner of the database has altered after it was sealed."""

from __future__ import annotations

import pytest

from accounts.services import add_team
from ledger.actors import SystemActor
from ledger.models import Event

CONSOLE = SystemActor("console", frozenset({"accounts.add_team"}))


@pytest.mark.parametrize(
    ("table", "change", "sentence"),
    [
        ("ledger_event", "SET bytes = convert_to(replace(convert_from(bytes, 'UTF8'), 'fraud', 'later'), 'UTF8')",
         "are not those that were sealed"),
        ("ledger_leaf", "SET hash = sha256('x')", "does not lead to the checkpoint"),
    ],
)  # fmt: skip
def test_an_entry_that_the_owner_altered_says_so(
    committing_db, owner_cursor, cast, seal, api, signed_in, table, change, sentence
):
    add_team(by=CONSOLE, name="Fraud", slug="fraud")
    seal()
    event = Event.objects.filter(event="team.added").latest("id")
    owner_cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
    column = "id" if table == "ledger_event" else "event_id"
    owner_cursor.execute(f"UPDATE {table} {change} WHERE {column} = %s", [str(event.pk)])
    shown = signed_in(cast.auditor).get(f"/audit/{event.pk}/").content.decode()
    assert sentence in shown
    assert "Check it yourself" not in shown
    assert api(cast.auditor).get(f"/api/v1/events/{event.pk}/proof/").json()["state"] == "altered"
