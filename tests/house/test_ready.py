"""Worlds that stand ready: a test sees one as if it had built it, and leaves nothing behind."""

from __future__ import annotations

import pytest
from django.db import connection

from accounts.models import Team
from approvals.models import ReviewRequest
from approvals.services import comment
from ledger.models import Checkpoint, Event
from tests import worlds
from tests.approvals import world


def elsewhere() -> bool:
    return str(connection.settings_dict["NAME"]).startswith("ready_")


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_finds_it_untouched_and_may_change_it(db, cast, seal, turn):
    request = world.an_approval(cast)
    assert elsewhere()
    assert (request.state, request.comments.count()) == ("approved", 0)
    before = Event.objects.count()
    comment(by=cast.validator, request=request, text="Well done.")
    assert Event.objects.count() == before + 1
    assert seal().size == Checkpoint.objects.latest("size").size == before + 1
    assert request.comments.count() == 1


def test_any_other_test_is_where_it_was(db):
    assert not elsewhere()
    assert not ReviewRequest.objects.exists()


def test_a_second_world_is_built_within_the_first(db, cast):
    first, second = world.a_request(cast), world.a_request(cast)
    assert elsewhere()
    assert first.pk != second.pk
    assert ReviewRequest.objects.count() == 2


def test_what_a_test_did_before_is_not_lost(db, cast, seal):
    Team.objects.create(name="Mine", slug="mine")
    worlds.a_version(cast)
    assert not elsewhere()
    assert Team.objects.filter(slug="mine").exists()


def test_nor_what_it_sealed(db, cast, seal):
    seal.copy()
    worlds.a_version(cast)
    assert not elsewhere()


def test_a_test_that_commits_builds_its_own(committing_db, cast):
    worlds.a_version(cast)
    assert connection.settings_dict["NAME"] == committing_db
