"""Vendor models: what is pinned of them, what their upstream says, and that no page claims to know their bytes."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from approvals import gate, services
from fairness.services import request_bias_report, request_explanation_report
from inference.services import bind_endpoint
from ledger.anchors.guard import public
from ledger.canonical import canonical, digest_of
from ledger.events import database_time
from ledger.keys import portal_key
from ledger.models import Event
from ledger.refusals import Denied, Refusal
from registry.models import Version
from registry.pinned.models import Pins
from registry.pinned.rules import told
from registry.pinned.services import ask_upstream, register_pinned_version
from registry.tasks import ask_upstreams
from tests import worlds
from tests.approvals import policies, world
from tests.approvals.packing import packed, resigned, unzipped, zipped
from tests.approvals.test_pages import text_of
from tests.client.logs import run
from tests.inference import world as serving
from tests.sealing import log_key

pytestmark = pytest.mark.django_db
IMAGE = "sha256:" + "ab" * 32
PLAIN = {
    "provider": "Scores Inc.", "upstream_version": "score-7", "image": IMAGE, "configuration": "yes from 620 on",
    "contract": "sha256:" + "cd" * 32,
}  # fmt: skip


@pytest.fixture
def upstream(settings):
    """A vendor's server: `says` is what it answers, with status 200 unless `status` says otherwise."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.seen += 1
            body = json.dumps(server.says).encode()
            self.send_response(server.status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *given):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.says, server.status, server.seen = {"model": {"version": "score-7"}}, 200, 0
    server.url = f"http://127.0.0.1:{server.server_port}/v1/model"
    settings.UPSTREAM_INTERNAL_HOSTS = ["127.0.0.1"]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def pinned(cast, upstream=None, **changes):
    given = {**PLAIN, "contributors": [cast.developer], **changes}
    if upstream:
        given |= {"ask_url": upstream.url, "ask_field": "model.version"}
    model = given.pop("model", None) or worlds.a_model(cast)
    return register_pinned_version(by=cast.developer, model=model, **given)


def approved(cast, version):
    """Under a policy that wants no report, as there are no bytes to compute one from."""
    policies.a_policy(cast, policies.a_document(evidence=[]), everywhere=True)
    request = world.a_request(cast, version)
    world.sign(cast.approver, request, "approval")
    return request


def ask(version):
    version = Version.objects.get(pk=version.pk)
    return gate.evaluate(version, "production", world.USE)


def codes(reasons):
    return [reason.code for reason in reasons]


def test_what_is_pinned_stands_for_the_bytes_and_every_page_says_so(cast, signed_in):
    version = pinned(cast)
    request = approved(cast, version)
    manifest = request.latest.manifest
    assert manifest["format"] == "countersign-manifest/3"
    says = manifest["pinned"].pop("says")
    assert (says, digest_of(manifest["pinned"])) == ("score-7", manifest["artifact"]["digest"])
    assert manifest["obligations"] == ["bytes_not_verified"]
    said = ask(version)
    assert (said.allowed, codes(said.obligations)) == (True, ["bytes_not_verified"])
    pages = [version.get_absolute_url(), version.model.get_absolute_url(), request.get_absolute_url(), "/requests/",
             f"/requests/{request.pk}/sign/", f"/versions/{version.pk}/requests/new/"]  # fmt: skip
    for page in pages:
        shown = text_of(signed_in(cast.approver if "sign" in page else cast.developer).get(page))
        assert "bytes not verified" in shown.lower(), page
    for page in pages[:3:2]:
        then = signed_in(cast.auditor).get(page, {"as_of": database_time().isoformat()})
        assert "Bytes not verified" in text_of(then), "also as it stood"
    assert "yes from 620 on" in text_of(signed_in(cast.auditor).get(version.get_absolute_url()))


def test_an_image_is_asked_about_by_the_digest_that_is_pinned(cast, api):
    version = pinned(cast)
    approved(cast, version)
    client = api(cast.ci_bot)
    query = f"/api/v1/gate?digest={IMAGE}&environment=production&use={world.USE}"
    assert client.get(query).json()["version"] == version.pk
    other = pinned(cast, configuration="yes from 300 on", model=version.model)
    assert client.get(query).json()["reasons"][0]["code"] == "ambiguous_subject"
    assert other.number == 2


