"""The governed door: an act, its event and nothing else; or a refusal, on record, and nothing changed."""

from __future__ import annotations

import contextvars
import threading
import uuid

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction

from accounts.models import Team, User
from accounts.services import add_team
from ledger.actors import ANONYMOUS, ORIGIN, Identity, Origin, SystemActor, current_origin
from ledger.door import ACTS, MECHANICAL, Done, governed
from ledger.events import MAX_BYTES, append
from ledger.models import Disclosure, Event, Pending
from ledger.refusals import Denied, Refusal

CONSOLE = SystemActor("console", frozenset({"accounts.add_team"}))
WRITER = SystemActor("writer", frozenset({"tests.write"}))


def last():
    return Event.objects.latest("id")


@pytest.fixture
def act():
    """Acts of this test's own; they leave the registry as they found it."""
    before = dict(ACTS)

    def make(body, **changes):
        given = {"permission": "tests.write", "event": "test.done", "on": None, **changes}
        return governed(**given)(body)

    yield make
    ACTS.clear()
    ACTS.update(before)


@pytest.mark.django_db
class TestOneAct:
    def test_an_act_and_its_event_commit_together(self, cast):
        before = Event.objects.count()
        team = add_team(by=CONSOLE, name="Fraud", slug="fraud")
        event = last()
        assert Event.objects.count() == before + 1
        assert event.content["event"] == "team.added"
        assert event.content["object"] == {"type": "accounts.team", "id": str(team.pk)}
        assert event.content["v"] == 1
        assert Pending.objects.filter(event=event).exists()

    def test_the_columns_say_what_the_bytes_say(self, cast):
        token = ORIGIN.set(Origin("api", "request-12345678", "192.0.2.7"))
        try:
            add_team(by=CONSOLE, name="Fraud", slug="fraud")
        finally:
            ORIGIN.reset(token)
        event = last()
        content = event.content
        assert content == {
            "v": 1, "id": str(event.pk), "time": content["time"], "event": event.event, "outcome": event.outcome,
            "actor": {"kind": event.actor_kind, "id": event.actor_id},
            "origin": {"channel": "api", "request": "request-12345678"},
            "object": {"type": event.object_type, "id": event.object_id}, "team": str(event.team_id),
            "facts": {"slug": "fraud"}, "disclosures": content["disclosures"],
        }  # fmt: skip
        assert content["time"] == event.time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        assert event.disclosures.get().value == "192.0.2.7"
        assert b"192.0.2.7" not in bytes(event.bytes)

    def test_names_are_only_ever_disclosed(self, cast, act):
        act(
            lambda *, by: Done(None, discloses={"reason": "Vera is ill", "empty": ""}), permission="registry.view_model"
        )(by=cast.risk_officer)
        event = last()
        raw = bytes(event.bytes).decode()
        told = {row.label: row for row in event.disclosures.all()}
        assert {label: row.value for label, row in told.items()} == {
            "actor_name": "Rosa Klein", "actor_email": "risk-officer@example.org", "reason": "Vera is ill",
        }  # fmt: skip
        assert not any(row.value in raw for row in told.values())
        assert event.content["disclosures"] == {label: row.digest for label, row in told.items()}
        assert len({bytes(row.salt) for row in told.values()}) == 3
        assert all(len(bytes(row.salt)) == 16 for row in told.values())

    def test_a_delegate_is_named_beside_the_person(self, cast):
        by = SystemActor("job")
        object.__setattr__(by, "on_behalf_of", Identity("person", "somebody"))
        with transaction.atomic():
            event = append("test.done", by=by, on=None, team=None, facts={})
        assert event.content["on_behalf_of"] == {"kind": "person", "id": "somebody"}

    def test_an_act_may_not_speak_in_the_logs_own_labels(self, cast, act):
        with pytest.raises(ValueError, match="actor_name"):
            act(lambda *, by: Done(None, discloses={"actor_name": "x"}), permission="registry.view_model")(
                by=cast.risk_officer
            )

    def test_a_discreet_act_names_neither_its_object_nor_its_team(self, cast, act):
        def body(*, by, team, error=None, on=None):
            if error:
                raise error
            return Done(None, on=on)

        quiet, apart = act(body, on="team", discreet=True), Team(pk=7)
        apart.discreet = True  # what is for certain people only is named itself, but in no team's log
        quiet(by=WRITER, team=cast.team)
        assert (last().content["object"], last().team_id) == (None, None)
        with pytest.raises(Refusal):
            quiet(by=WRITER, team=cast.team, error=Refusal("not_today", "Come back tomorrow."))
        assert (last().outcome, last().content["object"], last().team_id) == ("refused", None, None)
        quiet(by=WRITER, team=cast.team, on=apart)
        assert (last().object_id, last().content["team"]) == ("7", None)
        quiet(by=WRITER, team=cast.team, on=cast.other_team)
        assert last().team_id == cast.other_team.pk

    def test_without_an_origin_an_act_comes_from_a_job(self):
        assert contextvars.Context().run(current_origin).channel == "job"
        assert uuid.UUID(contextvars.Context().run(current_origin).request_id)


