"""Home: what waits for whoever is signed in."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.asking import asker
from accounts.granting.duties import duties
from approvals.findings.listing import waiting
from approvals.listing import inbox


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    user = asker(request)
    found, findings, access = inbox(user), waiting(user), duties(user)
    count = len(found.mine) + len(findings) + len(access)
    lead = f"{count} {'thing waits' if count == 1 else 'things wait'} for you" if count else "Nothing waits for you"
    context = {"inbox": found, "findings": findings, "duties": access, "lead": lead, "inbox_count": count}
    return render(request, "portal/inbox.html", context)
