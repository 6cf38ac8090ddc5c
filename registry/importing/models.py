"""That an inventory was imported: from which file, by whom, and what it brought."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.urls import reverse

from registry.owned import OwnedQuerySet


class ModelImportQuerySet(OwnedQuerySet):
    def with_parts(self) -> Any:
        return self.select_related("team", "artifact", "imported_by")


class ModelImport(models.Model):
    team = models.ForeignKey("accounts.Team", models.PROTECT, related_name="model_imports")
    artifact = models.ForeignKey("registry.Artifact", models.PROTECT, related_name="model_imports")
    filename = models.CharField(max_length=200)
    # The file's column for each field of a model.
    columns = models.JSONField()
    brought = models.ManyToManyField("registry.Model", related_name="imports")
    imported_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    imported_at = models.DateTimeField(db_default=Now())

    objects = ModelImportQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Import {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("model-import", args=[self.pk])
