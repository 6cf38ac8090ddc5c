"""How lists are narrowed down, the same on pages and in the API."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet

from registry.models import Dataset, Evidence, Model, Version


class ModelFilter(django_filters.FilterSet):  # type: ignore[misc]
    q = django_filters.CharFilter(method="matching", label="Name, purpose, or digest of a version")
    tier = django_filters.ChoiceFilter(choices=Model.Tier.choices, method="of_tier", label="Risk tier")

    class Meta:
        model = Model
        fields = ["q", "team", "owner", "tier", "slug"]

    def matching(self, rows: Any, name: str, value: str) -> QuerySet[Model]:
        found: QuerySet[Model] = rows.matching(value.strip())
        return found

    def of_tier(self, rows: Any, name: str, value: str) -> QuerySet[Model]:
        found: QuerySet[Model] = rows.of_tier(value)
        return found


class VersionFilter(django_filters.FilterSet):  # type: ignore[misc]
    digest = django_filters.CharFilter(field_name="artifact__digest", label="Digest of the artifact")

    class Meta:
        model = Version
        fields = ["model", "number", "digest"]


class DatasetFilter(django_filters.FilterSet):  # type: ignore[misc]
    q = django_filters.CharFilter(field_name="name", lookup_expr="icontains", label="Name")
    digest = django_filters.CharFilter(field_name="artifact__digest", label="Digest of the file")

    class Meta:
        model = Dataset
        fields = ["q", "team", "purpose", "name", "digest"]


class EvidenceFilter(django_filters.FilterSet):  # type: ignore[misc]
    standing = django_filters.BooleanFilter(field_name="withdrawn_at", lookup_expr="isnull", label="Not withdrawn")

    class Meta:
        model = Evidence
        fields = ["version", "kind", "provenance", "standing"]
