"""Pages of saved filters: the list, keeping the present one, renaming, sharing, removing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.views.decorators.http import require_GET, require_http_methods

from accounts.asking import asker
from accounts.models import Team, User
from ledger.refusals import Denied, Refusal
from portal.inventory.filters import InventoryFilter
from registry.forms import RefusableForm
from registry.models import Model, SavedFilter
from registry.paging import page_of
from registry.saved import services
from registry.saved.models import KNOWN
from registry.views.answers import answered

SHOWN = 30  # beside the inventory; the list has them all
REMOVAL = ("Nobody can open this filter any more, whoever it is shared with.", "No model is touched by it.")
form_page = require_http_methods(["GET", "POST"])


class SavedFilterForm(RefusableForm):
    name = forms.CharField(max_length=80, help_text="By which you find it again, such as “High risk, overdue”.")
    team = forms.ModelChoiceField(
        Team.objects.none(), required=False, label="Share with", empty_label="nobody: only you see it"
    )

    def __init__(self, *args: Any, viewer: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        teams = Team.objects.filter(viewer.scope("registry.view_model").q("pk")).order_by("name")
        self.fields["team"].queryset = teams  # type: ignore[attr-defined]


def parameters(given: Mapping[str, str]) -> dict[str, str]:
    """Of an address the parameters that filter; whatever else stands there is left out."""
    return {name: given[name] for name in KNOWN if given.get(name, "").strip()}


def checked(query: Mapping[str, str], request: Any) -> dict[str, str]:
    """Raises Refusal `filter_invalid` for a value that the inventory's filter does not take."""
    found = InventoryFilter(dict(query), Model.objects.none(), request=request)
    if not found.form.is_valid():
        name = next(iter(found.form.errors))
        sentence = f"The inventory cannot be filtered like this: {found.form.errors[name][0]}"
        raise Refusal("filter_invalid", sentence, f"query.{name}")
    return dict(query)


def visible(viewer: User) -> Any:
    return SavedFilter.objects.visible_to(viewer).select_related("user", "team")


def at_hand(viewer: User) -> Any:
    """Those to show beside the inventory: one's own first, by name."""
    own_first = ExpressionWrapper(Q(user=viewer), BooleanField()).desc()
    return visible(viewer).order_by(own_first, "name", "pk")[:SHOWN]


def in_words(rows: Iterable[SavedFilter], viewer: User) -> list[tuple[SavedFilter, str]]:
    """Each with what it filters by. Two queries; of teams and owners only those are named whose models one sees."""
    told = list(rows)
    seen = Model.objects.visible_to(viewer).order_by()
    named: dict[str, dict[str, str]] = {
        name: {str(each.pk): each.name for each in found}
        for name, found in (
            ("team", Team.objects.filter(pk__in=seen.values("team")).filter(pk__in=ids(told, "team"))),
            ("owner", User.objects.filter(pk__in=seen.values("owner")).filter(pk__in=ids(told, "owner"))),
        )
    }
    return [(row, ", ".join(words_of(row.parameters, named))) for row in told]


def ids(rows: Iterable[SavedFilter], name: str) -> set[int]:
    return {int(value) for row in rows if (value := row.query.get(name, "")).isdecimal()}


def words_of(query: Mapping[str, str], named: Mapping[str, Mapping[str, str]]) -> Iterable[str]:
    labels = {"q": "with", "tier": "risk tier", "slug": "short name", "findings": "findings"}
    for name, value in query.items():
        if name in named:
            value = named[name].get(value, "one that you do not see")
        yield f"{labels.get(name, name)} {value.replace('_', ' ') if name != 'q' else f'“{value}”'}"


@require_GET
def saved_filters(request: HttpRequest) -> HttpResponse:
    viewer = asker(request)
    own = visible(viewer).filter(user=viewer)
    page = page_of(visible(viewer).exclude(user=viewer), request.GET)
    shown = in_words(own, viewer)
    note = f"{len(shown)} of {services.MOST} at most"
    context = {"own": shown, "shared": in_words(page.rows, viewer), "page": page, "note": note}
    return render(request, "portal/inventory/saved.html", context)


@form_page
def new(request: HttpRequest) -> HttpResponse:
    """Keep the filter that the address has. Only its known parameters are looked at."""
    viewer, query = asker(request), parameters(request.GET)

    def act(given: dict[str, Any]) -> SavedFilter:
        return services.save_filter(by=viewer, account=viewer, query=checked(query, request), **given)

    (told,) = in_words([SavedFilter(query=query)], viewer)
    form = SavedFilterForm(request.POST if request.method == "POST" else None, viewer=viewer)
    return answered(request, "portal/inventory/saved_new.html", form, act, {"words": told[1]})


def own(request: HttpRequest, pk: int) -> SavedFilter:
    """Raises Http404 for one that is not theirs to see, Denied for one that is another's."""
    found: SavedFilter = get_object_or_404(visible(asker(request)), pk=pk)
    if found.user_id != asker(request).pk:
        raise Denied("accounts.manage_own_access")
    return found


@form_page
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    viewer, found = asker(request), own(request, pk)

    def act(given: dict[str, Any]) -> str:
        services.change_filter(by=viewer, saved=found, **given)
        return "saved-filters"

    form = SavedFilterForm(
        request.POST if request.method == "POST" else None, viewer=viewer,
        initial={"name": found.name, "team": found.team_id},
    )  # fmt: skip
    (told,) = in_words([found], viewer)
    return answered(request, "portal/inventory/saved_edit.html", form, act, {"saved": found, "words": told[1]})


@form_page
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    found = own(request, pk)
    if request.method == "POST":
        services.remove_filter(by=asker(request), saved=found)
        return redirect("saved-filters")
    return render(request, "portal/inventory/saved_remove.html", {"saved": found, "consequences": REMOVAL})


urlpatterns = [
    path("models/filters/", saved_filters, name="saved-filters"),
    path("models/filters/new/", new, name="saved-filter-new"),
    path("models/filters/<int:pk>/", edit, name="saved-filter"),
    path("models/filters/<int:pk>/remove/", remove, name="saved-filter-remove"),
]
