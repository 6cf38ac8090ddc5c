"""What two people do at the same moment on a real, committed database."""

import threading

import pytest
from django.db import connection

from ledger.refusals import Refusal
from registry.models import Model, Version
from registry.services import register_model
from tests.worlds import FEATURES, RULE, a_model, a_version, an_upload, onnx_bytes


def at_once(acts):
    """Run the acts in threads that start together; what each gave or was refused with."""
    start, told = threading.Barrier(len(acts)), [None] * len(acts)

    def run(place, act):
        try:
            start.wait()
            told[place] = act()
        except Refusal as refusal:
            told[place] = refusal.code
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


@pytest.mark.usefixtures("committing_db")
def test_versions_registered_at_once_get_numbers_of_their_own(cast):
    model = a_model(cast)
    acts = [lambda weight=weight: a_version(cast, model, weight=weight).number for weight in (1.0, 2.0, 3.0)]
    assert sorted(at_once(acts)) == [1, 2, 3]


@pytest.mark.usefixtures("committing_db")
def test_a_form_sent_twice_at_once_registers_one_version(cast):
    from registry.services import register_version

    model, upload = a_model(cast), an_upload(cast, onnx_bytes(), "m.onnx")
    given = {"features": list(FEATURES), "decision_rule": RULE, "contributors": [cast.developer]}

    def act():
        return register_version(by=cast.developer, model=model, upload=upload, **given).number

    assert sorted(at_once([act, act]), key=str) == [1, "version_exists"]
    assert Version.objects.count() == 1


@pytest.mark.usefixtures("committing_db")
def test_a_model_name_is_taken_by_one_of_two(cast):
    def act():
        return register_model(by=cast.developer, team=cast.team, name="Home loans", purpose="x").slug

    assert sorted(at_once([act, act])) == ["home-loans", "model_exists"]
    assert Model.objects.count() == 1


@pytest.mark.usefixtures("committing_db")
def test_the_same_file_uploaded_at_once_is_one_artifact(cast):
    data = onnx_bytes(9.0)
    told = at_once([lambda: an_upload(cast, data, "same.onnx").artifact.digest for _ in range(4)])
    assert len(set(told)) == 1


@pytest.mark.usefixtures("committing_db")
def test_two_teams_want_one_slug_at_once(cast):
    pairs = ((cast.developer, cast.team), (cast.outsider, cast.other_team))
    acts = [
        lambda by=by, team=team: register_model(by=by, team=team, name="Loans", purpose="x").slug for by, team in pairs
    ]
    told = set(at_once(acts))
    assert told in ({"loans", "loans-2"}, {"loans", "slug_taken"})
