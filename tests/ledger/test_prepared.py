"""A prepared queryset gives what the queryset itself gives, for whatever values, without Django making SQL again."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from accounts.models import Grant, Team, User
from ledger.models import Event
from ledger.prepared import Prepared

pytestmark = pytest.mark.django_db


def test_rows_come_with_what_was_selected_beside_them(cast, django_assert_num_queries):
    ask = Prepared(lambda user: Grant.objects.filter(user=user).select_related("role", "team").order_by("pk"), int)
    for person in (cast.developer, cast.approver, cast.developer, cast.auditor):
        with django_assert_num_queries(1):
            found = [(grant.pk, grant.role.name, str(grant.team)) for grant in ask(person.pk)]
        usual = Grant.objects.filter(user=person).order_by("pk")
        assert found == [(grant.pk, grant.role.name, str(grant.team)) for grant in usual]
    assert ask(0) == []


def test_lists_may_be_of_any_length(cast):
    ask = Prepared(lambda pk, name: User.objects.filter(pk__in=[pk]).exclude(name=name).order_by("pk"), int, str)
    everybody = sorted(person.pk for person in cast.everybody().values())
    for some in (everybody, everybody[:1], [], everybody[3:7]):
        assert [user.pk for user in ask(some, "")] == some
    assert [user.pk for user in ask(everybody, cast.developer.name)] == [
        pk for pk in everybody if pk != cast.developer.pk
    ]


def test_values_and_annotations_and_what_looks_like_a_place(cast):
    Team.objects.create(name="100 %s", slug="percent")
    ask = Prepared(
        lambda slug, name: Team.objects.filter(slug__in=[slug]).exclude(name__contains="%d").exclude(name=name)
        .extra(select={"sure": "'100 %%'"}).values_list("name", "sure"),
        str, str,
    )  # fmt: skip
    assert ask(["percent"], "x") == [("100 %s", "100 %")]
    assert ask(["percent"], "100 %s") == []
    assert ask(["'; DROP TABLE accounts_team; --"], "x") == []


def test_a_literal_percent_sign_where_no_other_value_is_put_in(cast):
    Team.objects.create(name="100 %", slug="percent")
    ask = Prepared(lambda slug: Team.objects.filter(slug=slug).extra(where=["name LIKE '1%%0 %%'"]).only("pk"), str)
    assert [team.slug for team in ask("percent")] == ["percent"]
    assert ask("credit") == []


def test_a_value_that_the_queryset_does_not_use_is_a_mistake(cast):
    with pytest.raises(AssertionError):
        Prepared(lambda pk, other: User.objects.filter(pk=pk), int, int)(1, 2)


def test_keys_may_be_uuids(cast):
    ask = Prepared(lambda pk: Event.objects.filter(pk=pk), UUID)
    some = Event.objects.order_by("pk")[:3]
    assert [ask(event.pk) for event in some] == [[event] for event in some]
    assert ask(uuid4()) == []


def test_no_sql_is_made_at_the_second_asking(cast):
    made = []

    def make(pk):
        made.append(pk)
        return User.objects.filter(pk=pk)

    ask = Prepared(make, int)
    assert [ask(cast.developer.pk), ask(cast.approver.pk)] == [[cast.developer], [cast.approver]]
    assert len(made) == 1
