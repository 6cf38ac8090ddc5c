"""Where the predictions of an endpoint are made, if not in the gateway itself."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from inference.upstreams import rules
from ledger.canonical import sha256


class Upstream(models.Model):
    """The server that an endpoint asks. An endpoint without one runs ONNX in the gateway.

    The secret that it is asked with is sealed (ledger.boxes): the database alone asks nobody.
    """

    TERMS = (
        "kind", "url", "model_name", "model_version", "rows_at", "row_form", "predictions_at", "version_at", "seconds",
        "header_name",
    )  # fmt: skip

    endpoint = models.OneToOneField("inference.Endpoint", models.CASCADE, related_name="upstream")
    kind = models.CharField(max_length=20)
    url = models.CharField(max_length=500)
    model_name = models.CharField(max_length=120, blank=True)
    model_version = models.CharField(max_length=120, blank=True)
    rows_at = models.CharField(max_length=500, blank=True)
    row_form = models.CharField(max_length=10, default=rules.VALUES)
    predictions_at = models.CharField(max_length=500, blank=True)
    version_at = models.CharField(max_length=500, blank=True)
    seconds = models.PositiveSmallIntegerField(default=10)
    header_name = models.CharField(max_length=60, blank=True)
    sealed = models.BinaryField(default=b"")
    set_at = models.DateTimeField(db_default=Now())
    set_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(seconds__gte=1, seconds__lte=rules.MOST_SECONDS), name="upstream_seconds"
            ),
            # A header and the secret in it are there together.
            models.CheckConstraint(
                condition=Q(header_name="", sealed=b"") | (~Q(header_name="") & ~Q(sealed=b"")), name="upstream_header"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} at {self.place}"

    @property
    def place(self) -> str:
        """Where it is, as the log may say it: paths and queries are sometimes passwords."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def kind_title(self) -> str:
        return rules.KINDS[self.kind]

    @property
    def asked_at(self) -> str:
        return rules.asked_at(self.kind, self.url, self.model_name, self.model_version)

    @property
    def secret_set(self) -> bool:
        return bool(self.header_name)

    @property
    def terms(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.TERMS}

    def as_facts(self) -> dict[str, Any]:
        """For the log: its address by digest, its secret not at all."""
        said = {name: value for name, value in self.terms.items() if value not in ("", rules.VALUES) and name != "url"}
        return {**said, "place": self.place, "address": sha256(self.asked_at.encode())}
