"""Home: what waits for whoever is signed in."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.asking import asker
from accounts.granting.duties import duties
from approvals.findings.listing import waiting
from approvals.listing import inbox
from inference.keyrequests.duties import awaited
from inference.keyrequests.duties import duties as key_duties
from ledger.events import database_time
from registry.attesting import owing


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    user = asker(request)
    found, findings = inbox(user), waiting(user)
    others = [*owing.duty(user, database_time()), *duties(user), *key_duties(user)]
    count = len(found.mine) + len(findings) + len(others)
    lead = f"{count} {'thing waits' if count == 1 else 'things wait'} for you" if count else "Nothing waits for you"
    context = {
        "inbox": found, "findings": findings, "duties": others, "lead": lead, "inbox_count": count,
        "awaited": awaited(user),
    }  # fmt: skip
    return render(request, "portal/inbox.html", context)
