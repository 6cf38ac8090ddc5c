"""Home: what waits for whoever is signed in."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.asking import asker
from approvals.findings.listing import waiting
from approvals.listing import inbox


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    found, findings = inbox(asker(request)), waiting(asker(request))
    count = len(found.mine) + len(findings)
    lead = f"{count} {'thing waits' if count == 1 else 'things wait'} for you" if count else "Nothing waits for you"
    return render(
        request, "portal/inbox.html", {"inbox": found, "findings": findings, "lead": lead, "inbox_count": count}
    )
