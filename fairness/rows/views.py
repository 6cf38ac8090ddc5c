"""Pages about single explained rows."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from accounts.asking import asker
from fairness import explaining, presenting
from fairness.reports import content_of, visible_report
from fairness.rows import services
from registry.models import Version


@require_GET
def choose(request: HttpRequest, pk: int) -> HttpResponse:
    """Where the report's form leads: to the row with the number that was typed."""
    evidence = visible_report(request.user, pk)
    number = request.GET.get("number", "")
    if not number.isdigit() or not 1 <= int(number[:9]) <= services.count(evidence):
        messages.error(request, f"Type a row's number, from 1 to {services.count(evidence)}.")
        return redirect("report", pk=evidence.pk)
    return redirect("report-row", pk=evidence.pk, number=int(number))


@require_GET
def row(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    evidence = visible_report(request.user, pk)
    found = services.open_row(by=asker(request), evidence=evidence, number=number)
    report = content_of(evidence)
    context = about(evidence.version) | explaining.of_row(report, found) | {
        "evidence": evidence, "report": report, "row": found, "last": services.count(evidence),
        "lead": f"Row {number} of the {services.count(evidence)} that were explained, of {evidence.dataset}",
        "decision_words": presenting.decision_in_words(report["provenance"]["parameters"]["decision"]),
    }  # fmt: skip
    return render(request, "fairness/explained_row.html", context)


def about(version: Version) -> dict[str, object]:
    return {"subject": version, "version_name": f"Version {version.number}", "section": "models"}
