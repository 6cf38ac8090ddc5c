"""How the inventory is narrowed down, the same on the page, in its CSV and in the API."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import Q, QuerySet

from approvals import workflow
from approvals.findings import listing
from approvals.models import ReviewRequest
from inference.models import Endpoint
from registry.filters import ModelFilter
from registry.models import Model

ENVIRONMENTS = [(name, name.capitalize()) for name in workflow.ENVIRONMENTS]
FINDINGS = [("standing", "Not closed"), ("overdue", "Overdue")]


class InventoryFilter(ModelFilter):
    """Give it `request`: what somebody may not see does not choose for them either."""

    environment = django_filters.ChoiceFilter(
        choices=ENVIRONMENTS, method="for_environment", label="Asked for or served in this environment"
    )
    findings = django_filters.ChoiceFilter(choices=FINDINGS, method="with_findings", label="With such findings")

    class Meta(ModelFilter.Meta):
        fields = [*ModelFilter.Meta.fields, "environment", "findings"]

    def for_environment(self, rows: Any, name: str, value: str) -> QuerySet[Model]:
        asked = ReviewRequest.objects.visible_to(self.request.user).filter(environment=value)
        served = Endpoint.objects.visible_to(self.request.user).filter(environment=value, version__isnull=False)
        wanted = Q(pk__in=asked.order_by().values("version__model")) | Q(pk__in=served.order_by().values("model"))
        found: QuerySet[Model] = rows.filter(wanted)
        return found

    def with_findings(self, rows: Any, name: str, value: str) -> QuerySet[Model]:
        steps = listing.chosen(self.request.user, {"state": value})
        found: QuerySet[Model] = rows.filter(pk__in=steps.order_by().values("finding__version__model"))
        return found
