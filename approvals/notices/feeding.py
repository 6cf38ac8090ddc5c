"""Telling owners that what feeds their model is no longer approved."""

from __future__ import annotations

from collections import defaultdict

from accounts.models import User
from accounts.preferences.telling import tell
from approvals import dossier as records
from approvals import workflow
from approvals.models import ReviewRequest
from approvals.notices.holding import HOLDING, speaking
from ledger.events import database_time
from registry.feeders.models import Feeder
from registry.models import Model


def feeder_ended(request: ReviewRequest, about: str, state: str, by: User | None = None) -> None:
    """An approval has ended, perhaps by somebody. Tell whoever else owns a model that uses the output, unless another
    version holds in its place; each once, of all their models together.
    """
    source = request.version.model
    rows = Feeder.objects.standing().filter(source=source).select_related("model__owner").order_by("model__name")
    found: dict[User, list[Model]] = defaultdict(list)
    for row in rows:
        if row.model.owner != by:
            found[row.model.owner].append(row.model)
    if not found or holds_otherwise(request):
        return
    for owner, models in found.items():
        scope = owner.scope("registry.view_model")
        if seen := [model for model in models if scope.covers(model.team_id)]:
            tell(
                [owner], "feeder_ended", about, path=seen[0].get_absolute_url(), models=seen, state=state,
                source=source if scope.covers(source.team_id) else None, environment=request.environment,
                use=request.use,
            )  # fmt: skip


def holds_otherwise(request: ReviewRequest) -> bool:
    """Whether another version of the model is approved for the same environment and use, and that holds."""
    others = speaking().filter(
        version__model=request.version.model_id, environment=request.environment, use=request.use
    ).exclude(version=request.version_id)  # fmt: skip
    at = database_time()
    return any(
        workflow.standing(each.case, at).state in HOLDING for each in records.open_dossiers(list(others)).values()
    )
