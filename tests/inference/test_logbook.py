"""The prediction log of a real gateway: what is there when, also of a gateway that was killed."""

from __future__ import annotations

import random
import signal
import threading
import time
import uuid

import httpx
import pytest
from django.db import connection
from django.db.models import Count

from tests.conftest import administrate
from tests.inference.gateway import a_key, a_world, bearer, body, cut, running, until

pytestmark = pytest.mark.slow
CALLERS = 4
ROUNDS = 20


def infer(client, world, secret=None, **given):
    given = given or {"json": body()}
    return client.post(f"{world.path}/infer", headers=bearer(secret or world.secret), **given)


def log_as(cast, world, client, **changes):
    """Set what is logged, and wait until the gateway does so."""
    from inference.predictions.services import set_log

    terms = {"level": "hashes", "mode": "fast", "sample": 1, "days": 400, **changes}
    set_log(by=cast.model_owner, endpoint=world.endpoint, reason="As the law asks.", **terms)
    until(lambda: settings_of(client, world) == (terms["level"], terms["mode"]), 3)


def settings_of(client, world):
    told = client.get(world.path, headers=bearer(world.secret)).json()["parameters"]
    return told["log_level"], told["log_mode"]


class Load:
    """Several callers at once, until the gateway is gone: ids of the answers that arrived, and when."""

    def __init__(self, client, world, callers=CALLERS):
        self.answered, self.wrong = [], []
        self.threads = [threading.Thread(target=self.ask, args=(client.base_url, world)) for _ in range(callers)]
        for thread in self.threads:
            thread.start()

    def ask(self, address, world):
        with httpx.Client(base_url=address, timeout=5, verify=False) as client:  # noqa: S501 no TLS here
            while not self.wrong:
                try:
                    answer = infer(client, world)
                except httpx.HTTPError:
                    return
                if answer.status_code != 200:
                    self.wrong.append(answer.text)
                else:
                    self.answered.append((answer.headers["x-prediction-id"], time.monotonic()))

    def kill(self, process):
        """Kill -9; returns when that was."""
        killed = time.monotonic()
        process.send_signal(signal.SIGKILL)
        process.wait()
        for thread in self.threads:
            thread.join()
        assert not self.wrong
        return killed


def killed_under_load(client, world, seconds):
    """How many were answered, and how long before the kill each was that is not in the log. None is there twice."""
    from inference.models import Prediction

    load = Load(client, world)
    until(lambda: load.answered or load.wrong, 5)
    time.sleep(seconds)
    killed = load.kill(client.process)
    known = {str(pk) for pk in Prediction.objects.values_list("pk", flat=True)}
    twice = Prediction.objects.order_by().values("request_id").annotate(rows=Count("*")).filter(rows__gt=1)
    assert not twice.exclude(request_id="same-id-twice")
    return len(load.answered), [killed - at for id, at in load.answered if id not in known]


def test_strict_loses_nothing_it_answered_when_it_is_killed(cast, committing_db, process_environment):
    from inference.models import Prediction

    world = a_world(cast)
    with running(process_environment) as client:
        until(lambda: infer(client, world).status_code == 200, 3)
        soon_there(client, world, Prediction)
        truth_once(client, world, a_key(cast, world.endpoint, actions=["feedback"])[1])
        log_as(cast, world, client, mode="strict")
        nothing_unwritten(client, world, committing_db, Prediction)
        assert killed_under_load(client, world, 0.4)[1] == []


@pytest.mark.long
def test_strict_has_every_answer_in_the_log_through_twenty_kills(cast, committing_db, process_environment):
    from inference.models import PredictionLoss

    world, moments, answers = a_world(cast), random.Random(20), 0  # noqa: S311
    for turn in range(ROUNDS):
        with running(process_environment) as client:
            if not turn:
                log_as(cast, world, client, mode="strict")
            until(lambda client=client: infer(client, world).status_code == 200, 10)
            answered, lost = killed_under_load(client, world, moments.uniform(0.05, 2.0))
            assert not lost, f"round {turn}: {len(lost)} of {answered} answers are not in the log"
            answers += answered
    assert answers >= 10 * ROUNDS
    with running(process_environment):
        assert not PredictionLoss.objects.exists()


