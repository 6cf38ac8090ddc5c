"""Setting where an endpoint's predictions are made: page, API, log, and what may be bound to it."""

from __future__ import annotations

import json

import pytest

from inference.models import Endpoint, Upstream
from inference.rollouts.services import start_rollout
from inference.services import bind_endpoint
from inference.upstreams.services import set_upstream
from inference.upstreams.targets import target_of, unsealed
from ledger.models import Disclosure, Event
from ledger.refusals import Refusal
from tests import worlds
from tests.approvals.test_pages import text_of
from tests.inference.test_services import Log, refused
from tests.inference.world import an_endpoint

pytestmark = pytest.mark.django_db
PLACE = "https://93.184.216.34"  # an address outside, so nobody's name is looked up
SECRET = "Bearer told-to-nobody"
TRITON = {"kind": "http-oip", "url": f"{PLACE}/path-that-is-a-password", "model_name": "loans", "model_version": "3"}
INTERFACE = {
    "inputs": [{"name": "X", "datatype": "FP32", "shape": [-1, 2]}],
    "outputs": [
        {"name": "label", "datatype": "INT64", "shape": [-1]},
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]},
    ],
    "features": ["income", "debt"],
    "decision_rule": {"kind": "threshold", "output": "probabilities", "class": 1, "at_least": 0.5},
}  # fmt: skip


def everything_logged():
    kept = [bytes(each).decode() for each in Event.objects.values_list("bytes", flat=True)]
    return str(kept) + str(list(Disclosure.objects.values_list()))


def fresh(endpoint):
    return Endpoint.objects.with_parts().get(pk=endpoint.pk)


@pytest.fixture
def owner(api, cast):
    client = api(cast.model_owner)
    return lambda path, body: client.put(f"/api/v1/{path}", body, "application/json")


def test_over_the_api_from_one_server_to_another_and_back(cast, api, owner):
    endpoint = an_endpoint(cast)
    path = f"endpoints/{endpoint.pk}/upstream/"
    told = api(cast.auditor).get(f"/api/v1/{path}").json()
    log = Log()
    assert (told["kind"], told["url"], told["secret_set"], told["set_by"]) == ("onnx", "", False, None)
    given = {**TRITON, "header_name": "Authorization", "secret": SECRET, "version_at": "model_version", "seconds": 3}
    made = owner(path, given)
    assert made.status_code == 200, made.content
    assert made.json()["asked_at"] == f"{TRITON['url']}/v2/models/loans/versions/3/infer"
    assert (made.json()["secret_set"], made.json()["set_by"]["name"]) == (True, "Olga Novak")
    target = target_of(fresh(endpoint))
    assert (target.url, target.header, target.seconds) == (made.json()["asked_at"], ("Authorization", SECRET), 3.0)
    refused(owner(path, {**given, "secret": ""}), 409, "nothing_changed")
    moved = {**given, "url": f"{PLACE}/other", "secret": ""}
    assert owner(path, moved).status_code == 200
    assert target_of(fresh(endpoint)).header == ("Authorization", SECRET)
    # A secret that is kept never goes to another server, nor into another header.
    refused(owner(path, {**moved, "url": "https://93.184.216.35/other"}), 422, "secret_needed", "secret")
    refused(owner(path, {**moved, "header_name": "X-Key"}), 422, "secret_needed", "secret")
    assert owner(path, {**moved, "header_name": ""}).json()["secret_set"] is False
    assert bytes(fresh(endpoint).upstream.sealed) == b""
    assert owner(path, {"kind": "onnx"}).json()["kind"] == "onnx"
    assert target_of(fresh(endpoint)) is None
    refused(owner(path, {"kind": "onnx"}), 409, "nothing_changed")
    done, no = "endpoint.upstream_set", "endpoint.upstream_set.refused"
    assert log.names() == [done, no, done, no, no, done, done, no]
    facts = [event.content["facts"] for event in Event.objects.filter(event=done).order_by("id")]
    assert [each["secret"] for each in facts] == ["new", "kept", "none", "none"]
    assert (facts[0]["from"], facts[0]["to"]["place"]) == ({"kind": "onnx"}, PLACE)
    assert facts[0]["to"]["address"] != facts[1]["to"]["address"]
    assert facts[3]["to"] == {"kind": "onnx"}
    kept = everything_logged()
    assert SECRET not in kept
    assert "password" not in kept