@pytest.mark.django_db
class TestRefusals:
    def test_a_denied_act_leaves_only_its_refusal(self, cast):
        before = Event.objects.count()
        with pytest.raises(Denied) as denied:
            add_team(by=cast.developer, name="Fraud", slug="fraud")
        assert "accounts.add_team" in denied.value.sentence
        event = last()
        assert Event.objects.count() == before + 1
        assert (event.event, event.outcome) == ("team.added.refused", "refused")
        assert event.content["facts"] == {"code": "permission_denied", "permission": "accounts.add_team"}
        assert not Team.objects.filter(slug="fraud").exists()

    @pytest.mark.parametrize(
        ("error", "code"),
        [(Refusal("not_today", "Come back tomorrow."), "not_today"), (PermissionDenied(), "permission_denied")],
    )
    def test_what_an_act_did_before_it_was_refused_is_undone(self, cast, act, error, code):
        def half(*, by):
            Team.objects.create(name="Half", slug="half")
            raise error

        with pytest.raises(type(error)):
            act(half)(by=WRITER)
        assert not Team.objects.filter(slug="half").exists()
        assert last().content["facts"]["code"] == code

    def test_an_error_leaves_nothing_at_all(self, cast, act):
        def broken(*, by):
            Team.objects.create(name="Half", slug="half")
            raise RuntimeError("broken")

        before = Event.objects.count()
        with pytest.raises(RuntimeError):
            act(broken)(by=WRITER)
        assert Event.objects.count() == before
        assert not Team.objects.filter(slug="half").exists()

    def test_a_fact_that_json_cannot_hold_undoes_the_act(self, cast, act):
        def odd(*, by):
            return Done(Team.objects.create(name="Half", slug="half"), facts={"ratio": float("nan")})

        with pytest.raises(ValueError, match="not canonical JSON"):
            act(odd)(by=WRITER)
        assert not Team.objects.filter(slug="half").exists()

    def test_an_event_has_a_largest_size_and_over_it_nothing_happens(self, cast, act):
        def long(*, by, size):
            return Done(Team.objects.create(name="Half", slug="half"), facts={"text": "x" * size})

        with pytest.raises(Refusal) as refusal:
            act(long)(by=WRITER, size=MAX_BYTES)
        assert refusal.value.code == "event_too_large"
        assert last().content["facts"]["code"] == "event_too_large"
        assert not Team.objects.filter(slug="half").exists()
        overhead = len(bytes(last().bytes))
        act(long)(by=WRITER, size=MAX_BYTES - overhead - 100)
        assert len(bytes(last().bytes)) <= MAX_BYTES

    def test_what_is_gone_is_refused(self, cast, act):
        ghost = Team(pk=10**9, name="Short", slug="short")
        with pytest.raises(Refusal) as refusal:
            act(lambda *, by, team: Done(None), on="team")(by=WRITER, team=ghost)
        assert refusal.value.code == "gone"

    def test_nobody_may_nothing(self):
        assert not ANONYMOUS.has_perm("registry.view_model")
        assert ANONYMOUS.has_perm("accounts.sign_in")


@pytest.mark.django_db
class TestTheObject:
    def test_the_act_gets_the_row_as_it_is_now(self, cast, act):
        stale = Team.objects.get(pk=cast.team.pk)
        Team.objects.filter(pk=stale.pk).update(name="Renamed")
        assert act(lambda *, by, team: Done(team.name), on="team")(by=WRITER, team=stale) == "Renamed"

    def test_a_lazy_stand_in_for_the_user_is_as_good(self, cast, act, rf):
        from django.utils.functional import SimpleLazyObject

        lazy = SimpleLazyObject(lambda: User.objects.get(pk=cast.developer.pk))
        assert act(lambda *, by, account: Done(type(account)), on="account")(by=WRITER, account=lazy) is User

    def test_the_permission_is_asked_for_the_object(self, cast, act):
        open_door = act(lambda *, by, team: Done(True), on="team", permission="registry.register_model")
        assert open_door(by=cast.developer, team=cast.team)
        with pytest.raises(Denied):
            open_door(by=cast.developer, team=cast.other_team)
        assert last().team_id == cast.other_team.pk

    def test_an_object_that_is_none_needs_the_permission_everywhere(self, cast, act):
        open_door = act(lambda *, by, team: Done(True), on="team", permission="registry.register_model")
        with pytest.raises(Denied):
            open_door(by=cast.developer, team=None)


