"""Owners hear in time what they have not attested this year."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Grant
from approvals.notices.digest import send_digests
from approvals.notices.watching import watch
from ledger.canonical import digest_of
from registry.attesting.owing import duty
from registry.attesting.services import attest, this_year
from tests import worlds
from tests.notifications.world import choose, text_for, told

pytestmark = pytest.mark.django_db


def before_the_end(days: float) -> datetime:
    return datetime(this_year() + 1, 1, 1, tzinfo=UTC) - timedelta(days=days)


def attested(person, model):
    attest(by=person, model=model, digest=digest_of(model.as_record()))


def test_owners_are_told_thirty_days_seven_days_and_one_day_before_the_year_ends(cast):
    limits, scores = worlds.a_model(cast, "Limits"), worlds.a_model(cast, "Scores")
    theirs, done = (worlds.a_model(cast, name, by=cast.model_owner) for name in ("Prices", "Fraud"))
    attested(cast.model_owner, done)
    year, seen = this_year(), []
    for days in (40, 30.1, 29, 20, 7, 6, 1, 0.5):
        watch(before_the_end(days))
        seen.append(len(told("attestation_due").get("developer", ())))
    assert seen == [0, 0, 1, 1, 2, 2, 3, 3]
    assert told("attestation_due")["developer"] == [
        f"30 days left or fewer to attest 2 models for {year}", f"7 days left or fewer to attest 2 models for {year}",
        f"One day left or fewer to attest 2 models for {year}",
    ]  # fmt: skip
    text = text_for(cast.developer, "attestation_due")
    assert all(f"{one.name}: " in text and f"/models/{one.pk}/attest/" in text for one in (limits, scores))
    assert told("attestation_due")["model-owner"][0] == f"30 days left or fewer to attest {theirs.name} for {year}"
    assert done.name not in text_for(cast.model_owner, "attestation_due")


def test_whoever_attested_cannot_see_the_model_or_wants_none_of_it_is_not_told(cast):
    attested(cast.developer, worlds.a_model(cast, "Limits"))
    worlds.a_model(cast, "Prices", by=cast.model_owner)
    Grant.objects.filter(user=cast.model_owner).update(revoked_at=before_the_end(300))
    worlds.a_model(cast, "Scores", by=cast.second_developer)
    choose(cast.second_developer, attestation_due="off")
    watch(before_the_end(3))
    assert told("attestation_due") == {}


def test_it_waits_in_the_inbox_and_the_digest_towards_the_end_of_the_year_only(cast, signed_in):
    worlds.a_model(cast, "Limits")
    year = this_year()
    assert duty(cast.developer, before_the_end(61)) == duty(cast.auditor, before_the_end(59)) == []
    (found,) = duty(cast.developer, before_the_end(59))
    assert found.text == f"1 model of yours to attest for {year} by 31 December."
    assert "Limits" in signed_in(cast.developer).get(found.url).content.decode()
    send_digests(before_the_end(61))
    assert "developer" not in told("digest")
    send_digests(before_the_end(59))
    assert f"WAITS FOR YOU\n\n- {found.text}\n" in text_for(cast.developer, "digest")


def test_many_models_cost_as_many_queries_as_one(cast):
    def looked(days):
        with CaptureQueriesContext(connection) as queries:
            watch(before_the_end(days))
        return len(queries)

    worlds.a_model(cast, "Limits")
    alone = looked(30)
    worlds.a_model(cast, "Scores")
    worlds.a_model(cast, "Fraud")
    assert looked(6) == alone
