import pytest

from accounts.services import add_team
from ledger.models import Event
from ledger.refusals import Denied

pytestmark = pytest.mark.django_db


def test_an_act_and_its_event_commit_together(cast):
    from ledger.actors import SystemActor

    before = Event.objects.count()
    team = add_team(by=SystemActor("console", frozenset({"accounts.add_team"})), name="Fraud", slug="fraud")
    event = Event.objects.order_by("-id").first()
    assert Event.objects.count() == before + 1
    assert event.content["event"] == "team.added"
    assert event.content["object"] == {"type": "accounts.team", "id": str(team.pk)}
    assert event.content["v"] == 1


def test_a_denied_act_leaves_only_its_refusal(cast):
    with pytest.raises(Denied):
        add_team(by=cast.developer, name="Fraud", slug="fraud")
    event = Event.objects.order_by("-id").first()
    assert (event.event, event.outcome) == ("team.added.refused", "refused")
    assert event.content["facts"]["code"] == "permission_denied"
