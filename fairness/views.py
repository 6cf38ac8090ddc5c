"""Pages about reports: asking for one, reading one, taking its numbers along."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from fairness import explaining, figuring, presenting, services
from fairness.asking import Asking
from fairness.ll144 import presenting as ll144
from fairness.naming import one_class
from fairness.papers.making import paper
from fairness.reports import Shown, beside, content_of, leaving, outline_of, visible_report
from fairness.reports import reports as all_reports
from fairness.rows.services import count as rows_count
from fairness.selftest.models import SelfTest
from fairness.tabling import as_csv
from fairness.tradeoff import presenting as tradeoff
from jobs.models import Job
from ledger.canonical import canonical
from ledger.refusals import Refusal
from registry.downloads import attachment
from registry.models import Dataset, Version
from registry.services import record_download

PAGE = 100
Read = Callable[[Shown], dict[str, Any]]
Offers = Callable[[Version], list[Any]]
# The name of a kind's templates: one of its page, and with `_` before it of its parts.
BODIES = {
    services.BIAS: "bias", services.EXPLANATION: "explanation", services.COMPARISON: "comparison",
    services.LL144: "ll144", services.TRADE_OFF: "tradeoff",
}  # fmt: skip
TONES = {"within": "ok", "outside": "no", "inconclusive": "wait", "too_few": "wait"}


@require_GET
def reports(request: HttpRequest) -> HttpResponse:
    rows = all_reports().visible_to(request.user)[:PAGE]
    named = SelfTest.objects.visible_to(request.user).filter(lifted_at=None).select_related("version__model", "job")
    return render(request, "fairness/list.html", {"rows": rows, "named": named[:PAGE]})


@require_GET
def report(request: HttpRequest, pk: int) -> HttpResponse:
    evidence = visible_report(request.user, pk)
    found = content_of(evidence)
    context = about(evidence.version) | parts_of(evidence, found) | {
        "evidence": evidence, "lead": lead(evidence),
        "job": Job.objects.filter(pk=evidence.summary.get("job")).first(),
        "may_ask": request.user.has_perm("fairness.request_report", evidence.version),
        "may_download": request.user.has_perm("registry.download_artifact", evidence),
    }  # fmt: skip
    if evidence.kind == services.EXPLANATION:
        context |= {
            "rows_count": rows_count(evidence),
            "may_read": bool(evidence.dataset) and request.user.has_perm("registry.read_rows", evidence.dataset),
        }
    return render(request, f"fairness/{BODIES[evidence.kind]}.html", context)


def about(version: Version) -> dict[str, Any]:
    return {"subject": version, "version_name": f"Version {version.number}", "section": "models"}


def lead(evidence: Shown) -> str:
    if evidence.kind == services.EXPLANATION:
        return f"What moves the score of {evidence.version}, and whether it does so in the same way for all groups"
    if evidence.kind == services.COMPARISON:
        return f"How {evidence.version} decides about the same rows as the version before"
    if evidence.kind == services.LL144:
        return f"Rates and impact ratios of {evidence.version} for a bias audit; the audit is the independent auditor's"
    if evidence.kind == services.TRADE_OFF:
        return f"What less disparity between groups would cost {evidence.version} in accuracy; never applied here"
    return f"{evidence.version}: {services.SAID[evidence.summary['source']]}"


def parts_of(evidence: Shown, found: dict[str, Any], read: Read = content_of) -> dict[str, Any]:
    """What a report's page, paper and page in a pack are made of. `read` reads the report beside it in the same way."""
    whole = {"report": found, "outline": outline_of(evidence)}
    if evidence.kind == services.BIAS:
        return bias_parts(evidence, found, read) | whole
    return PARTS[evidence.kind](found) | whole


def bias_parts(evidence: Shown, found: dict[str, Any], read: Read = content_of) -> dict[str, Any]:
    other = beside(evidence)
    return {
        "tone": TONES[found["result"]["verdict"]],
        "rule_words": presenting.rule_in_words(found["result"]["rule"]),
        "further": presenting.further(found),
        "compared": presenting.COMPARED[found["result"]["rule"]["comparison"]],
        "decision_words": presenting.decisions_of(found),
        "tests": presenting.tests(found),
        "memberships": presenting.memberships(found),
        "details": [presenting.details(table) for table in found["attributes"]],
        "gaps": presenting.gaps(found),
        "crossed": presenting.crossed(found),
        "figures": figuring.sections(found),
        "other": other,
        "pairs": presenting.side_by_side(found, read(other)) if other else [],
        "metric_words": presenting.TESTABLE[found["result"]["rule"]["metric"]],
    }


def explanation_parts(found: dict[str, Any]) -> dict[str, Any]:
    return {
        **explaining.parts(found),
        "decision_words": presenting.decision_in_words(found["provenance"]["parameters"]["decision"]),
    }


def comparison_parts(found: dict[str, Any]) -> dict[str, Any]:
    sides = [(found[side], found["provenance"]["parameters"][side]["decision"]) for side in ("old", "new")]
    return {
        "moves": presenting.moves(found),
        "decision_words": "; ".join(f"{name}: {presenting.decision_in_words(rule)}" for name, rule in sides),
    }


def trade_off_parts(found: dict[str, Any]) -> dict[str, Any]:
    words = presenting.decision_in_words(found["provenance"]["parameters"]["decision"])
    return tradeoff.parts(found) | {"decision_words": words}


