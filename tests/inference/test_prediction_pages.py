"""The prediction log on its pages and in the API: who sees what, who opens what, and what is logged, set as an act."""

from __future__ import annotations

import html

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from inference.models import Endpoint, Feedback
from ledger.models import Event
from tests import worlds
from tests.inference.world import a_key, a_loss, a_prediction, an_endpoint
from tests.registry.test_pages import text_of

pytestmark = pytest.mark.django_db
SET = {"level": "full", "mode": "strict", "sample": 5, "days": 30, "reason": "The supervisor asks for it."}


@pytest.fixture
def made(cast):
    endpoint = an_endpoint(cast, worlds.a_version(cast))
    return endpoint, a_key(cast, endpoint)[0]


def test_what_is_logged_is_set_by_an_act_with_a_reason(cast, made, signed_in, api):
    endpoint, _ = made
    owner, home = signed_in(cast.model_owner), f"/endpoints/{made[0].pk}/"
    assert "Digests of the bodies alone; fast; 400 days" in text_of(owner.get(home))
    assert f"{home}log/" in owner.get(home).content.decode()
    assert signed_in(cast.developer).get(f"{home}log/").status_code == 403
    assert signed_in(cast.outsider).get(f"{home}log/").status_code == 404
    for wrong in ({"sample": "100"}, {"days": "0"}, {"level": "all"}, {"reason": " "}):
        assert owner.post(f"{home}log/", {**SET, **wrong}).status_code == 422
    assert owner.post(f"{home}log/", SET).headers["Location"] == home
    told = text_of(owner.get(home))
    assert "Inputs and outputs of all predictions; strict; 30 days" in told
    event = Event.objects.filter(event="endpoint.log_set").latest("id")
    assert event.content["facts"] == {
        "endpoint": endpoint.name,
        "before": {"level": "hashes", "mode": "fast", "sample": 1, "days": 400},
        "after": {"level": "full", "mode": "strict", "sample": 5, "days": 30},
    }
    again = owner.post(f"{home}log/", SET)
    assert (again.status_code, "This is what is set already" in text_of(again)) == (409, True)

    there, client = f"/api/v1/endpoints/{endpoint.pk}/log/", api(cast.model_owner)
    given = {key: SET[key] for key in ("level", "mode", "sample", "days")}
    a_loss(endpoint, why="full")
    assert client.get(there).json() == {**given, "lost": 7}
    told = text_of(owner.get(f"{home}predictions/"))
    assert "7 rows are missing below" in told
    assert "The gateway's buffer was full" in html.unescape(told)
    for change, code in (
        ({"level": "all"}, "invalid_choice"), ({"sample": 100}, "sample_invalid"), ({"days": 0}, "days_invalid"),
        ({"reason": " "}, "blank"), ({}, "nothing_changed"),
    ):  # fmt: skip
        answer = client.put(there, {**SET, **change}, content_type="application/json")
        assert (answer.status_code in (409, 422), code in answer.content.decode()) == (True, True), change
    assert Endpoint.objects.get().log_facts() == given
    answer = client.put(there, {**SET, "level": "none"}, content_type="application/json")
    assert (answer.status_code, answer.json()["level"]) == (200, "none")
    assert api(cast.developer).put(there, SET, content_type="application/json").status_code == 403


