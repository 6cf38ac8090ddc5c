"""What is governed: models and their versions, the bytes behind them, the data and the evidence about them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse

from ledger.canonical import digest_of, sha256, timestamp
from registry.attesting.models import OwnerAttestation as OwnerAttestation
from registry.connecting.models import Connection as Connection
from registry.feeders.models import Feeder as Feeder
from registry.feeders.models import FeederRemoval as FeederRemoval
from registry.importing.models import ModelImport as ModelImport
from registry.owned import OwnedQuerySet as OwnedQuerySet
from registry.pinned.models import Pins
from registry.pinned.rules import UPSTREAM
from registry.processing.models import DataDeletion as DataDeletion
from registry.processing.models import Processing as Processing
from registry.roles import OUTCOMES
from registry.saved.models import SavedFilter as SavedFilter
from registry.training.models import TrainingRecord as TrainingRecord


class Artifact(models.Model):
    """Bytes by their SHA-256, stored once. What a digest may be used for is decided by what refers to it."""

    digest = models.CharField(max_length=71, unique=True)
    size = models.BigIntegerField()
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.digest

    @property
    def path(self) -> str:
        """Name within the storage: `sha256/ab/cdef…`."""
        algorithm, _, hexadecimal = self.digest.partition(":")
        return f"{algorithm}/{hexadecimal[:2]}/{hexadecimal[2:]}"


class Upload(models.Model):
    """Somebody's right to use bytes they sent: a digest alone, learned elsewhere, opens nothing."""

    artifact = models.ForeignKey(Artifact, models.PROTECT, related_name="uploads")
    team = models.ForeignKey("accounts.Team", models.PROTECT, related_name="+")
    filename = models.CharField(max_length=200)
    uploaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    uploaded_at = models.DateTimeField(db_default=Now())

    objects = OwnedQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint("artifact", "team", "filename", "uploaded_by", name="one_upload")]

    def __str__(self) -> str:
        return self.filename


class Text(models.Model):
    """A longer text by its SHA-256, kept as long as a record may refer to it. Records hold no more than the digest."""

    digest = models.CharField(max_length=71, primary_key=True)
    text = models.TextField()
    kept_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.digest


class ModelQuerySet(OwnedQuerySet):
    def matching(self, text: str) -> Any:
        """Models whose name, slug or purpose holds the text, or with a version of that artifact digest."""
        words = Q(name__icontains=text) | Q(slug__icontains=text) | Q(purpose__icontains=text)
        return self.filter(words | Q(pk__in=Version.objects.filter(artifact__digest=text).values("model")))

    def of_tier(self, tier: str) -> Any:
        """Models of a risk tier; one that was never set counts as the highest."""
        unset = Q(risk_tier="") if tier == Model.Tier.HIGH else Q(pk=None)
        return self.filter(Q(risk_tier=tier) | unset)


class Model(models.Model):
    """A model as the business knows it; its versions carry the bytes."""

    class Tier(models.TextChoices):
        LOW = "low", "Low"
        MEDIUM = "medium", "Medium"
        HIGH = "high", "High"

    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=60, unique=True)
    team = models.ForeignKey("accounts.Team", models.PROTECT, related_name="models")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="owned_models")
    purpose = models.TextField()
    # Only the second line sets it; absent means the highest.
    risk_tier = models.CharField(max_length=10, choices=Tier, blank=True)
    risk_tier_set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now())

    objects = ModelQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint("team", "name", name="model_name")]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("model", args=[self.pk])

    def as_record(self) -> dict[str, Any]:
        setter = self.risk_tier_set_by
        return {
            "name": self.name, "slug": self.slug, "team": str(self.team_id), "owner": str(self.owner.opaque_id),
            "purpose": sha256(self.purpose.encode()), "risk_tier": self.risk_tier,
            "risk_tier_set_by": str(setter.opaque_id) if setter else None, "created_at": timestamp(self.created_at),
        }  # fmt: skip

    @property
    def tier(self) -> str:
        return self.risk_tier or self.Tier.HIGH


class VersionQuerySet(OwnedQuerySet):
    path = "model__team"


