"""What the gateway's processes count: added up in the database, on pages, by API and for Prometheus."""

from __future__ import annotations

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db.models.functions import Now
from prometheus_client.parser import text_string_to_metric_families

from inference.gateway.counting import Counter
from inference.models import GatewayProcess, Tally
from inference.tasks import remove_old_counts
from inference.traffic.writing import add, appear, leave
from tests.approvals.world import a_complete_version
from tests.inference import counting, world
from tests.registry.test_pages import text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def served(cast):
    endpoint = world.an_endpoint(cast, a_complete_version(cast))
    key, _ = world.a_key(cast, endpoint)
    return endpoint, key


def test_counts_of_several_processes_are_added_up(served):
    for _ in range(2):
        counting.some(*served)
    spans = {each.span for each in Tally.objects.filter(code="")}
    assert spans == {0, 60, 3600}
    for span in spans:
        rows = {row.code: row for row in Tally.objects.filter(span=span)}
        assert (rows[""].requests, rows[""].rows, rows[""].positives, rows[""].micros) == (6, 12, 6, 84_000)
        assert rows[""].classes == counting.counts(*[900, 1_100, 40_000] * 2)[4]
        assert (rows["key_invalid"].requests, rows["key_invalid"].endpoint) == (2, None)
    add({})
    assert Tally.objects.count() == 9


def test_a_process_counts_without_loss_and_tells_how_it_is(served):
    endpoint, key = served
    process = Counter(lambda: counting.SAID)
    kind = (endpoint.pk, key.pk, "", "")
    told = []
    for _ in range(3):
        process.count(kind, 2, 1, 500)
        process.count(kind, 2, 1, 700)
        process.tell()
        told.append(sum(row.requests for row in Tally.objects.filter(span=0)))
    process.tell()
    told.append(Tally.objects.get(span=0).requests)
    assert told == [0, 2, 4, 6], "each at the telling after the next"
    assert (Tally.objects.get(span=0).micros, Tally.objects.get(span=0).positives) == (3_600, 6)
    (row,) = GatewayProcess.objects.all()
    assert (row.said, row.pk) == (counting.SAID, process.id)
    leave(process.id)
    assert not GatewayProcess.objects.exists()


def test_old_counts_go_and_those_of_all_time_stay(served):
    counting.some(*served)
    assert remove_old_counts() == 0
    Tally.objects.filter(span=60).update(at=Now() - timedelta(days=3))
    Tally.objects.filter(span=3600).update(at=Now() - timedelta(days=300))
    GatewayProcess.objects.update(seen_at=Now() - timedelta(days=2))
    assert remove_old_counts() == 3
    assert sorted({row.span for row in Tally.objects.all()}) == [0, 3600]
    assert not GatewayProcess.objects.exists()


def test_the_endpoints_page_leads_to_its_traffic(served, cast, signed_in):
    endpoint, key = served
    browser = signed_in(cast.model_owner)
    where = f"/endpoints/{endpoint.pk}/traffic/"
    assert where in browser.get(f"/endpoints/{endpoint.pk}/").content.decode()
    assert "Nobody asked" in text_of(browser.get(where))
    counting.some(endpoint, key)
    for window in ("hour", "day", "month", "century"):
        text = text_of(browser.get(where, {"window": window}))
        assert "4 requests, of which 25.0 % were refused" in text.replace("\u2009", " ")
        assert "invalid_input" in text
        assert "key_invalid" not in text, "it reached no endpoint"
        assert f"cs_live_{key.key_id}" in text
        assert endpoint.version.title in text
    assert signed_in(cast.outsider).get(where).status_code == 404


def test_steps_add_up_and_hold_what_happened_now(served, cast, api):
    endpoint, key = served
    counting.some(endpoint, key)
    for window, steps in (("hour", 60), ("day", 24), ("month", 30)):
        found = api(cast.developer).get(f"/api/v1/endpoints/{endpoint.pk}/traffic/", {"window": window}).json()
        assert (found["window"], len(found["steps"])) == (window, steps)
        assert [each["answered"] for each in found["steps"]] == [0] * (steps - 1) + [3]
        assert found["total"]["latency"] == found["keys"][0]["latency"]
        assert 1_000 < found["total"]["latency"]["median"] <= 1_259
        assert (found["total"]["rows"], found["total"]["positives"]) == (6, 3)
        assert found["refusals"] == [{"code": "invalid_input", "requests": 1}]
        assert (found["keys"][0]["key"], found["versions"][0]["version"]) == (key.pk, endpoint.version_id)
    refused = api(cast.developer).get(f"/api/v1/endpoints/{endpoint.pk}/traffic/", {"window": "year"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "window")


def families(answer):
    assert answer["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = {}
    for family in text_string_to_metric_families(answer.content.decode()):
        for sample in family.samples:
            found[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    return found


def test_prometheus_reads_what_its_token_may_see(served, cast, api):
    endpoint, key = served
    counting.some(endpoint, key)
    mine = families(api(cast.developer).get("/api/v1/metrics/"))
    where = (("endpoint", endpoint.name), ("environment", "production"))
    way = {"artifact": endpoint.version.artifact.digest, "key": key.key_id, **dict(where)}
    for code, count in (("", 3), ("invalid_input", 1)):
        assert mine["countersign_gateway_requests_total", tuple(sorted({**way, "code": code}.items()))] == count
    assert mine["countersign_gateway_rows_total", where] == 6
    assert mine["countersign_gateway_latency_seconds_count", where] == 3
    assert mine["countersign_gateway_latency_seconds_sum", where] == pytest.approx(0.042)
    bucket = {labels: value for (name, labels), value in mine.items() if name.endswith("_bucket")}
    assert bucket[("endpoint", endpoint.name), ("environment", "production"), ("le", "0.001585")] == 2
    assert not any("key_invalid" in str(labels) or "process" in str(labels) for _, labels in mine)
    every = families(api(cast.auditor).get("/api/v1/metrics/"))
    process = (("host", "gateway-1"), ("process", "4711"))
    assert every["countersign_gateway_up", process] == 1
    assert every["countersign_gateway_log_waiting", process] == 3
    assert sum("key_invalid" in str(labels) for _, labels in every) == 1
    GatewayProcess.objects.update(seen_at=Now() - timedelta(minutes=1))
    assert families(api(cast.auditor).get("/api/v1/metrics/"))["countersign_gateway_up", process] == 0
    outside = families(api(cast.outsider).get("/api/v1/metrics/"))
    assert not [value for value in outside.values() if value]


def test_processes_are_shown_to_those_who_see_every_team(cast, signed_in):
    browser = signed_in(cast.auditor)
    assert "/endpoints/processes/" in browser.get("/endpoints/").content.decode()
    assert "No process serves" in text_of(browser.get("/endpoints/processes/"))
    appear(counting.PROCESS, "gateway-1", 4711, 60.0, counting.SAID)
    appear(uuid4(), "gateway-2", 4712, 1.0, {})
    GatewayProcess.objects.filter(host="gateway-2").update(seen_at=Now() - timedelta(minutes=1))
    text = text_of(browser.get("/endpoints/processes/"))
    assert re.search("gateway-1 Serves", text, re.IGNORECASE)
    assert re.search("gateway-2 Silent", text, re.IGNORECASE)
    refused = signed_in(cast.developer)
    assert refused.get("/endpoints/processes/").status_code == 403
    assert "/endpoints/processes/" not in refused.get("/endpoints/").content.decode()
