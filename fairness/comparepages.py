"""Two versions of a model side by side, from a bias report on each and the pairs of their decisions."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from fairness import presenting
from fairness.reports import content_of, of_other_versions, pairs_of, visible_report
from fairness.services import BIAS, request_comparison_report
from fairness.views import about
from ledger.refusals import Refusal
from registry.models import Evidence


@require_http_methods(["GET", "POST"])
def compare(request: HttpRequest, pk: int) -> HttpResponse:
    """`?with=` names the other report; without it the one on the version before is taken. POST asks for the pairs."""
    evidence = visible_report(request.user, pk)
    if evidence.kind != BIAS:
        raise Http404
    others = of_other_versions(evidence, request.user)
    other = chosen(request, evidence, others)
    context = about(evidence.version) | {
        "evidence": evidence, "others": others, "other": other,
        "may_ask": request.user.has_perm("fairness.request_report", evidence.version),
    }  # fmt: skip
    if other is None:
        return render(request, "fairness/compare.html", context)
    old, new = sorted((evidence, other), key=lambda each: each.version.number)
    refusal = None
    if request.method == "POST":
        try:
            assert new.dataset is not None, "a bias report has its dataset"
            return redirect(
                request_comparison_report(by=request.user, version=new.version, dataset=new.dataset, other=old.version)
            )
        except Refusal as refused:
            refusal = refused
    context |= side_by_side(old, new) | {"refusal": refusal}
    return render(request, "fairness/compare.html", context, status=422 if refusal else 200)


def chosen(request: HttpRequest, evidence: Evidence, others: list[Evidence]) -> Evidence | None:
    """The report that the address names, else that on the version before, else that on the next one."""
    wanted = request.GET.get("with", "")
    if wanted:
        named = [each for each in others if str(each.pk) == wanted]
        if not named:
            raise Http404
        return named[0]
    before = [each for each in others if each.version.number < evidence.version.number]
    return next(iter(before), None) or next(reversed(others), None)


def side_by_side(old: Evidence, new: Evidence) -> dict[str, Any]:
    pairs = pairs_of(old, new)
    was, now = content_of(old), content_of(new)
    told = content_of(pairs) if pairs else None
    rules = [presenting.rule_in_words(report["result"]["rule"]) for report in (was, now)]
    return {
        "old": old, "new": new, "pairs": pairs, "told": told, "tables": presenting.versions(was, now, told),
        "rules": rules if rules[0] != rules[1] else rules[:1],
    }  # fmt: skip
