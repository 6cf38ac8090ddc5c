"""Pages about reports: asking for one, reading one, taking its numbers along."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from fairness import explaining, presenting, services
from fairness.forms import FIELDS, ReportForm
from fairness.ll144 import presenting as ll144
from fairness.reports import beside, content_of, visible_report
from fairness.reports import reports as all_reports
from fairness.tabling import as_csv
from fairness.tradeoff import presenting as tradeoff
from jobs.models import Job
from ledger.refusals import Refusal
from registry.downloads import attachment
from registry.models import Dataset, Evidence, Version
from registry.services import record_download

PAGE = 100
TONES = {"within": "ok", "outside": "no", "inconclusive": "wait", "too_few": "wait"}


@require_GET
def reports(request: HttpRequest) -> HttpResponse:
    rows = all_reports().visible_to(request.user)[:PAGE]
    return render(request, "fairness/list.html", {"rows": rows})


@require_GET
def report(request: HttpRequest, pk: int) -> HttpResponse:
    evidence = visible_report(request.user, pk)
    found = content_of(evidence)
    context = about(evidence.version) | {
        "evidence": evidence, "report": found, "lead": lead(evidence),
        "job": Job.objects.filter(pk=evidence.summary.get("job")).first(),
        "may_ask": request.user.has_perm("fairness.request_report", evidence.version),
        "may_download": request.user.has_perm("registry.download_artifact", evidence),
    }  # fmt: skip
    return render(request, f"fairness/{body_of(evidence)}.html", context | parts_of(evidence, found))


def body_of(evidence: Evidence) -> str:
    """The name of a report's templates: one of its page, and with `_` before it of its parts."""
    bodies = {services.EXPLANATION: "explanation", services.LL144: "ll144", services.TRADE_OFF: "tradeoff"}
    return bodies.get(evidence.kind, "bias")


def parts_of(evidence: Evidence, found: dict[str, Any]) -> dict[str, Any]:
    """What the templates of a report's kind need."""
    if evidence.kind == services.EXPLANATION:
        return explanation_parts(found)
    if evidence.kind == services.LL144:
        return ll144.parts(found)
    if evidence.kind == services.TRADE_OFF:
        words = presenting.decision_in_words(found["provenance"]["parameters"]["decision"])
        return tradeoff.parts(found) | {"decision_words": words}
    return bias_parts(evidence, found)


def about(version: Version) -> dict[str, Any]:
    return {"subject": version, "version_name": f"Version {version.number}", "section": "models"}


def lead(evidence: Evidence) -> str:
    if evidence.kind == services.EXPLANATION:
        return f"What moves the score of {evidence.version}, and whether it does so in the same way for all groups"
    if evidence.kind == services.LL144:
        return f"Rates and impact ratios of {evidence.version} for a bias audit; the audit is the independent auditor's"
    if evidence.kind == services.TRADE_OFF:
        return f"What less disparity between groups would cost {evidence.version} in accuracy; never applied here"
    return f"{evidence.version}: {services.SOURCES[evidence.summary['source']]}"


def bias_parts(evidence: Evidence, found: dict[str, Any]) -> dict[str, Any]:
    other = beside(evidence)
    return {
        "tone": TONES[found["result"]["verdict"]],
        "rule_words": presenting.rule_in_words(found["result"]["rule"]),
        "compared": presenting.COMPARED[found["result"]["rule"]["comparison"]],
        "decision_words": presenting.decision_in_words(found["provenance"]["parameters"]["decision"]),
        "tests": presenting.tests(found),
        "details": [presenting.details(table) for table in found["attributes"]],
        "gaps": presenting.gaps(found),
        "crossed": presenting.crossed(found),
        "other": other,
        "pairs": presenting.side_by_side(found, content_of(other)) if other else [],
        "metric_words": presenting.TESTABLE[found["result"]["rule"]["metric"]],
    }


def explanation_parts(found: dict[str, Any]) -> dict[str, Any]:
    return {
        "plot": explaining.importance(found),
        "features": explaining.features(found),
        "groups": explaining.by_group(found),
        "residual": explaining.residual(found),
        "decision_words": presenting.decision_in_words(found["provenance"]["parameters"]["decision"]),
    }


@require_GET
def content(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The report's exact bytes; the download is recorded."""
    evidence = visible_report(request.user, pk)
    return attachment(record_download(by=request.user, of=evidence), evidence.filename, evidence.media_type)


@require_GET
def table(request: HttpRequest, pk: int) -> HttpResponse:
    evidence = visible_report(request.user, pk)
    response = HttpResponse(as_csv(content_of(evidence)), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{evidence.filename.removesuffix(".json")}.csv"'
    return response


@require_http_methods(["GET", "POST"])
def ask(request: HttpRequest, pk: int) -> HttpResponse:
    rows = Version.objects.visible_to(request.user).select_related("model__team", "artifact")
    version = get_object_or_404(rows, pk=pk)
    datasets = list(Dataset.objects.visible_to(request.user).filter(team=version.team_id).select_related("artifact"))
    dataset = chosen(request, datasets)
    context = about(version) | {"datasets": datasets, "dataset": dataset, "lead": str(version)}
    if dataset is None:
        return render(request, "fairness/ask.html", context)
    form = ReportForm(request.POST if request.method == "POST" else None, dataset=dataset, initial=wanted(request))
    if form.is_valid() and (job := asked(request, form, version, dataset)):
        return redirect(job)
    return render(request, "fairness/ask.html", context | {"form": form}, status=422 if form.errors else 200)


def chosen(request: HttpRequest, datasets: list[Dataset]) -> Dataset | None:
    """The dataset that the address names, or the only one there is."""
    key = request.GET.get("dataset", "")
    named = [dataset for dataset in datasets if str(dataset.pk) == key]
    return next(iter(named or (datasets if len(datasets) == 1 else [])), None)


def wanted(request: HttpRequest) -> dict[str, str]:
    return {"what": request.GET["what"]} if request.GET.get("what") else {}


def asked(request: HttpRequest, form: ReportForm, version: Version, dataset: Dataset) -> Job | None:
    """The job, or None with the refusal on the form."""
    what, by = form.cleaned_data["what"], request.user
    try:
        if what == "explanation":
            return services.request_explanation_report(by=by, version=version, dataset=dataset)
        return services.request_bias_report(
            by=by, version=version, dataset=dataset, source=what, sensitive=form.cleaned_data["sensitive"],
            rule=form.rule(),
        )  # fmt: skip
    except Refusal as refusal:
        form.add_error(FIELDS.get(refusal.field or ""), refusal.sentence)
    return None
