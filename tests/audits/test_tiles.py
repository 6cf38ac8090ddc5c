"""The log under `/log/`: whoever checks it needs these four addresses and nothing else of the portal."""

from __future__ import annotations

import pytest

from accounts.services import add_team
from ledger.actors import SystemActor
from ledger.merkle import decode_entries, leaf_hash, root, tile_path
from ledger.models import Event
from ledger.notes import open_checkpoint
from tests.sealing import log_key

CONSOLE = SystemActor("console", frozenset({"accounts.add_team"}))
OCTETS = "application/octet-stream"


@pytest.fixture
def size(cast, seal) -> int:
    add_team(by=CONSOLE, name="Tiles", slug="tiles")
    size: int = seal().size
    assert 1 < size < 256
    return size


def test_a_reader_rebuilds_the_signed_tree_from_what_is_served(api, cast, size, settings):
    client = api(cast.auditor)
    note = client.get("/log/checkpoint")
    assert note["Content-Type"] == "text/plain; charset=utf-8"
    keys = client.get("/log/keys").json()
    assert keys["origin"] == settings.LOG_ORIGIN
    vkeys = [key["vkey"] for key in keys["keys"] if key["role"] == "log"]
    assert vkeys == [log_key(settings.LOG_ORIGIN).vkey]
    checkpoint, _ = open_checkpoint(note.content, vkeys, settings.LOG_ORIGIN)
    assert checkpoint.size == size
    hashes, bundle = (client.get(f"/log/tile/{level}/000.p/{size}") for level in ("0", "entries"))
    assert (hashes["Content-Type"], bundle["Content-Type"]) == (OCTETS, OCTETS)
    assert "immutable" not in hashes["Cache-Control"]
    entries = decode_entries(bundle.content)
    assert b"".join(map(leaf_hash, entries)) == hashes.content
    assert root([leaf_hash(entry) for entry in entries]) == checkpoint.root
    assert entries == [bytes(row) for row in Event.objects.sealed().order_by("leaf").values_list("bytes", flat=True)]


def test_a_full_tile_may_be_kept_for_ever(api, cast, seal):
    for number in range(256):
        add_team(by=CONSOLE, name=f"Team {number}", slug=f"team-{number}")
    assert seal().size > 256
    client = api(cast.auditor)
    full = client.get(f"/log/{tile_path(0, 0)}")
    assert len(full.content) == 256 * 32
    assert full["Cache-Control"] == "private, max-age=31536000, immutable"
    assert client.get("/log/tile/0/000.p/7").content == full.content[: 7 * 32]
    assert client.get("/log/tile/1/000.p/1").status_code == 200


@pytest.mark.parametrize(
    "place",
    ["0/001", "0/000.p/0", "0/000.p/256", "0/0", "00/000", "64/000", "0/x000", "../pledge.json", "..%2f..%2fx",
     "%2e%2e/", "entries/000.p/999", "entries/../checkpoint", "0/000.p/1/", "-1/000", "0/000%00", "x" * 3000],
)  # fmt: skip
def test_what_is_no_tile_of_the_tree_is_not_found(api, cast, size, place):
    answer = api(cast.auditor).get(f"/log/tile/{place}")
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"


def test_anybody_signed_in_sees_how_large_it_is_and_only_auditors_what_is_in_it(api, signed_in, cast, size):
    tile = f"/log/tile/0/000.p/{size}"
    for person in (cast.developer, cast.outsider, cast.platform_admin, cast.ci_bot):
        client = api(person)
        assert client.get("/log/checkpoint").status_code == 200
        assert client.get("/log/keys").status_code == 200
        for address in (tile, tile.replace("/0/", "/entries/"), "/log/tile/0/999"):
            assert client.get(address).json()["code"] == "permission_denied"
    for address in ("/log/checkpoint", "/log/keys", tile):
        answer = api(None).get(address)
        assert (answer.status_code, answer["Content-Type"]) == (401, "application/problem+json")
        assert signed_in(cast.auditor).get(address).status_code == 200


def test_who_reads_the_log_of_one_team_gets_no_tiles(api, cast, size):
    from accounts.models import Role
    from accounts.services import grant_role

    role = Role.objects.get(slug="auditor")
    grant_role(by=cast.platform_admin, account=cast.outsider, role=role, team=cast.team, reason="looks on")
    assert api(cast.outsider).get("/api/v1/events/").status_code == 200
    assert api(cast.outsider).get(f"/log/tile/0/000.p/{size}").status_code == 403


def test_any_accept_header_will_do(api, cast, size):
    for accept in ("text/plain", OCTETS, "*/*", "image/png"):
        assert api(cast.auditor).get("/log/checkpoint", headers={"Accept": accept}).status_code == 200


def test_before_the_first_seal_there_is_no_checkpoint(api, cast, size, settings):
    settings.LOG_ORIGIN = "another.example.org/log"
    assert api(cast.auditor).get("/log/checkpoint").status_code == 404
