"""How a form's page answers, the same for every form of the registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from accounts.asking import asker
from accounts.models import Team
from ledger.refusals import Denied, Refusal
from registry.forms import RefusableForm


def answered(
    request: HttpRequest,
    template: str,
    form: RefusableForm,
    act: Callable[[dict[str, Any]], Any],
    context: dict[str, Any] | None = None,
) -> HttpResponse:
    """Show a form; when it was sent, act and go to what the act returns, or show it again with what was refused."""
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                return redirect(act(form.cleaned_data))
            except Refusal as refusal:
                form.refuse(refusal)
                status = 422 if refusal.field else 409
    return render(request, template, {"form": form, **(context or {})}, status=status)


def need(request: HttpRequest, permission: str, on: object) -> None:
    """Do not show a form to who may not send it; sending it anyway is refused, and recorded, by the service."""
    if request.method != "POST" and not asker(request).has_perm(permission, on):
        raise Denied(permission)


def teams_for(request: HttpRequest, permission: str) -> Any:
    """The teams for which the person holds a permission. Raises PermissionDenied where there is none."""
    scope = asker(request).scope(permission)
    if not scope.everywhere and not scope.teams:
        raise Denied(permission)
    return Team.objects.filter(scope.q("pk")).order_by("name")