def test_registering_by_page_and_api(cast, signed_in, api):
    model = worlds.a_model(cast)
    browser, page = signed_in(cast.developer), f"/models/{model.pk}/versions/new/pinned/"
    form = {**PLAIN, "contributors": [cast.developer.pk]}
    assert "without bytes" in text_of(browser.get(f"/models/{model.pk}/versions/new/"))
    assert browser.get(page).status_code == 200
    wrong = browser.post(page, {**form, "image": "latest"})
    assert (wrong.status_code, "64 small hexadecimal digits" in text_of(wrong)) == (422, True)
    assert browser.post(page, form).status_code == 302
    body = json.dumps({**form, "configuration": "yes from 700 on"})
    sent = {"content_type": "application/json"}
    made = api(cast.developer).post(f"/api/v1/models/{model.pk}/pinned-versions/", body, **sent).json()
    assert (made["number"], made["bytes_verified"], made["pins"]["image"]) == (2, False, IMAGE)
    assert api(cast.auditor).post(f"/api/v1/models/{model.pk}/pinned-versions/", body, **sent).status_code == 403
    plain = worlds.a_version(cast)
    told_of = api(cast.developer).get(f"/api/v1/versions/{plain.pk}/").json()
    assert (told_of["bytes_verified"], told_of["pins"]) == (True, None)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"image": "", "upstream_version": ""}, "nothing_pinned"),
        ({"image": "sha256:AB"}, "digest_invalid"),
        ({"contract": "md5:1"}, "digest_invalid"),
        ({"contributors": []}, "contributors_missing"),
        ({"configuration": " "}, "text_missing"),
        ({"ask_url": "http://vendor.example/", "ask_field": "v"}, "address_invalid"),
        ({"ask_url": "https://me:secret@vendor.example/", "ask_field": "v"}, "address_invalid"),
        ({"ask_url": "file:///etc/passwd", "ask_field": "v"}, "address_invalid"),
        ({"ask_url": "https://vendor.example/", "ask_field": "a b"}, "field_invalid"),
        ({"ask_url": "https://vendor.example/", "ask_field": "v", "upstream_version": ""}, "nothing_pinned"),
    ],
    ids=["nothing", "image", "contract", "people", "setup", "http", "secret", "file", "field", "unknown"],
)
def test_what_cannot_be_pinned_is_refused(cast, changes, code):
    with pytest.raises(Refusal) as caught:
        pinned(cast, **changes)
    assert caught.value.code == code
    assert not Pins.objects.exists()
    assert Event.objects.latest("id").content["facts"]["code"] == code


def test_the_same_pins_are_the_same_version(cast):
    version = pinned(cast)
    with pytest.raises(Refusal) as caught:
        pinned(cast, model=version.model)
    assert caught.value.code == "version_exists"
    with pytest.raises(Denied):
        register_pinned_version(by=cast.approver, model=version.model, contributors=[cast.developer], **PLAIN)


def test_another_answer_ends_the_approval_at_once(cast, upstream, signed_in):
    version = pinned(cast, upstream)
    approved(cast, version)
    assert ask_upstreams() == {"asked": 1, "changed": 0, "failed": 0}
    assert not Event.objects.filter(event="upstream.answered").exists(), "the same answer is no news"
    assert ask(version).allowed
    upstream.says = {"model": {"version": "score-8"}}
    assert ask_upstreams()["changed"] == 1
    said = ask(version)
    assert (said.allowed, said.state, codes(said.reasons)) == (False, "outdated", ["outdated", "upstream_differs"])
    facts = Event.objects.get(event="upstream.answered").content["facts"]
    assert (facts["expected"], facts["reported"], facts["agrees"]) == ("score-7", "score-8", False)
    assert "Its upstream reports score-8" in text_of(signed_in(cast.auditor).get(version.get_absolute_url()))
    ask_upstreams()
    assert Event.objects.filter(event="upstream.answered").count() == 1
    upstream.says = {"model": {"version": "score-7"}}
    ask_upstreams()
    assert ask(version).allowed


def test_nobody_signs_for_what_the_upstream_no_longer_runs(cast, upstream):
    version = pinned(cast, upstream)
    policies.a_policy(cast, policies.a_document(evidence=[]), everywhere=True)
    request = world.a_request(cast, version)
    upstream.says = {"model": {"version": "score-8"}}
    ask_upstream(by=cast.developer, version=version)
    services.revise(by=cast.developer, request=request, note="It says so now.")
    with pytest.raises(Refusal) as caught:
        world.sign(cast.approver, request, "approval")
    assert caught.value.code == "upstream_differs"


