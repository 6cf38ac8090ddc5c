"""Asking for a report, with what the policies that govern the version want of one."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from approvals.showing.offers import offers_for
from fairness.views import ask


def report_new(request: HttpRequest, pk: int) -> HttpResponse:
    return ask(request, pk, offers_for)