PARTS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    services.EXPLANATION: explanation_parts, services.COMPARISON: comparison_parts, services.LL144: ll144.parts,
    services.TRADE_OFF: trade_off_parts,
}  # fmt: skip


@require_GET
def content(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The report's exact bytes; the download is recorded."""
    evidence = visible_report(request.user, pk)
    return attachment(record_download(by=request.user, of=evidence), evidence.filename, evidence.media_type)


@require_GET
def document(request: HttpRequest, pk: int) -> HttpResponse:
    """The report as a PDF without small groups; the download is recorded as that of its bytes is."""
    evidence = visible_report(request.user, pk)
    record_download(by=request.user, of=evidence)
    return as_pdf(evidence)


def as_pdf(evidence: Shown) -> HttpResponse:
    made = paper(evidence, parts_of(evidence, leaving(evidence), leaving), lead(evidence))
    return download(evidence, made, ".pdf", "application/pdf")


def download(evidence: Shown, made: bytes | str, ending: str, media_type: str) -> HttpResponse:
    response = HttpResponse(made, content_type=media_type)
    response["Content-Disposition"] = f'attachment; filename="{evidence.filename.removesuffix(".json")}{ending}"'
    return response


@require_GET
def public(request: HttpRequest, pk: int) -> HttpResponse:
    """The report's JSON for outsiders: without small groups, so that its digest is another than that of the report."""
    evidence = visible_report(request.user, pk)
    record_download(by=request.user, of=evidence)
    return download(evidence, canonical(leaving(evidence)), "-abridged.json", "application/json")


@require_GET
def table(request: HttpRequest, pk: int) -> HttpResponse:
    evidence = visible_report(request.user, pk)
    return download(evidence, as_csv(leaving(evidence)), ".csv", "text/csv; charset=utf-8")


@require_http_methods(["GET", "POST"])
def ask(request: HttpRequest, pk: int, offers: Offers | None = None) -> HttpResponse:
    """`offers` are what policies want of the version, each with the address that fills it in."""
    rows = Version.objects.visible_to(request.user).select_related("model__team", "artifact")
    version = get_object_or_404(rows, pk=pk)
    datasets = list(Dataset.objects.visible_to(request.user).filter(team=version.team_id).select_related("artifact"))
    dataset = chosen(request, datasets)
    context = about(version) | {
        "datasets": datasets, "dataset": dataset, "lead": str(version),
        "offers": [(each, each.on(dataset)) for each in (offers(version) if offers else [])],
        "carried": [(name, each) for name, said in request.GET.lists() if name != "dataset" for each in said],
    }  # fmt: skip
    if dataset is None:
        return render(request, "fairness/ask.html", context)
    context["judged"] = bool(dataset.labels)
    context["unfit"] = unfit(request, dataset)
    if request.method == "POST" and "do" not in request.POST:
        asking = Asking.sent(dataset, request.POST)
        if asking.is_valid() and (job := asked(request, asking, version, dataset)):
            return redirect(job)
    else:
        asking = Asking.shown(dataset, request.POST or request.GET, request.POST.get("do", ""))
    return render(request, "fairness/ask.html", context | {"asking": asking}, status=422 if asking.errors else 200)


def chosen(request: HttpRequest, datasets: list[Dataset]) -> Dataset | None:
    """The dataset that the address names, or the only one there is, or the only one for what the rows should be for."""
    key, purposes = request.GET.get("dataset", ""), request.GET.getlist("purpose")
    named = [dataset for dataset in datasets if str(dataset.pk) == key]
    fitting = [dataset for dataset in datasets if dataset.purpose in purposes]
    only = next((some for some in (datasets, fitting) if len(some) == 1), [])
    return next(iter(named or only), None)


def unfit(request: HttpRequest, dataset: Dataset) -> list[str]:
    """What a report on these rows could not be of what the address asks for."""
    found, weights, purposes = [], request.GET.get("weight_kind", ""), request.GET.getlist("purpose")
    wanted = [label.lower() for name, label in Dataset.Purpose.choices if name in purposes]
    if wanted and dataset.purpose not in purposes:
        found.append(f"Its rows are for {dataset.get_purpose_display().lower()}, not for {' or '.join(wanted)}.")
    if lacking := [name for name in request.GET.getlist("sensitive") if name not in dataset.sensitive]:
        found.append(f"No column “{lacking[0]}” is marked as sensitive in it.")
    positive = request.GET.get("positive", "")
    if positive and dataset.positive_class and not one_class(positive, dataset.positive_class):
        found.append(f"Its positive class is “{dataset.positive_class}”, not “{positive}”.")
    if weights and (weights == "none") == bool(dataset.with_role("weight")):
        found.append("Its rows have weights." if weights == "none" else "It has no column of weights.")
    return found


def asked(request: HttpRequest, asking: Asking, version: Version, dataset: Dataset) -> Job | None:
    """The job, or None with the refusal on the form."""
    said, by = asking.form.cleaned_data, request.user
    try:
        if said["what"] == "explanation":
            baseline = said["baseline"] or "just_passed"
            return services.request_explanation_report(by=by, version=version, dataset=dataset, baseline=baseline)
        return services.request_bias_report(
            by=by, version=version, dataset=dataset, source=said["what"], **asking.form.frame(),
            further_rules=[row.rule() for row in asking.rows],
        )  # fmt: skip
    except Refusal as refusal:
        asking.refused(refusal)
    return None
