"""The pages of endpoints and keys, by plain forms, without JavaScript."""

from __future__ import annotations

import re
import uuid
from html import unescape

import pytest

from inference.models import Endpoint, InferenceKey
from ledger.models import Event
from tests import worlds
from tests.approvals import world as approvals
from tests.inference.world import USE, a_key, an_endpoint

pytestmark = pytest.mark.django_db


def text_of(answer):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


@pytest.fixture
def visit(signed_in):
    def go(who, path, status=200):
        answer = signed_in(who).get(path)
        assert answer.status_code == status, text_of(answer)[:500]
        return text_of(answer)

    return go


def a_form(cast, **changes):
    return {
        "name": "Loan desk", "holder": cast.model_owner.pk, "actions": ["infer"], "days": "90",
        "rate_per_minute": "600", "reason": "Screens applications.", "ticket": str(uuid.uuid4()), **changes,
    }  # fmt: skip


def test_from_nothing_to_a_key(cast, signed_in):
    request = approvals.an_approval(cast)
    version, owner = request.version, signed_in(cast.model_owner)
    assert "No endpoints yet" in text_of(owner.get("/endpoints/"))
    given = {"model": version.model_id, "name": "desk", "environment": "production", "use": USE}
    added = owner.post("/endpoints/new/", given)
    endpoint = Endpoint.objects.get()
    assert added.headers["Location"] == endpoint.get_absolute_url()
    assert "Serves nothing: no version is bound" in text_of(owner.get(endpoint.get_absolute_url()))
    offered = text_of(owner.get(f"/endpoints/{endpoint.pk}/bind/"))
    assert "Version 1: may serve now." in offered
    assert "Binding is not permission" in offered
    owner.post(f"/endpoints/{endpoint.pk}/bind/", {"version": version.pk})
    told = text_of(owner.get(endpoint.get_absolute_url()))
    assert f"Serves version 1 in production for {USE}" in told
    assert f"Open request {request.pk}" in told
    assert "/v2/models/desk/infer" in told
    assert '"shape": [1, 2], "data": [0.0, 0.0]' in told
    # Much hangs on it, so a key takes two people.
    assert "Ask for a key" in told
    asked = owner.post(f"/endpoints/{endpoint.pk}/keys/new/", a_form(cast))
    where = asked.headers["Location"]
    signed_in(cast.approver).post(f"{where}approve/", {"reason": "The desk needs it."})
    made = owner.post(f"{where}take/")
    assert made.status_code == 200
    key = InferenceKey.objects.get()
    (secret,) = re.findall(r'data-copy="(cs_live_[^"]+)"', made.content.decode())
    assert secret.startswith(f"cs_live_{key.key_id}_")
    assert "no-store" in made.headers["Cache-Control"]
    shown = text_of(owner.get(endpoint.get_absolute_url()))
    assert f"cs_live_{key.key_id}…" in shown
    assert secret not in shown


def test_a_form_sent_twice_adds_one_endpoint_and_issues_one_key(cast, signed_in):
    model, owner = worlds.a_model(cast), signed_in(cast.model_owner)
    given = {"model": model.pk, "name": "desk", "environment": "staging", "use": USE}
    first, second = owner.post("/endpoints/new/", given), owner.post("/endpoints/new/", given)
    assert first.headers["Location"] == second.headers["Location"]
    endpoint, form = Endpoint.objects.get(), a_form(cast)
    path = f"/endpoints/{endpoint.pk}/keys/new/"
    assert "cs_live_" in owner.post(path, form).content.decode()
    again = owner.post(path, form)
    assert again.status_code == 409
    assert "This form was sent already" in text_of(again)
    assert "cs_live_" not in again.content.decode()
    assert InferenceKey.objects.count() == 1


def test_each_form_has_a_ticket_of_its_own(cast, signed_in):
    client, path = signed_in(cast.model_owner), f"/endpoints/{an_endpoint(cast).pk}/keys/new/"
    tickets = {re.search(r'name="ticket" value="([^"]+)"', client.get(path).content.decode())[1] for _ in range(2)}
    assert len(tickets) == 2