@pytest.mark.long
def test_fast_loses_a_second_at_most_and_says_how_much_through_twenty_kills(cast, committing_db, process_environment):
    """The next gateway says it, to the row: of what was answered, and of what was being answered when it was killed."""
    from inference.models import PredictionLoss

    world, moments, losses = a_world(cast), random.Random(21), 0  # noqa: S311
    before = None
    for turn in range(ROUNDS + 1):
        with running(process_environment) as client:
            until(lambda client=client: infer(client, world).status_code == 200, 10)
            if before is not None:
                missing, oldest = before
                said = PredictionLoss.objects.filter(pk__gt=losses)
                if missing:
                    until(said.exists, 3)
                said = said.first()
                counted = said.rows if said else 0
                assert missing <= counted <= missing + CALLERS, f"round {turn}: {counted} counted, {missing} missing"
                assert said is None or said.why == "ended"
                losses = said.pk if said else losses
                assert oldest <= 1.0, f"round {turn}: an answer {oldest:.2f} s old is lost"
            if turn < ROUNDS:
                _, lost = killed_under_load(client, world, moments.uniform(0.05, 2.0))
                before = len(lost), max(lost, default=0.0)
    assert losses, "in twenty kills something is lost, or nothing was tried"


def soon_there(client, world, Prediction):
    """Rows of answers and refusals appear within a second; a wrong key leaves none."""
    first = infer(client, world, json={"inputs": []})
    assert first.status_code == 422
    took = until(lambda: Prediction.objects.filter(pk=first.headers["x-prediction-id"]).exists(), 2)
    assert took <= 1.0, f"the row came after {took:.2f} s"
    codes = set(Prediction.objects.values_list("status", "code"))
    assert codes >= {(200, ""), (422, "inputs_needed")}
    before = Prediction.objects.count()
    wrong = infer(client, world, f"{world.secret[:8]}zzzzzzzz{world.secret[16:]}")
    assert (wrong.status_code, "x-prediction-id" in wrong.headers) == (401, False)
    last = infer(client, world)
    until(lambda: Prediction.objects.filter(pk=last.headers["x-prediction-id"]).exists(), 2)
    assert Prediction.objects.count() == before + 1


def truth_once(client, world, secret):
    """Ground truth is taken once for each prediction, and for none that is not there."""
    from inference.models import Feedback, Prediction

    def told(**given):
        answer = client.post(f"{world.path}/feedback", json=given, headers=bearer(secret))
        return answer.status_code, answer.json().get("code")

    answer = infer(client, world)
    id = answer.headers["x-prediction-id"]
    values = [True, None, 0.5]
    until(lambda: told(prediction=id, values=values)[0] == 201, 3)
    assert told(prediction=id, values=[1, 2, 3]) == (409, "feedback_twice")
    row = Feedback.objects.get()
    assert (str(row.pk), row.values, row.endpoint_id) == (id, values, world.endpoint.pk)
    assert told(request_id="never-heard-of", values=values) == (404, "unknown_prediction")
    assert told(prediction=str(uuid.uuid4()), values=values) == (404, "unknown_prediction")
    for _ in range(2):
        client.post(
            f"{world.path}/infer", headers={**bearer(world.secret), "X-Request-ID": "same-id-twice"}, json=body()
        )
    refused = infer(client, world, json={"inputs": []}).headers
    until(lambda: Prediction.objects.filter(request_id=refused["x-request-id"]).exists(), 3)
    assert told(request_id="same-id-twice", values=values) == (409, "request_ambiguous")
    assert told(request_id=refused["x-request-id"], values=values) == (409, "not_predicted")
    assert told(prediction=id, values=[1]) == (422, "wrong_length")
    assert told(prediction=id, values=[]) == (422, "values_needed")
    assert told(prediction=id, values=[[1]]) == (422, "wrong_value")
    assert told(prediction=id, values=["\0"]) == (422, "wrong_value")
    for wrong in ({}, {"prediction": "x"}, {"prediction": id, "request_id": "x"}, {"request_id": ""}):
        assert told(**wrong, values=values) == (422, "prediction_needed")
    assert infer(client, world, secret).status_code == 403
    assert Feedback.objects.count() == 1


def nothing_unwritten(client, world, database, Prediction):
    """Strict answers nothing while the log cannot be written, and goes on by itself."""
    cut(database)
    try:
        until(lambda: infer(client, world).status_code == 503, 3)
        refused = infer(client, world)
        assert (refused.status_code, refused.json()["code"]) == (503, "log_unavailable")
        assert "outputs" not in refused.json()
        told = client.get("/v2/health/ready").json()["prediction_log"]
        assert (told["writable"], told["trouble"]) == (False, "database")
    finally:
        administrate(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS true')
        connection.close()
    until(lambda: infer(client, world).status_code == 200, 5)
    last = infer(client, world)
    assert Prediction.objects.filter(pk=last.headers["x-prediction-id"]).exists()
    told = client.get("/v2/health/ready").json()["prediction_log"]
    assert told == {"dropped": 0, "waiting": 0, "writable": True, "trouble": None}