REFUSED = [
    ({"url": "http://93.184.216.34"}, "address_invalid", "url"),
    ({"url": ""}, "address_invalid", "url"),
    ({"url": "https://user:pass@93.184.216.34"}, "address_invalid", "url"),
    ({"url": "https://" + "a" * 70 + ".example"}, "address_invalid", "url"),
    ({"url": "https://10.0.0.7"}, "address_inside", "url"),
    ({"url": "https://localhost"}, "address_inside", "url"),
    ({"model_name": ""}, "name_invalid", "model_name"),
    ({"kind": "http-json"}, "name_invalid", "model_name"),
    ({"rows_at": "a"}, "mapping_unused", "kind"),
    ({"seconds": 0}, "seconds_invalid", "seconds"),
    ({"header_name": "Host", "secret": "x"}, "header_invalid", "header_name"),
    ({"secret": "x"}, "header_invalid", "header_name"),
    ({"header_name": "X-Key"}, "secret_needed", "secret"),
    ({"header_name": "X-Key", "secret": "a\nb"}, "secret_invalid", "secret"),
    ({"header_name": "X-Key", "secret": "key\u2028more"}, "secret_invalid", "secret"),
]


def test_what_is_refused_leaves_nothing_but_that(cast, owner, api):
    endpoint = an_endpoint(cast)
    path = f"endpoints/{endpoint.pk}/upstream/"
    for changes, code, field in REFUSED:
        log = Log()
        refused(owner(path, {**TRITON, **changes}), 422, code, field)
        assert log.names() == ["endpoint.upstream_set.refused"], changes
    log = Log()
    refused(owner(path, {**TRITON, "kind": "ftp"}), 422, "invalid", "kind")
    assert log.names() == []
    refused(api(cast.validator).put(f"/api/v1/{path}", TRITON, "application/json"), 403, "permission_denied")
    assert api(cast.outsider).put(f"/api/v1/{path}", TRITON, "application/json").status_code == 404
    assert not Upstream.objects.exists()
    with pytest.raises(Refusal) as caught:
        set_upstream(by=cast.model_owner, endpoint=endpoint, kind="http-json", url=f"{PLACE}/{'a' * 500}")
    assert (caught.value.code, caught.value.field) == ("address_invalid", "url")


def test_on_its_page(cast, signed_in):
    endpoint, browser = an_endpoint(cast), signed_in(cast.model_owner)
    page, home = f"/endpoints/{endpoint.pk}/upstream/", endpoint.get_absolute_url()
    assert "ONNX Runtime, in the gateway" in text_of(browser.get(home))
    form = {
        "kind": "http-json", "url": f"{PLACE}/score", "rows_at": "data.rows", "row_form": "single",
        "predictions_at": "result.scores", "version_at": "model.version", "seconds": 5, "header_name": "X-Key",
        "secret": SECRET,
    }  # fmt: skip
    assert "bytes are not verified" in text_of(browser.get(page))
    wrong = browser.post(page, {**form, "url": "http://10.0.0.7"})
    assert (wrong.status_code, SECRET in wrong.content.decode()) == (422, False)
    assert browser.post(page, form).headers["Location"] == home
    shown = text_of(browser.get(home))
    assert f"{PLACE}/score" in shown
    assert "Bytes not verified; its answers have to name the approved version, at model.version" in shown
    assert "Endpoint upstream set" in shown
    assert "Rows at once 1 at most" in shown
    again = browser.get(page).content.decode()
    assert ("data.rows" in again, SECRET in again) == (True, False)
    assert signed_in(cast.validator).get(page).status_code == 403
    assert signed_in(cast.outsider).get(page).status_code == 404


