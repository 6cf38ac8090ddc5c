"""The inventory's page, and the same lines as a file."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.asking import asker
from accounts.models import Team, User
from accounts.within import Within
from ledger.events import database_time
from portal.inventory import saved
from portal.inventory.calendar import calendar
from portal.inventory.filters import InventoryFilter
from portal.inventory.rows import as_csv, listed, rows_of
from registry.models import Model
from registry.paging import id_of, page_of

PLACE = ("before", "after", "sort")
# Of each line the gate is asked several times, so a page has fewer than other lists.
LINES = 25


def chosen(request: HttpRequest) -> InventoryFilter:
    rows = listed(Model.objects.visible_to(asker(request)))
    return InventoryFilter(request.GET, rows, request=request)


@require_GET
def models(request: HttpRequest) -> HttpResponse:
    viewer, found = asker(request), chosen(request)
    page = page_of(found.qs, request.GET, LINES)
    seen = viewer.scope("registry.view_model")
    context = {
        "page": page,
        "rows": rows_of(page.rows, viewer),
        "filter": found,
        "teams": TEAMS(seen),
        "owners": OWNERS(seen),
        "used": [key for key in request.GET if key not in PLACE and request.GET[key]],
        "saved": saved.at_hand(viewer),
        "kept": urlencode(saved.parameters(request.GET)),
        "may_add": viewer.may_somewhere("registry.register_model"),
    }
    return render(request, "portal/models.html", context)


TEAMS = Within(Model.objects, "team", lambda rows: Team.objects.filter(pk__in=rows.order_by().values("team")))
OWNERS = Within(Model.objects, "team", lambda rows: User.objects.filter(pk__in=rows.order_by().values("owner")))


@require_GET
def content(request: HttpRequest) -> HttpResponseBase:
    """What the page lists under the same filter, all of it."""
    lines = as_csv(chosen(request).qs, asker(request))
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="models.csv"'
    # Names in it were chosen by people: nothing in it runs in this portal's name.
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


@require_GET
def revalidations(request: HttpRequest) -> HttpResponse:
    viewer, wanted = asker(request), request.GET.get("team", "")
    found = calendar(viewer, database_time(), id_of(wanted))
    seen = Model.objects.visible_to(viewer).order_by()
    context = {"calendar": found, "teams": Team.objects.filter(pk__in=seen.values("team")), "wanted": wanted}
    return render(request, "portal/inventory/calendar.html", context)
