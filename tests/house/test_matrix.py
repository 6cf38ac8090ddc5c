"""Role × endpoint × method, over every API route that the resolver knows, on real objects of team Credit.

What should happen is worked out for every role. Of roles to whom the same should happen one is tried, in turn from
route to route, and strangers always; with `--long` every role tries everything.

Nobody gets 401. Whoever may, is let through to the rules (which may still refuse: 409, 422). Whoever may not gets 403,
or 404 for what they cannot even see. The outsider sees nothing: object routes 404, lists empty, creation 403.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import transaction

from accounts.catalogue import EVERYBODY, PERMISSIONS
from ledger.actors import ANONYMOUS
from tests.house.bodies import BODIES, RAW, send
from tests.house.routes import Route, routes
from tests.house.world import World, build, found_by

pytestmark = pytest.mark.django_db
PUBLIC = {"api-schema"}  # the description of the API itself
HTTP = ("GET", "POST", "PUT", "PATCH", "DELETE")
# Lists of what is one's own: they are never empty, and never another's.
OWN = {"api-me", "api-me-notifications", "api-tokens", "api-teams", "api-roles", "api-grants", "api-people"}
# What is the same for every team.
HOUSE = {"api-policies", "api-policy-bindings", "api-proposals", "log-checkpoint", "log-keys"}
SECOND = {"second_developer", "second_approver"}  # a role's second person has the same rights as the first
WHOLE = {"log-tile"}  # what only those get who hold the permission for every team
# Naming in a body what one cannot see is answered like naming what is not there.
HIDDEN = {"does_not_exist", "unknown_version", "unknown_request"}


def api_routes() -> list[Route]:
    return [route for route in routes() if route.is_api and route.name not in PUBLIC]


def methods(route: Route) -> list[str]:
    return [method for method in HTTP if hasattr(route.view, method.lower())]


def test_every_route_says_what_it_needs():
    holes = [
        f"{route.name} {method}"
        for route in api_routes()
        for method in methods(route)
        if method not in getattr(route.view, "permissions", {})
    ]
    assert holes == []
    unknown = {
        needed
        for route in api_routes()
        for needed in route.view.permissions.values()
        if needed not in {*PERMISSIONS, None}
    }
    assert unknown == set()


def test_every_writing_route_has_a_body_to_try_it_with():
    asked = {(route.name, method) for route in api_routes() for method in methods(route) if method != "GET"}
    assert sorted(asked - set(BODIES) - {(name, method) for name, method in asked if name in RAW}) == []
    assert sorted(set(BODIES) - asked - {("api-gate", "GET")}) == [], "bodies of routes that are no more"


def codes(answer: Any) -> set[str]:
    problem = json.loads(answer.content)
    return {problem["code"], *(error["code"] for error in problem.get("errors", []))}


def empty(answer: Any) -> bool:
    """A list without entries, or metrics without a sample."""
    if answer["Content-Type"].startswith("text/plain"):
        return all(line.startswith("#") for line in answer.content.decode().splitlines())
    return bool(json.loads(answer.content).get("results") == [])


class Matrix:
    def __init__(self, world: World, api: Any) -> None:
        self.world, self.wrong, self.tried = world, list[str](), set[str]()
        self.scopes: dict[tuple[int, str], bool] = {}  # what each try changes is undone, so rights stay the same
        people = {name: who for name, who in world.cast.everybody().items() if name not in SECOND}
        self.actors = {**people, "nobody": None}
        self.clients = {name: api(actor) for name, actor in self.actors.items()}
        for client in self.clients.values():
            client.get("/api/v1/me/")  # a token's use is written down once a minute, and each try here is undone
        self.views = {
            route.path.removeprefix("api/v1/").partition("/")[0]: route.view.permissions.get("GET")
            for route in api_routes()
            if route.path.count("/") == 4 and route.arguments == ("pk",)
        }

    def holds(self, actor: Any, needed: str | None) -> bool:
        if needed is None or needed in EVERYBODY or ANONYMOUS.has_perm(needed):
            return True  # what strangers may do, everybody may
        key = (actor.pk, needed)
        if key not in self.scopes:
            self.scopes[key] = bool(actor.scope(needed).covers(self.world.cast.team.pk))
        return self.scopes[key]

    def sees(self, actor: Any, route: Route) -> bool:
        """Whether somebody may look at the object of a route."""
        view = self.views.get(route.path.removeprefix("api/v1/").partition("/")[0])
        return view is not None and self.holds(actor, view)

    def allowed(self, actor: Any, route: Route, method: str) -> set[int] | None:
        """The statuses that are right, None for any that lets the act through to its rules."""
        needed = route.view.permissions[method]
        if needed and ANONYMOUS.has_perm(needed):
            return None
        if actor is None:
            return {401}
        if route.name in WHOLE:
            return None if actor.scope(needed).everywhere else {403}
        if route.name == "api-proposal":
            return None if actor.may_somewhere(needed) else {404}
        if route.name == "api-person" and actor == self.world.people:
            return None
        if self.holds(actor, needed) and (not route.arguments or route.name in OWN or self.visible(actor, route)):
            return None
        if route.arguments:
            return {403} if self.visible(actor, route) else {404}
        return {200, 403, 404} if method == "GET" else {403}

    def visible(self, actor: Any, route: Route) -> bool:
        first = route.path.removeprefix("api/v1/").partition("/")[0]
        if first in ("tokens", "receipts", "saved-filters"):
            return True  # each tries it on one of their own
        if first == "delegations":
            party = actor in (self.world.cast.approver, self.world.cast.second_approver)
            return party or self.holds(actor, "accounts.view_people")
        if first == "proposals":  # policies hold for every team
            return bool(actor.may_somewhere("approvals.view_request"))
        if first == "self-tests":  # whoever is not named does not see it, whatever their role
            return actor in (self.world.cast.developer, self.world.cast.second_developer)
        if first in ("people", "grants"):
            return actor == self.world.cast.ci_bot or self.holds(actor, "accounts.view_people")
        return self.sees(actor, route)

    def some(self, route: Route, method: str, number: int) -> set[str]:
        """Strangers, and one of all those to whom the same should happen: another one from route to route."""
        alike: dict[Any, list[str]] = {}
        for name, actor in self.actors.items():
            right = self.allowed(actor, route, method)
            alike.setdefault(None if right is None else frozenset(right), []).append(name)
        return {"nobody", "outsider", *(names[number % len(names)] for names in alike.values())}

    def attempt(self, route: Route, method: str, name: str) -> None:
        self.tried.add(name)
        actor = self.actors[name]
        point = transaction.savepoint()
        arguments = {one: found_by(self.world, one, route.path, actor) for one in route.arguments}
        answer = send(self.clients[name], self.world, actor, route.name, method, route.reverse(**arguments))
        if answer.streaming:
            b"".join(answer.streaming_content)
        transaction.savepoint_rollback(point)
        self.judge(route, method, name, answer)

    def judge(self, route: Route, method: str, name: str, answer: Any) -> None:
        right, status = self.allowed(self.actors[name], route, method), answer.status_code
        text = "" if answer.streaming else answer.content[:300].decode(errors="replace")
        said = f"{name}: {method} {route.path} → {status} {text}"
        if status == 422 and right == {403} and codes(answer) & HIDDEN:
            return
        if (
            status >= 500
            or (right is None and status in (401, 403, 404))
            or (right is not None and status not in right)
        ):
            self.wrong.append(f"{said}\n    expected {right or 'to be let through'}")
        lists = method == "GET" and not route.arguments and route.name not in OWN | HOUSE and status == 200
        if name == "outsider" and lists and not answer.streaming and not empty(answer):
            self.wrong.append(f"{said}\n    a list that should be empty")


def test_each_role_gets_what_it_may_and_no_more(cast, api, request):
    matrix, everybody = Matrix(build(cast), api), request.config.getoption("--long")
    number = 0
    for route in api_routes():
        for method in methods(route):
            number += 1
            for name in matrix.actors if everybody else matrix.some(route, method, number):
                matrix.attempt(route, method, name)
    assert not matrix.wrong, "\n".join(matrix.wrong)
    assert matrix.tried == set(matrix.actors), "over all routes, everybody had a turn"


def test_the_matrix_can_fail(cast, api):
    """A route that lets everybody in, one that forgot somebody, and one that hides nothing are noticed."""
    from django.http import JsonResponse

    matrix = Matrix(World(cast), api)

    class Wrong:
        permissions = {"GET": "registry.register_model"}

    one, many = Route("x", "api/v1/models/<int:pk>/", Wrong, ("pk",)), Route("x", "api/v1/models/", Wrong, ())
    for route, name, body in [
        (one, "nobody", {}), (one, "outsider", {}), (one, "auditor", {}), (many, "outsider", {"results": [1]}),
    ]:  # fmt: skip
        before = len(matrix.wrong)
        matrix.judge(route, "GET", name, JsonResponse(body))
        assert len(matrix.wrong) == before + 1
    matrix.judge(one, "GET", "developer", JsonResponse({}, status=403))
    matrix.judge(one, "GET", "developer", JsonResponse({}, status=500))
    assert len(matrix.wrong) == 6
    matrix.judge(one, "GET", "developer", JsonResponse({}, status=409))
    matrix.judge(one, "GET", "outsider", JsonResponse({}, status=404))
    assert len(matrix.wrong) == 6