def test_what_is_refused_stands_beside_what_was_typed(cast, signed_in):
    endpoint, owner = an_endpoint(cast), signed_in(cast.model_owner)
    taken = {"model": endpoint.model_id, "name": endpoint.name, "environment": "staging", "use": USE}
    answer = owner.post("/endpoints/new/", taken)
    assert answer.status_code == 422
    assert "An endpoint of this name is there already." in text_of(answer)
    assert f'value="{endpoint.name}"' in answer.content.decode()
    path, before = f"/endpoints/{endpoint.pk}/keys/new/", Event.objects.count()
    answer = owner.post(path, a_form(cast, rate_per_minute="0", name="Night batch"))
    assert answer.status_code == 422
    assert "Allow between 1 and 1,000,000 requests a minute." in text_of(answer)
    assert 'value="Night batch"' in answer.content.decode()
    assert [event.event for event in Event.objects.order_by("id")[before:]] == ["key.issued.refused"]
    answer = owner.post(path, a_form(cast, holder=cast.developer.pk))
    assert answer.status_code == 422
    answer = owner.post(f"/endpoints/{endpoint.pk}/bind/", {"version": "nothing"})
    assert answer.status_code == 422
    assert "The endpoint is bound to nothing already." in text_of(answer)
    assert owner.post(f"/endpoints/{endpoint.pk}/bind/", {"version": "12345"}).status_code == 422


def test_an_endpoint_can_be_freed(cast, signed_in):
    version = worlds.a_version(cast)
    endpoint = an_endpoint(cast, version)
    answer = signed_in(cast.model_owner).post(f"/endpoints/{endpoint.pk}/bind/", {"version": "nothing"})
    assert answer.status_code == 302
    endpoint.refresh_from_db()
    assert endpoint.version is None


def test_the_page_says_why_it_refuses_and_what_to_do(cast, visit):
    version = worlds.a_version(cast)
    page = an_endpoint(cast, version).get_absolute_url()
    told = visit(cast.model_owner, page)
    assert "Refuses to serve version 1 in production" in told
    assert "Nobody has asked for approval" in told
    assert "Ask for approval" in told
    request = approvals.an_approval(cast)
    served = an_endpoint(cast, request.version)
    from approvals.services import revoke

    revoke(by=cast.approver, request=request, reason="Drift in the field.")
    assert "The approval was revoked." in visit(cast.auditor, served.get_absolute_url())
    rows = visit(cast.auditor, "/endpoints/")
    assert "Refuses revoked" in rows
    assert "Refuses no approval" in rows


def test_the_list_filters(cast, visit):
    one, other = an_endpoint(cast), an_endpoint(cast, environment="staging")
    assert other.name in visit(cast.auditor, "/endpoints/")
    assert other.name not in visit(cast.auditor, "/endpoints/?environment=production")
    assert other.name not in visit(cast.auditor, f"/endpoints/?q={one.name}")
    assert "No endpoint fits" in visit(cast.auditor, "/endpoints/?q=nothing-like-it")
    assert one.name not in visit(cast.outsider, "/endpoints/")


def test_who_may_not_act_is_offered_nothing_and_refused(cast, visit, signed_in):
    endpoint = an_endpoint(cast)
    key, _ = a_key(cast, endpoint)
    page = endpoint.get_absolute_url()
    told = visit(cast.developer, page)
    assert "Issue a key" not in told
    assert "Bind a version" not in told
    assert "Revoke" not in told
    for path in (f"{page}bind/", f"{page}keys/new/", f"/keys/{key.pk}/revoke/", "/endpoints/new/"):
        visit(cast.developer, path, 403)
    for path in (page, f"{page}bind/", f"{page}keys/new/", f"/keys/{key.pk}/revoke/"):
        visit(cast.outsider, path, 404)
    answer = signed_in(cast.developer).post(f"{page}keys/new/", a_form(cast, holder=cast.developer.pk))
    assert answer.status_code == 403
    assert InferenceKey.objects.count() == 1


def test_revoking_a_key(cast, signed_in):
    key, _ = a_key(cast)
    owner, path = signed_in(cast.model_owner), f"/keys/{key.pk}/revoke/"
    assert "Every gateway refuses the key within a second" in text_of(owner.get(path))
    assert owner.post(path, {"reason": ""}).status_code == 422
    done = owner.post(path, {"reason": "The desk is closed."}, follow=True)
    assert "The key “Loan desk” is revoked." in text_of(done)
    assert "Revoked" in text_of(done)
    again = owner.post(path, {"reason": "The desk is closed."})
    assert again.status_code == 409
    assert "This key has been revoked already." in text_of(again)


def test_my_keys_and_those_of_my_teams(cast, visit):
    endpoint = an_endpoint(cast)
    a_key(cast, endpoint, name="Mine")
    a_key(cast, endpoint, name="Nightly", holder=cast.ci_bot)
    a_key(cast, endpoint, name="Short", days=3)
    mine = visit(cast.model_owner, "/keys/")
    assert "Mine" in mine
    assert "Expiring" in mine
    assert "Nightly" not in mine
    team = visit(cast.auditor, "/keys/?tab=team")
    assert "Nightly" in team
    assert endpoint.name in team
    assert "No keys" in visit(cast.auditor, "/keys/")
    assert "No keys" in visit(cast.outsider, "/keys/?tab=team")
