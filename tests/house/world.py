"""One world with an object for every address, so that each route can be tried on something real.

A route finds its object by the first part of its path (`versions/<int:pk>/card/` → a version). A route of a kind that
is not here, or a writing one without a body, is a hole, and the matrix fails on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.test import Client

from tests import worlds
from tests.approvals import policies, standing
from tests.approvals import world as approvals
from tests.cast import PASSWORD
from tests.inference import batches, counting
from tests.inference import world as serving
from tests.notifications import hooks
from tests.registry import importing, sources
from tests.sealing import seal_now


@dataclass
class World:
    cast: Any
    objects: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["objects"][name]
        except KeyError:
            raise AttributeError(name) from None


def build(cast: Any) -> World:
    """Everything belongs to team Credit. Takes seconds: build it once for many tries."""
    from accounts.services import add_account, issue_service_token
    from approvals.pack.making import make as make_pack
    from approvals.pack.services import OnBehalf as PackOnBehalf
    from approvals.pack.services import publish_pack, request_pack
    from approvals.reporting.services import save_draft
    from audits.erasing.choosing import Choice
    from audits.erasing.services import place_hold, request_erasure
    from audits.exports.making import make
    from audits.exports.selection import Selection
    from audits.services import OnBehalf, publish_export, request_export
    from fairness.services import request_bias_report
    from inference.batch.services import request_batch
    from jobs.services import cancel, claim
    from ledger.models import Checkpoint, Event
    from notifications.models import Notification
    from notifications.webhooks.services import pause_webhook
    from registry.feeders.services import record_feeder
    from tests.approvals import findings_world as judged
    from tests.fairness.auditing import applicants, stored_audit
    from tests.fairness.reporting import a_self_test, stored_explanation, stored_report

    version = approvals.a_complete_version(cast)
    dataset = worlds.a_dataset(cast)
    evidence = worlds.a_document(cast, version, by=cast.developer)
    wish = {"name": "CI", "scopes": ["registry.view_model"], "days": 1}
    robot_token, _ = issue_service_token(by=cast.platform_admin, account=cast.ci_bot, **wish)
    request = approvals.a_request(cast, version)
    save_draft(by=cast.validator, request=request, number=0, texts={"soundness": "It is sound."})
    job = request_bias_report(by=cast.developer, version=version, dataset=dataset, source="historical")
    cancelled = request_bias_report(by=cast.developer, version=version, dataset=dataset, source="model")
    cancel(by=cast.developer, job=cancelled, reason="wrong data")
    newcomer = add_account(by=cast.platform_admin, name="Nina Neu", email="newcomer@example.org")
    own_token(World(cast), cast.developer)
    wanted = looked_after(cast)
    Client().post("/sign-in/", {"email": cast.developer.email, "password": PASSWORD})  # a session in the list
    own_factor(cast.risk_officer)
    approved = approvals.an_approval(cast, version, environment="staging")
    finding = judged.a_finding(cast, version, "medium", request=request)
    answered = judged.an_answered_one(cast, version)
    risk = judged.a_risk(cast, approved, f"finding:{finding.pk}")
    endpoint = serving.an_endpoint(cast, version)
    key, key_text = serving.a_key(cast, endpoint)
    counting.some(endpoint, key)
    guarded = serving.an_endpoint(cast, version, two=True)
    other = worlds.a_version(cast, model=version.model, weight=2.0)
    rollout = serving.a_rollout(cast, endpoint, other, share=5)
    shadow = serving.a_rollout(cast, serving.an_endpoint(cast, version, environment="staging"), other)
    prediction = serving.a_prediction(endpoint, key)
    serving.a_loss(endpoint)
    desk = serving.an_endpoint(cast, version, environment="staging")
    batch, schedule = batches.a_stored_batch(cast, desk, dataset)
    unscored = request_batch(by=cast.model_owner, endpoint=desk, dataset=dataset, chunk_rows=7)
    export = request_export(
        by=cast.auditor, account=cast.auditor, team=cast.team, kind="csv", selection=Selection(need="approval")
    )
    written = make(export, 1, lambda percent, phase: None)
    held = claim(export.job_id)
    assert held is not None
    publish_export(by=OnBehalf(cast.auditor), export=export, made=written, claim=held)
    seal_now()
    pack = request_pack(by=cast.auditor, request=approved)
    packed = make_pack(pack, 1, lambda percent, phase: None)
    held = claim(pack.job_id)
    assert held is not None
    publish_pack(by=PackOnBehalf(cast.auditor), pack=pack, made=packed, claim=held)
    hold = place_hold(by=cast.risk_officer, kind="model", model=str(version.model.pk), reason="a lawsuit")
    choice = Choice("person", newcomer.email)
    erasure = request_erasure(by=cast.platform_admin, choice=choice, ground="objection", reason="she asked us to")
    proposal = policies.a_proposal(cast)
    Notification.objects.filter(kind="credentials").update(state="failed", error="The mail server answered with 451.")
    told = Notification.objects.filter(kind="credentials").latest("id")
    seal_now()
    size = Checkpoint.objects.latest("size").size
    assert size < 256
    waiting = request_export(by=cast.auditor, account=cast.auditor, team=None, kind="csv", selection=Selection())
    unpacked = request_pack(by=cast.auditor, request=approved)
    pinned = worlds.a_pinned_version(cast, ask_url="https://vendor.example/v1/model", ask_field="model.version")
    feeder = record_feeder(
        by=cast.developer, model=version.model, source=pinned.model, takes="Its score.", reason="The best we have."
    )
    hook, _ = hooks.a_webhook(cast)
    paused, _ = hooks.a_webhook(cast, name="Chat", url="https://93.184.215.14/chat")
    pause_webhook(by=cast.platform_admin, webhook=paused, reason="moves house")
    connection = sources.a_connection(cast)
    elsewhere = sources.a_connected_dataset(cast, connection)
    unread = request_batch(by=cast.model_owner, endpoint=desk, dataset=elsewhere, keys=["income", "debt"])
    people = applicants(cast)
    audit, bias = stored_audit(cast, version, people), stored_report(cast, version, dataset)
    return World(
        cast,
        {
            "versions": version,
            "other": other,
            "models": version.model,
            "connections": connection,
            "datasets": dataset,
            "training": worlds.a_dataset(cast, purpose="training"),
            "artifacts": worlds.an_upload(cast, b"a,b\n1,2\n", "table.csv"),
            "evidence": evidence,
            "reports": stored_explanation(cast, version, dataset),
            "self-tests": a_self_test(cast, version, dataset, cast.second_developer),
            "requests": request,
            "findings": finding,
            "risk-acceptances": risk,
            "policies": request.policy_version,
            "proposals": proposal,
            "delegations": standing.a_delegation(cast, cast.approver, cast.second_approver),
            "jobs": job,
            "people": cast.ci_bot,
            "grants": cast.ci_bot.grants.get(),
            "grant-proposals": wanted,
            "robot_token": robot_token,
            "applicants": people,
            "audit": audit,
            "bias": bias,
            "endpoints": endpoint,
            "rollouts": rollout,
            "keys": key,
            "key-requests": serving.a_key_request(cast, guarded),
            "prediction": prediction,
            "batches": batch,
            "batch-schedules": schedule,
            "key_text": key_text,
            "erasures": erasure,
            "holds": hold,
            "exports": export,
            "feeders": feeder,
            "packs": pack,
            "imports": importing.an_import(cast),
            "inventory_file": importing.a_file(cast, "Model,Use\nLimits,Sets limits.\n"),
            "notifications": told,
            "webhooks": hook,
            "shared_filter": own_filter(cast.developer, cast.team),
            "place": f"0/000.p/{size}",
            "size": size,
            "more": [
                ("job", cancelled.pk),
                ("report", bias.pk),
                ("person", newcomer.pk),
                ("person", cast.second_approver.pk),
                ("person", cast.risk_officer.pk),
                ("version", pinned.pk),
                ("request", approved.pk),
                ("finding", answered.pk),
                ("audit-entry", Event.objects.latest("id").pk),
                ("export", waiting.pk),
                ("pack", unpacked.pk),
                ("webhook", paused.pk),
                ("endpoint-batches", desk.pk),
                ("batch", unscored.pk),
                ("batch", unread.pk),
                ("report", audit.pk),
                ("rollout", shadow.pk),
                ("endpoint", guarded.pk),
                ("key-request", serving.an_approved_one(cast, guarded).pk),
                ("endpoint", serving.an_endpoint(cast, version, environment="staging").pk),
                ("dataset", elsewhere.pk),
            ],
            "events": Event.objects.sealed().filter(team_id=cast.team.pk).latest("id"),
        },
    )


def looked_after(cast: Any) -> Any:
    """Access in all its states: a grant that is due, credentials just changed, and a grant that another proposes."""
    from datetime import timedelta

    from django.db.models.functions import Now

    from accounts.models import Grant, Role
    from accounts.services import add_account, grant_role
    from accounts.takeover.services import change_address
    from ledger.actors import SystemActor
    from tests.accounts.world import proposed

    Grant.objects.filter(user=cast.ci_bot).update(granted_at=Now() - timedelta(days=200))
    change_address(
        by=cast.platform_admin, account=cast.second_approver, email="ada.moreau@example.org", reason="she married"
    )
    console = SystemActor("console", frozenset({"accounts.grant_role"}))
    second = add_account(by=cast.platform_admin, name="Paul Zweit", email="paul@example.org")
    administrator = Role.objects.get(slug="platform_administrator")
    grant_role(by=console, account=second, role=administrator, team=None, reason="the second one")
    return proposed(second, second, team=cast.team)


def judged_day() -> Any:
    from tests.approvals.findings_world import in_days

    return in_days(20)


def own_token(world: World, actor: Any) -> Any:
    from accounts.services import create_own_token

    name = f"own {next(worlds.NUMBERS)}"
    return create_own_token(by=actor, account=actor, name=name, scopes=["registry.view_model"], days=1)[0]


def own_factor(actor: Any) -> Any:
    from accounts.models import Factor
    from tests.accounts.device import add_app

    add_app(actor, f"app {next(worlds.NUMBERS)}")
    return Factor.objects.filter(user=actor).latest("id")


def own_filter(actor: Any, team: Any = None) -> Any:
    from registry.saved.services import save_filter

    name = f"own {next(worlds.NUMBERS)}"
    return save_filter(by=actor, account=actor, name=name, query={"tier": "high"}, team=team)


def own_receipt(world: World, actor: Any) -> Any:
    from ledger.models import Event

    if actor is None:
        return world.objects["events"].pk
    own_token(world, actor)
    return Event.objects.filter(actor_id=str(actor.opaque_id)).latest("id").pk


def found_by(world: World, name: str, path: str, actor: Any) -> Any:
    """What a path argument stands for, or KeyError, which is a hole."""
    if name == "number":
        return 1
    if name == "pk":
        first = path.removeprefix("api/v1/").partition("/")[0]
        if path.endswith("/ll144.pdf"):
            return world.audit.pk
        if first == "reports" and path.endswith("/compare/"):
            return world.bias.pk
        if path.startswith("account/factors"):
            return own_factor(actor).pk if actor is not None else 1
        if first in ("tokens", "account"):
            return own_token(world, actor).pk if actor is not None else world.robot_token.pk
        if first == "saved-filters" or path.startswith("models/filters"):
            return own_filter(actor).pk if actor is not None else world.shared_filter.pk
        if "receipts" in path.split("/"):
            return own_receipt(world, actor)
        if path.startswith("policies/proposals"):
            return world.proposals.pk
        if path.startswith("people/grants"):
            return world.grants.pk
        if path.startswith("people/tokens"):
            return world.robot_token.pk
        return world.objects["events" if first == "audit" else first].pk
    if name == "text":
        return "1-none"
    if name in ("place", "size"):
        return world.objects[name]
    return world.objects[name].pk