class Version(models.Model):
    """One set of bytes with its decision rule. Neither changes after registration: that would be another version."""

    model = models.ForeignKey(Model, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    artifact = models.ForeignKey(Artifact, models.PROTECT, related_name="versions")
    filename = models.CharField(max_length=200)
    # Inputs, outputs, operators as `registry.onnx.inspect_model` found them in the sandbox.
    signature = models.JSONField()
    # {"kind": "threshold", "output": "probabilities", "class": 1, "at_least": 0.5}
    decision_rule = models.JSONField()
    # Ordered names of the features as the model takes them.
    features = models.JSONField()
    card = models.TextField(blank=True)
    notes = models.TextField(blank=True)
    contributors = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="contributed_versions")
    registered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    registered_at = models.DateTimeField(db_default=Now())

    objects = VersionQuerySet.as_manager()
    # On a version as it stood: the digest of its card then, which holds even where the text is not kept any more.
    card_recorded = ""
    # Likewise what its upstream reported then, where its bytes are not here.
    upstream_recorded: str | None = None

    class Meta:
        constraints = [models.UniqueConstraint("model", "number", name="version_number")]
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"{self.model} {self.number}{self.unverified}"

    def get_absolute_url(self) -> str:
        return reverse("version", args=[self.pk])

    def as_record(self) -> dict[str, Any]:
        return {
            "model": str(self.model_id), "number": self.number, "artifact": self.artifact.digest,
            "signature": digest_of(self.signature), "decision_rule": self.decision_rule,
            "features": digest_of(self.features), "card": self.card_digest, "notes": sha256(self.notes.encode()),
            "contributors": sorted(str(each) for each in self.contributors.values_list("opaque_id", flat=True)),
            "registered_by": str(self.registered_by.opaque_id), "registered_at": timestamp(self.registered_at),
            **({"upstream": self.upstream_says} if self.pinned else {}),
        }  # fmt: skip

    @property
    def bytes_here(self) -> bool:
        """Whether the model's own bytes are here; else `artifact` is the document of what is pinned instead."""
        return bool(self.decision_rule.get("kind") != UPSTREAM)

    @property
    def pinned(self) -> Pins | None:
        return None if self.bytes_here else self.pins

    @property
    def upstream_says(self) -> str:
        """Which model version the upstream reported last, for a version whose bytes are not here."""
        return self.pins.says if self.upstream_recorded is None else self.upstream_recorded

    @property
    def team_id(self) -> int:
        return self.model.team_id

    @property
    def title(self) -> str:
        """How it is called where its model is known."""
        return f"Version {self.number}{self.unverified}"

    @property
    def configuration_text(self) -> str:
        """What is pinned of how a model elsewhere is set up; "" where the text is not kept any more."""
        kept = Text.objects.filter(digest=self.decision_rule.get("configuration", "")).first()
        return kept.text if kept else ""

    @property
    def unverified(self) -> str:
        """Stands wherever the version is named."""
        return "" if self.bytes_here else " (bytes not verified)"

    @property
    def card_digest(self) -> str:
        """Digest of the card's UTF-8 text, as a manifest holds it."""
        return self.card_recorded or sha256(self.card.encode())


class DatasetQuerySet(OwnedQuerySet):
    def with_parts(self) -> Any:
        """With its file, who registered it, and the deletion of its rows."""
        return self.select_related(
            "team", "artifact", "registered_by", "deletion", "connection__added_by", "connection__team"
        )