def test_versions_without_bytes_are_served_by_an_upstream_alone(cast):
    words = worlds.a_pinned_version(cast)
    declared = worlds.a_pinned_version(cast, words.model, interface=INTERFACE)
    endpoint, by = an_endpoint(cast, model=words.model), cast.model_owner

    def bind(version):
        with pytest.raises(Refusal) as caught:
            bind_endpoint(by=by, endpoint=endpoint, version=version)
        return caught.value.code, caught.value.field

    assert bind(declared) == ("bytes_not_here", "version")
    set_upstream(by=by, endpoint=endpoint, **TRITON)
    assert bind(words) == ("interface_missing", "version")
    bind_endpoint(by=by, endpoint=endpoint, version=declared)
    target = target_of(fresh(endpoint))
    assert target.expected == "score-7"
    with pytest.raises(Refusal) as caught:
        start_rollout(by=by, endpoint=endpoint, version=words, kind="shadow")
    assert caught.value.code == "upstream_elsewhere"
    with pytest.raises(Refusal) as caught:
        set_upstream(by=by, endpoint=endpoint, kind="onnx")
    assert (caught.value.code, caught.value.field) == ("bytes_not_here", "kind")
    assert fresh(endpoint).elsewhere.kind == "http-oip"


def test_a_secret_that_cannot_be_read_any_more(cast, settings):
    endpoint = an_endpoint(cast)
    set_upstream(by=cast.model_owner, endpoint=endpoint, **TRITON, header_name="X-Key", secret=SECRET)
    unsealed.cache_clear()
    settings.FACTOR_KEY = "another key, so what it sealed before stays shut"
    target = target_of(fresh(endpoint))
    assert (target.usable, target.header) == (False, None)


def test_a_declared_interface_is_pinned_and_shown(cast, signed_in, api):
    version = worlds.a_pinned_version(cast, interface=INTERFACE)
    assert version.pins.document["interface"] == INTERFACE
    assert version.signature["inputs"] == [{"name": "X", "type": "tensor(float)", "shape": [None, 2]}]
    assert (version.features, version.decision_rule["rule"]) == (["income", "debt"], INTERFACE["decision_rule"])
    browser = signed_in(cast.developer)
    shown = text_of(browser.get(version.get_absolute_url()))
    assert "as declared" in shown
    assert "yes where probabilities of class 1 is at least 0.5" in shown
    path = f"/models/{version.model.pk}/versions/new/pinned/"
    form = {
        "provider": "Scores Inc.", "upstream_version": "score-8", "configuration": "yes from 620 on",
        "contributors": [cast.developer.pk],
    }  # fmt: skip
    rule = {**INTERFACE["decision_rule"], "output": "score"}
    assert ">null</textarea>" not in browser.get(path).content.decode()
    for given, status in (("{", 422), ("[]", 422), (json.dumps(INTERFACE | {"decision_rule": rule}), 422),
                          (json.dumps(INTERFACE), 302)):  # fmt: skip
        assert browser.post(path, {**form, "interface": given}).status_code == status, given
    body = {**form, "interface": {**INTERFACE, "outputs": []}, "upstream_version": "score-9"}
    path = f"/api/v1/models/{version.model.pk}/pinned-versions/"
    answer = api(cast.developer).post(path, json.dumps(body), "application/json")
    refused(answer, 422, "interface_invalid", "interface.outputs")
    body["interface"] = INTERFACE | {"decision_rule": rule}
    answer = api(cast.developer).post(path, json.dumps(body), "application/json")
    refused(answer, 422, "bad_decision_rule", "interface.decision_rule")
    assert version.model.versions.count() == 2
