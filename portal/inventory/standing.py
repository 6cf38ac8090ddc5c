"""Where models stand, by the gate's own rule, in a fixed number of queries however many versions they have."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models import Case, F, Q, Value, When, Window
from django.db.models.functions import RowNumber

from accounts.models import User
from accounts.within import Within
from approvals import workflow
from approvals.gate import GateResult, evaluate_many, snapshot
from approvals.models import ReviewRequest
from inference.models import Endpoint
from portal.pages.standing import Stand, best

# For each model, environment and use so many of the newest versions that could be allowed are asked about.
WEIGHED = 5
Asked = tuple[int, int, str, str]  # model, version, environment, use


def stands_by_model(models: Collection[int], viewer: User) -> dict[int, list[Stand]]:
    """For each model's id its standing by environment and use: what is allowed there, else what was asked last."""
    return {pk: best(stands) for pk, stands in every_stand(models, viewer).items()}


def every_stand(models: Collection[int], viewer: User) -> dict[int, list[Stand]]:
    """For each model's id the gate's answers to all that may matter.

    Asked of the gate are the versions that are bound to an endpoint, the newest of those that were approved or are
    under review, and the newest of all others. Where the first of them is allowed, the older ones are not asked about.
    """
    first, older = {*bound(models, viewer)}, set[Asked]()
    for *one, place in asked(models, viewer):
        (first if place == 1 else older).add(tuple(one))
    with snapshot():
        told = evaluated(first)
        settled = {subject_of(one) for one, answer in told.items() if answer.allowed}
        told |= evaluated({one for one in older - first if subject_of(one) not in settled})
    found: dict[int, list[Stand]] = {}
    for (model, _, _, _), answer in told.items():
        if answer.version is not None:
            found.setdefault(model, []).append(Stand(answer.version, answer))
    return found


def evaluated(wanted: Collection[Asked]) -> dict[Asked, GateResult]:
    answers = evaluate_many([(version, environment, use) for _, version, environment, use in wanted]) if wanted else {}
    return {one: answers[one[1:]] for one in wanted}


def subject_of(one: Asked) -> tuple[int, str, str]:
    model, _, environment, use = one
    return model, environment, use


def asked(models: Collection[int], viewer: User) -> Any:
    """Model, version, environment, use and the place among those of its kind, the newest version first."""
    return ASKED(viewer.scope("approvals.view_request"), list(models))


def placed(requests: Any, models: Collection[int]) -> Any:
    kind = Case(
        When(Q(state__in=workflow.APPROVED, revocation__isnull=True), then=Value(1)),
        When(state__in=workflow.OPEN, then=Value(2)),
        default=Value(3),
    )
    newest = Window(
        RowNumber(),
        partition_by=[F("model"), F("environment"), F("use"), F("kind")],
        order_by=[F("version__number").desc(), F("id").desc()],
    )
    rows = requests.filter(model__in=models).order_by()
    chosen = rows.annotate(kind=kind).annotate(newest=newest).filter(Q(newest=1) | Q(kind__lt=3, newest__lte=WEIGHED))
    return chosen.values_list("model", "version", "environment", "use", "newest")


ASKED = Within(ReviewRequest.objects, "model__team", lambda rows, model: placed(rows, [model]), int)


def bound(models: Collection[int], viewer: User) -> Any:
    return BOUND(viewer.scope("inference.view_endpoint"), list(models))


def serving(endpoints: Any, models: Collection[int]) -> Any:
    rows = endpoints.filter(model__in=models, version__isnull=False).order_by()
    return rows.values_list("model", "version", "environment", "use")


BOUND = Within(Endpoint.objects, "model__team", lambda rows, model: serving(rows, [model]), int)