def test_an_act_within_an_act_is_impossible(committing_db, act):
    inner = act(lambda *, by: Done(None))

    def outer(*, by):
        Team.objects.create(name="Half", slug="half")
        return Done(inner(by=by))

    with pytest.raises(RuntimeError, match="durable"):
        act(outer)(by=WRITER)
    assert not Team.objects.filter(slug="half").exists()
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        add_team(by=CONSOLE, name="Half", slug="half")


def test_two_at_once_on_one_object_come_one_after_the_other(committing_db, cast, act):
    """Each act adds one to what it reads; without the lock some additions would be lost."""
    team, start = cast.team, threading.Barrier(6)
    Team.objects.filter(pk=team.pk).update(name="0")

    def count(*, by, team):
        team.name = str(int(team.name) + 1)
        team.save()
        return Done(None, facts={"count": team.name})

    door, errors = act(count, on="team"), []

    def work():
        start.wait()
        try:
            for _ in range(5):
                door(by=WRITER, team=team)
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert Team.objects.get(pk=team.pk).name == "30"
    events = Event.objects.filter(event="test.done")
    assert sorted(int(event.content["facts"]["count"]) for event in events) == list(range(1, 31))
    assert Pending.objects.filter(event__in=events).count() == 30


def test_writers_to_different_objects_do_not_wait_for_each_other(committing_db, cast, act):
    entered, leave = threading.Event(), threading.Event()

    def slow(*, by, team):
        entered.set()
        assert leave.wait(10)
        return Done(None)

    holder = act(slow, on="team", event="test.slow")

    def work():
        try:
            holder(by=WRITER, team=cast.team)
        finally:
            connection.close()

    assert cast.team
    thread = threading.Thread(target=work)
    thread.start()
    assert entered.wait(10)
    add_team(by=CONSOLE, name="Meanwhile", slug="meanwhile")
    assert Event.objects.filter(event="team.added", team_id=Team.objects.get(slug="meanwhile").pk).exists()
    assert not Event.objects.filter(event="test.slow").exists()
    leave.set()
    thread.join()
    assert Event.objects.filter(event="test.slow").exists()


@pytest.mark.django_db
def test_no_secret_is_ever_in_the_log(cast, client, signed_in):
    """After signing in, failing to, changing the password and making tokens, the log holds none of the secrets."""
    import re

    from accounts.services import invite, issue_service_token

    new, wrong = "a much better phrase", "a wrong guess of it"
    client.post("/sign-in/", {"email": cast.developer.email, "password": wrong})
    client.post("/sign-in/", {"email": cast.developer.email, "password": cast.password})
    client.post("/account/password/", {"old_password": cast.password, "new_password": new, "again": new})
    made = client.post("/account/tokens/new/", {"name": "ci", "days": "7", "scopes": ["registry.view_model"]})
    own = re.search(r"cst_[0-9a-f]{8}_([\w-]{43})", made.content.decode())[1]
    _, text = issue_service_token(
        by=cast.platform_admin, account=cast.ci_bot, name="x", scopes=["registry.view_model"], days=1
    )
    newcomer = User.objects.create(name="Nina", email="nina@example.org")
    newcomer.set_unusable_password()
    newcomer.save()
    link = invite(by=cast.platform_admin, account=newcomer)
    cookie = client.cookies["countersign_session"].value
    stored = [bytes(event.bytes).decode() for event in Event.objects.all()]
    stored += [row.value for row in Disclosure.objects.all()]
    for secret in (cast.password, new, wrong, own, text.split("_", 2)[2], link.partition("-")[2], cookie):
        assert secret
        assert not [line for line in stored if secret in line]
    hashes = User.objects.get(pk=cast.developer.pk).password
    assert not [line for line in stored if hashes in line]


def test_acts_and_machinery_are_two_things():
    assert not set(ACTS) & set(MECHANICAL)