def test_an_upstream_that_says_nothing_for_too_long_is_not_relied_on(cast, upstream, signed_in):
    version = pinned(cast, upstream)
    approved(cast, version)
    until = ask(version).valid_until
    upstream.status = 503
    assert ask_upstreams() == {"asked": 1, "changed": 0, "failed": 1}
    said = ask(version)
    assert (said.allowed, said.valid_until) == (True, until), "an answer of before lasts its time"
    Pins.objects.update(pinned_at=database_time() - timedelta(hours=73))
    said = ask(version)
    assert (said.allowed, said.state, codes(said.reasons)) == (False, "suspended", ["upstream_unchecked"])
    assert "status 503" in text_of(signed_in(cast.developer).get(version.get_absolute_url()))
    upstream.status = 200
    browser = signed_in(cast.developer)
    assert "It reports score-7, as pinned." in text_of(browser.post(f"/versions/{version.pk}/upstream/", follow=True))
    assert ask(version).allowed


def test_asking_now_by_page_and_api(cast, upstream, api, signed_in):
    version = pinned(cast, upstream)
    path = f"/api/v1/versions/{version.pk}/upstream/"
    assert api(cast.developer).post(path).json()["says"] == "score-7"
    assert api(cast.auditor).post(path).status_code == 403
    assert upstream.seen == 1, "whoever may not ask reaches nobody"
    upstream.says = {"model": {"version": ["score-7"]}}
    browser = signed_in(cast.developer)
    assert "has no text at model.version" in text_of(browser.post(f"/versions/{version.pk}/upstream/", follow=True))
    other = pinned(cast)
    assert api(cast.developer).post(f"/api/v1/versions/{other.pk}/upstream/").json()["code"] == "nobody_to_ask"


def test_no_address_within_is_reached(cast, upstream, settings):
    version = pinned(cast, upstream)
    settings.UPSTREAM_INTERNAL_HOSTS = []
    pins = ask_upstream(by=cast.developer, version=version)
    assert "is an address within" in pins.problem
    assert upstream.seen == 0


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "169.254.169.254", "100.64.0.1", "192.168.0.9", "224.0.0.1", "::1", "fd00::1",
     "fe80::1%eth0", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::"],
    ids=str,
)  # fmt: skip
def test_addresses_that_are_not_outside(address):
    assert not public(address)
    assert public("93.184.215.14")
    assert public("2606:2800:21f:cb07:6820:80da:af6b:8b2c")


def test_what_an_answer_says_is_read_in_one_place_only():
    assert told(b'{"data": [{"v": 7}]}', "data.0.v") == "7"
    for body in (b"", b"[]", b'{"v": true}', b'{"v": {}}', b'{"v": "a\\nb"}', json.dumps({"v": "x" * 201}).encode()):
        assert told(body, "v") == ""


def test_nothing_here_runs_it(cast):
    version = pinned(cast)
    endpoint = serving.an_endpoint(cast, model=version.model)
    dataset = worlds.a_dataset(cast)
    for act, given in (
        (bind_endpoint, {"endpoint": endpoint, "version": version}),
        (request_bias_report, {"version": version, "dataset": dataset, "source": "model"}),
        (request_explanation_report, {"version": version, "dataset": dataset}),
    ):
        with pytest.raises(Refusal) as caught:
            act(by=cast.model_owner if act is bind_endpoint else cast.developer, **given)
        assert caught.value.code == "bytes_not_here"
    assert request_bias_report(by=cast.developer, version=version, dataset=dataset, source="historical").pk


def test_the_verifier_says_so_and_finds_other_pins(cast, settings, tmp_path):
    files = unzipped(packed(cast.auditor, approved(cast, pinned(cast)))[1])
    keys = ["--key", log_key(settings.LOG_ORIGIN).vkey, "--key", portal_key().vkey]
    said = run(zipped(tmp_path / "pack.zip", files), *keys, "--json")
    assert said.code == 0, said.out
    assert "bytes not verified" in said.open
    manifest = json.loads(files["manifest.json"])
    manifest["pinned"]["image"] = None
    changed = resigned({**files, "manifest.json": canonical(manifest)})
    lied = run(zipped(tmp_path / "other.zip", changed), *keys)
    assert lied.code == 1
    assert "What it pins has not the digest of its artifact." in lied.out
