"""Privileged self-tests: bias reports of a table of their own, so that nothing that reads evidence comes upon one."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.urls import reverse

from accounts.models import User
from jobs.models import Job
from ledger.canonical import digest_of
from registry.owned import OwnedQuerySet


class SelfTestQuerySet(OwnedQuerySet):
    path = "version__model__team"

    def visible_to(self, user: Any) -> Any:
        """Of those whose version somebody may see, those that name them. No role lets anybody see more."""
        return super().visible_to(user).filter(namings__person=user.pk)

    def withheld(self) -> Any:
        """What was computed and is still privileged."""
        return self.filter(published_at__isnull=False, lifted_at=None)

    def with_parts(self) -> Any:
        related = ("version__model__team", "version__artifact", "dataset__artifact", "dataset__deletion", "artifact")
        return self.select_related(*related, "asked_by", "lifted_by", "job", "evidence").prefetch_related(
            "namings__person", "namings__by"
        )


class SelfTest(models.Model):
    """A bias report that is privileged (12 CFR 1002.15) and shown to the people named. Once the privilege is lifted,
    the report is evidence, and this row says what it was before.

    Where a page or paper shows a report, a self-test stands in for evidence: it has the same names for the same facts.
    """

    # Not a running number: whoever is named on one would read from it how many others there are.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    version = models.ForeignKey("registry.Version", models.PROTECT, related_name="self_tests")
    dataset = models.ForeignKey("registry.Dataset", models.PROTECT, related_name="self_tests")
    job = models.OneToOneField(Job, models.PROTECT, related_name="self_test")
    title = models.CharField(max_length=200)
    reason = models.CharField(max_length=1000, help_text="Why it is a self-test, as whoever asked for it said")
    # Events hold digests over it and what must not be read there, so that this can be shown to whom it is told.
    salt = models.CharField(max_length=64)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(db_default=Now())
    artifact = models.ForeignKey("registry.Artifact", models.PROTECT, null=True, related_name="+")
    summary = models.JSONField(default=dict)
    published_at = models.DateTimeField(null=True)
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    lifted_reason = models.CharField(max_length=1000, blank=True)
    evidence = models.OneToOneField("registry.Evidence", models.PROTECT, null=True, related_name="+")

    objects = SelfTestQuerySet.as_manager()

    kind = "bias_report"
    provenance = "computed"
    withdrawn_at = None

    class Meta:
        ordering = ["-asked_at", "-pk"]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("self-test", args=[self.pk])

    @property
    def discreet(self) -> bool:
        return self.lifted_at is None

    @property
    def team_id(self) -> int:
        team: int = self.version.model.team_id
        return team

    @property
    def people(self) -> list[User]:
        """Who may see it, in the order in which they were named."""
        return [naming.person for naming in self.namings.all()]

    @property
    def created_at(self) -> datetime:
        """When the report was computed."""
        return self.published_at or self.asked_at

    @property
    def produced_by(self) -> User:
        return self.asked_by

    @property
    def filename(self) -> str:
        return f"privileged-self-test-{self.pk}.json"

    def sealed(self, **terms: Any) -> str:
        """Digest of what only the people named may know, which nobody can guess: for the log."""
        return digest_of({"salt": self.salt, **terms})


class Naming(models.Model):
    """That somebody may see a self-test. Nothing here is ever changed: who has seen it cannot unsee it."""

    self_test = models.ForeignKey(SelfTest, models.PROTECT, related_name="namings")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    reason = models.CharField(max_length=1000)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint("self_test", "person", name="named_once")]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.person} on self-test {self.self_test_id}"