class Dataset(models.Model):
    """A table of rows with the roles of its columns. The file is immutable; new rows make a new dataset."""

    ELSEWHERE = "connection"

    class Purpose(models.TextChoices):
        TRAINING = "training", "Training"
        TEST = "test", "Test"
        OUT_OF_TIME = "out_of_time", "Out of time"
        HISTORICAL = "historical", "Historical use"

    name = models.CharField(max_length=120)
    team = models.ForeignKey("accounts.Team", models.PROTECT, related_name="datasets")
    artifact = models.ForeignKey(Artifact, models.PROTECT, related_name="datasets")
    filename = models.CharField(max_length=200)
    format = models.CharField(
        max_length=10, choices=[("csv", "CSV"), ("parquet", "Parquet"), ("connection", "Connection")]
    )
    # Where the rows are if they are not here; `artifact` is then the document that says so.
    connection = models.ForeignKey(Connection, models.PROTECT, null=True, related_name="datasets")
    purpose = models.CharField(max_length=20, choices=Purpose)
    rows = models.BigIntegerField()
    # [{"name", "type", "role": one of registry.roles.ROLES, "missing": n, "distinct": n, "lowest": x, "highest": x,
    #   "groups": [{"value", "rows"}]}], the last three where they are known.
    columns = models.JSONField()
    # Empty where the outcome is a number, or there is none.
    positive_class = models.CharField(max_length=80, blank=True)
    source = models.TextField(help_text="Where the rows come from, and who confirms it")
    lawful_basis = models.CharField(max_length=200, blank=True)
    registered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    registered_at = models.DateTimeField(db_default=Now())

    objects = DatasetQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint("team", "name", name="dataset_name")]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("dataset", args=[self.pk])

    def as_record(self) -> dict[str, Any]:
        return {
            "team": str(self.team_id), "artifact": self.artifact.digest, "record": digest_of(self.record),
            "registered_by": str(self.registered_by.opaque_id), "registered_at": timestamp(self.registered_at),
        }  # fmt: skip

    def with_role(self, role: str) -> list[str]:
        """Names of the columns in a role, in the file's order."""
        return [column["name"] for column in self.columns if column["role"] == role]

    @property
    def current_processing(self) -> Processing | None:
        """The edition of its record of processing that is in force; of prefetched ones without a query."""
        return next(iter(self.processing.all()), None)

    @property
    def deleted(self) -> DataDeletion | None:
        """The deletion of its rows."""
        return getattr(self, "deletion", None)

    @property
    def rows_here(self) -> bool:
        return self.connection_id is None

    @property
    def labels(self) -> list[str]:
        """Name of the outcome, of whatever kind; empty where there is none."""
        return [column["name"] for column in self.columns if column["role"] in OUTCOMES]

    @property
    def sensitive(self) -> list[str]:
        return self.with_role("sensitive")

    @property
    def record(self) -> dict[str, Any]:
        """What a manifest holds of a dataset, as plain JSON."""
        return {
            "id": str(self.pk),
            "artifact": self.artifact.digest,
            "format": self.format,
            "rows": self.rows,
            "roles": {column["name"]: column["role"] for column in self.columns},
            "positive_class": self.positive_class,
            "purpose": self.purpose,
            "lawful_basis": self.lawful_basis,
            "source": self.source,
        }


class EvidenceQuerySet(OwnedQuerySet):
    path = "version__model__team"

    def standing(self) -> Any:
        """What has not been withdrawn."""
        return self.filter(withdrawn_at=None)

    def with_files(self) -> Any:
        """With the file and the data it was made of."""
        return self.select_related("artifact", "dataset__artifact")

    def with_parts(self) -> Any:
        """With the file, who made it and the data it was made of."""
        return self.with_files().select_related("produced_by", "dataset__deletion")


class Evidence(models.Model):
    """A document about a version, by digest, with its provenance: computed here, or submitted by somebody."""

    class Provenance(models.TextChoices):
        COMPUTED = "computed", "Computed here"
        SUBMITTED = "submitted", "Submitted"

    version = models.ForeignKey(Version, models.PROTECT, related_name="evidence")
    # The version's, which the database sees to: what is the newest of a model is asked of thousands of versions.
    model = models.ForeignKey(Model, models.PROTECT, related_name="+", editable=False)
    kind = models.CharField(max_length=40)  # bias_report, explanation_report, or one of services.evidence.KINDS
    title = models.CharField(max_length=200)
    artifact = models.ForeignKey(Artifact, models.PROTECT, related_name="evidence")
    filename = models.CharField(max_length=200)
    media_type = models.CharField(max_length=80)
    provenance = models.CharField(max_length=10, choices=Provenance)
    # The account that submitted it, or that asked the portal to compute it.
    produced_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    dataset = models.ForeignKey(Dataset, models.PROTECT, null=True, blank=True, related_name="evidence")
    # What the policy's rules read: {"source": "model", "verdict": "outside", "rule": {…}, …}
    summary = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_reason = models.CharField(max_length=500, blank=True)

    objects = EvidenceQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(provenance__in=["computed", "submitted"]), name="evidence_provenance")
        ]
        indexes = [
            models.Index(
                "model", "id", name="evidence_newest_test",
                condition=Q(kind="bias_report", provenance="computed", withdrawn_at=None),
            )
        ]  # fmt: skip
        ordering = ["-id"]
        verbose_name_plural = "evidence"

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("evidence", args=[self.pk])

    def as_record(self) -> dict[str, Any]:
        """Without title, file name and reason: people write names there."""
        return {
            "version": str(self.version_id), "kind": self.kind, "artifact": self.artifact.digest,
            "provenance": self.provenance, "produced_by": str(self.produced_by.opaque_id),
            "dataset": str(self.dataset_id) if self.dataset_id else None, "summary": digest_of(self.summary),
            "created_at": timestamp(self.created_at),
            "withdrawn_at": timestamp(self.withdrawn_at) if self.withdrawn_at else None,
        }  # fmt: skip

    @property
    def team_id(self) -> int:
        return self.version.model.team_id
