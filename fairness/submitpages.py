"""The page for predictions that were made elsewhere. What the API takes as a list comes in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import TemporaryUploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods

from accounts.asking import asker
from fairness.checking import MAX_PREDICTIONS, TOO_MANY
from fairness.forms import SubmittedForm
from fairness.services import submit_predictions
from fairness.views import about, chosen
from jobs.models import Job
from ledger.refusals import Refusal
from registry.models import Dataset, Version
from registry.tables import reader
from registry.tables.problems import TableProblem
from registry.views.answers import answered, need


@require_http_methods(["GET", "POST"])
def submit(request: HttpRequest, pk: int) -> HttpResponse:
    rows = Version.objects.visible_to(request.user).select_related("model__team", "artifact")
    version = get_object_or_404(rows, pk=pk)
    need(request, "fairness.request_report", version)
    datasets = list(Dataset.objects.visible_to(request.user).filter(team=version.team_id).select_related("artifact"))
    dataset = chosen(request, datasets)
    context = about(version) | {"datasets": datasets, "dataset": dataset, "lead": str(version)}
    if dataset is None:
        return render(request, "fairness/submit.html", context)
    form = SubmittedForm(request.POST or None, request.FILES or None, dataset=dataset)

    def act(given: dict[str, Any]) -> Job:
        by, predictions = asker(request), None
        # Whoever may not ask is refused by the service, and no file of theirs is read before.
        if given["where"] == "file" and by.has_perm("fairness.request_report", version):
            predictions = predictions_in(given["file"], given["column"])
        return submit_predictions(by=by, version=version, dataset=dataset, predictions=predictions, **form.values())

    return answered(request, "fairness/submit.html", form, act, context)


def predictions_in(file: TemporaryUploadedFile, column: str) -> list[Any]:
    """The values of a file's column, read in the sandbox; the file itself is not kept. Raises Refusal."""
    try:
        found = reader.values(Path(file.temporary_file_path()), column, MAX_PREDICTIONS + 1)
    except TableProblem as problem:
        field = "column" if problem.code in ("column_missing", "column_unclear") else "predictions"
        raise Refusal(problem.code, problem.sentence, field) from problem
    if len(found) > MAX_PREDICTIONS:
        raise Refusal("too_long", TOO_MANY, "predictions")
    return found