def test_the_list_is_paged_and_filtered_and_shows_no_inputs(cast, made, signed_in, api):
    endpoint, key = made
    other = a_key(cast, endpoint, name="Night batch")[0]
    browser, home = signed_in(cast.auditor), f"/endpoints/{endpoint.pk}/predictions/"
    assert home in browser.get(endpoint.get_absolute_url()).content.decode()
    assert "No predictions yet" in text_of(browser.get(home))
    rows = [a_prediction(endpoint, key) for _ in range(51)]
    refused = a_prediction(endpoint, other, status=422, code="input_missing", level="none", inputs=None, outputs=None,
                           artifact="")  # fmt: skip
    first = browser.get(f"{home}?outcome=refused")
    with CaptureQueriesContext(connection) as few:
        browser.get(f"{home}?request_id={rows[3].request_id}")
    with CaptureQueriesContext(connection) as many:
        page = browser.get(home)
    asked = [sum('"inference_' in one["sql"] for one in each.captured_queries) for each in (few, many)]
    assert asked[0] == asked[1] <= 8
    assert text_of(page).count("Version 1") == 49 + 1  # once among the filter's
    assert "0.4" not in text_of(page)
    assert "input_missing" in text_of(first)
    assert "answered" not in text_of(first).lower().partition("took, ms")[2]
    second = browser.get(f"{home}?before={sorted(str(row.pk) for row in rows)[2]}")
    assert text_of(second).count("Answered") - 1 == 2
    assert f"after={sorted(str(row.pk) for row in rows)[1]}" in second.content.decode()
    newer = browser.get(f"{home}?after={sorted(str(row.pk) for row in rows)[1]}")
    assert text_of(newer).count("Answered") - 1 in (49, 50)
    assert "No prediction is like this" in text_of(browser.get(f"{home}?since=2099-01-01"))
    assert "No prediction is like this" in text_of(browser.get(f"{home}?until=2020-01-01"))
    assert text_of(browser.get(f"{home}?key={other.key_id}")).count("input_missing") == 1
    assert text_of(browser.get(f"{home}?artifact={endpoint.version.artifact.digest}")).count("input_missing") == 0
    assert browser.get(f"{home}?before=nonsense&key=none").status_code == 200
    assert signed_in(cast.outsider).get(home).status_code == 404

    client = api(cast.auditor)
    answer = client.get(f"/api/v1{home}?outcome=refused").json()
    assert [each["id"] for each in answer["results"]] == [str(refused.pk)]
    assert (answer["results"][0]["key"], answer["results"][0]["has_content"]) == (other.key_id, False)
    listed = client.get(f"/api/v1{home}").json()
    assert (len(listed["results"]), "inputs" in listed["results"][0]) == (50, False)
    rest = client.get(listed["next"]).json()
    assert len(rest["results"]) == 2
    one = client.get(f"/api/v1{home}?request_id={rows[3].request_id}").json()
    assert [each["id"] for each in one["results"]] == [str(rows[3].pk)]
    assert api(cast.outsider).get(f"/api/v1{home}").status_code == 404


def test_opening_inputs_is_a_right_and_an_event(cast, made, signed_in, api):
    endpoint, key = made
    row = a_prediction(endpoint, key, client_id="case 7")
    bare = a_prediction(endpoint, key, level="hashes", inputs=None, outputs=None)
    Feedback.objects.create(id=row.pk, endpoint=endpoint, key=key, values=[True, None])
    home = f"/endpoints/{endpoint.pk}/predictions/{row.pk}/"
    developer, auditor = signed_in(cast.developer), signed_in(cast.auditor)
    page = text_of(developer.get(home))
    assert "Open inputs and outputs" in page
    assert "true and not known" in page
    assert "case 7" in page
    assert '"X"' not in page
    assert "Countersign Mortgage" not in page, "the footer says the portal's version, not the model's"
    assert not Event.objects.filter(event="prediction.opened").exists()
    opened = text_of(developer.post(f"{home}open/"))
    assert '{"X":[[0.4,-0.1],[1.0,2.0]]}' in opened
    assert '{"decision":[true,false]}' in opened
    event = Event.objects.get(event="prediction.opened")
    assert event.content["facts"] == {"endpoint": endpoint.name, "prediction": str(row.pk), "rows": 2}
    assert "are opened by whoever may" in text_of(auditor.get(home))
    denied = auditor.post(f"{home}open/")
    assert (denied.status_code, "0.4" in text_of(denied)) == (403, False)
    assert Event.objects.filter(event="prediction.opened.refused").count() == 1
    empty = f"/endpoints/{endpoint.pk}/predictions/{bare.pk}/"
    assert "None were kept of this prediction" in text_of(developer.get(empty))
    assert developer.post(f"{empty}open/").status_code == 409
    assert signed_in(cast.outsider).get(home).status_code == 404
    elsewhere = an_endpoint(cast)
    assert developer.get(f"/endpoints/{elsewhere.pk}/predictions/{row.pk}/").status_code == 404

    client = api(cast.developer)
    assert client.get(f"/api/v1{home}").json()["feedback"] == [True, None]
    assert client.get(f"/api/v1{empty}").json()["feedback"] is None
    assert client.get(f"/api/v1{home}content/").json() == {
        "inputs": {"X": [[0.4, -0.1], [1.0, 2.0]]}, "outputs": {"decision": [True, False]},
    }  # fmt: skip
    assert client.get(f"/api/v1{empty}content/").json()["code"] == "nothing_kept"
    assert api(cast.auditor).get(f"/api/v1{home}content/").status_code == 403
    assert api(cast.outsider).get(f"/api/v1{home}content/").status_code == 404
    assert Event.objects.filter(event="prediction.opened").count() == 2
