"""What serves predictions and who may ask: endpoints, and the keys to them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce, Now
from django.urls import reverse

from inference.batch.models import Batch as Batch
from inference.batch.models import BatchExtract as BatchExtract
from inference.batch.models import BatchPart as BatchPart
from inference.batch.models import BatchSchedule as BatchSchedule
from inference.keyrequests import rules as two
from inference.keyrequests.models import KeyRequest as KeyRequest
from inference.overrides.models import DecisionTotal as DecisionTotal
from inference.overrides.models import Override as Override
from inference.predictions.models import Feedback as Feedback
from inference.predictions.models import Prediction as Prediction
from inference.predictions.models import PredictionDeletion as PredictionDeletion
from inference.predictions.models import PredictionLoss as PredictionLoss
from inference.predictions.rules import LEVELS, LONGEST_DAYS, MODES, Terms
from inference.rollouts.models import Binding as Binding
from inference.rollouts.models import Comparison as Comparison
from inference.rollouts.models import Rollout as Rollout
from inference.traffic.models import GatewayProcess as GatewayProcess
from inference.traffic.models import Tally as Tally
from inference.upstreams.models import Upstream as Upstream
from inference.upstreams.rules import ONNX, SINGLE
from ledger.canonical import timestamp

EXPIRING = timedelta(days=14)
STALE = timedelta(days=30)
# How a key can stand; the first that holds is its state.
KEY_STATES = ("revoked", "expired", "inactive", "expiring", "stale", "active")


class EndpointQuerySet(models.QuerySet["Endpoint"]):
    def visible_to(self, user: Any) -> EndpointQuerySet:
        return self.filter(user.scope("inference.view_endpoint").q("model__team"))

    def with_parts(self) -> EndpointQuerySet:
        """With all that a page or an answer shows of them."""
        return self.select_related(
            "model__team", "version__artifact", "version__model", "created_by", "bound_by", "upstream__set_by"
        )


class Endpoint(models.Model):
    """A name under which one version of a model serves, in one environment for one use, while the gate allows it."""

    name = models.SlugField(max_length=60, unique=True)
    model = models.ForeignKey("registry.Model", models.PROTECT, related_name="endpoints")
    environment = models.CharField(max_length=20)
    use = models.CharField(max_length=80)
    version = models.ForeignKey("registry.Version", models.PROTECT, null=True, blank=True, related_name="endpoints")
    max_rows = models.PositiveIntegerField(default=1_000)
    max_body_bytes = models.PositiveIntegerField(default=1024**2)
    log_level = models.CharField(max_length=10, choices=list(LEVELS.items()), default="hashes")
    log_mode = models.CharField(max_length=10, choices=list(MODES.items()), default="fast")
    log_sample = models.PositiveIntegerField(default=1, help_text="Percent, at the level sampled")
    log_days = models.PositiveIntegerField(default=400, help_text="How long rows of the prediction log are kept")
    key_rule = models.CharField(
        max_length=10, choices=list(two.KEY_RULES.items()), default=two.TIER, help_text="When its keys take two people"
    )
    created_at = models.DateTimeField(db_default=Now())
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    bound_at = models.DateTimeField(null=True)
    bound_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")

    objects = EndpointQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=Q(max_rows__gte=1, max_rows__lte=100_000), name="endpoint_max_rows"),
            models.CheckConstraint(
                condition=Q(max_body_bytes__gte=1024, max_body_bytes__lte=16 * 1024**2), name="endpoint_max_body"
            ),
            models.CheckConstraint(condition=Q(log_sample__gte=1, log_sample__lte=99), name="endpoint_log_sample"),
            models.CheckConstraint(condition=Q(log_days__gte=1, log_days__lte=LONGEST_DAYS), name="endpoint_log_days"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("endpoint", args=[self.pk])

    def as_record(self) -> dict[str, Any]:
        return {
            "name": self.name, "model": str(self.model_id), "environment": self.environment, "use": self.use,
            "version": str(self.version_id) if self.version_id else None,
            "bound_by": str(self.bound_by.opaque_id) if self.bound_by else None,
            "bound_at": timestamp(self.bound_at) if self.bound_at else None, "log": self.log_facts(),
            **({"upstream": self.elsewhere.as_facts()} if self.elsewhere else {}),
            **({"key_rule": self.key_rule} if self.key_rule != two.TIER else {}),
        }  # fmt: skip

    @property
    def elsewhere(self) -> Upstream | None:
        """The server that makes its predictions; None where the gateway itself does."""
        found: Upstream | None = getattr(self, "upstream", None)
        return found

    @property
    def upstream_kind(self) -> str:
        return self.elsewhere.kind if self.elsewhere else ONNX

    @property
    def rows_at_once(self) -> int:
        """1 where the upstream takes single rows, whatever `max_rows` says."""
        return 1 if self.elsewhere and self.elsewhere.row_form == SINGLE else self.max_rows

    @property
    def team_id(self) -> int:
        return self.model.team_id

    @property
    def high_risk(self) -> bool:
        return two.high_risk(self.model.tier, self.environment)

    @property
    def keys_take_two(self) -> bool:
        """Whether a key to it is asked for by one person and approved by another."""
        return two.take_two(self.key_rule, self.model.tier, self.environment)

    @property
    def log_terms(self) -> Terms:
        return Terms(self.log_level, self.log_mode, self.log_sample)

    def log_facts(self) -> dict[str, Any]:
        """What is logged of its predictions, and for how many days."""
        return {"level": self.log_level, "mode": self.log_mode, "sample": self.log_sample, "days": self.log_days}


class InferenceKeyQuerySet(models.QuerySet["InferenceKey"]):
    def visible_to(self, user: Any) -> InferenceKeyQuerySet:
        return self.filter(user.scope("inference.view_endpoint").q("team"))

    def in_state(self, state: str, now: datetime) -> InferenceKeyQuerySet:
        """Those of which `state(now)` says this, one of KEY_STATES."""
        revoked, ended = Q(revoked_at__isnull=False), Q(expires_at__lte=now)
        inactive, expiring = Q(holder__is_active=False), Q(expires_at__lte=now + EXPIRING)
        first = dict(zip(KEY_STATES, (revoked, ended, inactive, expiring, Q(seen_at__lte=now - STALE)), strict=False))
        found = self.alias(seen_at=Coalesce("last_used_at", "created_at"))
        for name, holds in first.items():
            if name == state:
                return found.filter(holds)
            found = found.exclude(holds)
        return found

    def usable(self) -> InferenceKeyQuerySet:
        """Neither revoked nor expired, by the database's clock, and whoever holds it still has an account."""
        return self.filter(revoked_at=None, expires_at__gt=Now(), holder__is_active=True)

    def with_parts(self) -> InferenceKeyQuerySet:
        return self.select_related(
            "holder", "created_by", "revoked_by", "team", "succeeds", "successor", "request__decided_by"
        ).prefetch_related("scopes__endpoint")


class InferenceKey(models.Model):
    """A secret that opens endpoints. Only its digest is kept, and it always expires.

    Its terms never change, but for one: a key that was given a successor ends earlier.
    """

    key_id = models.CharField(max_length=8, unique=True)
    digest = models.BinaryField(max_length=32)
    name = models.CharField(max_length=80)
    team = models.ForeignKey("accounts.Team", models.PROTECT, related_name="inference_keys")
    holder = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="inference_keys")
    rate_per_minute = models.PositiveIntegerField()
    quota_per_day = models.PositiveIntegerField(null=True)  # days of UTC; none: only the rate limits it
    networks = ArrayField(models.CharField(max_length=43), default=list)  # none: it may be sent from anywhere
    succeeds = models.OneToOneField("self", models.PROTECT, null=True, related_name="successor")
    reason = models.CharField(max_length=500)
    # The form that a key was issued by: the same form sent again issues nothing.
    ticket = models.UUIDField(unique=True, null=True, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")

    objects = InferenceKeyQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(rate_per_minute__gte=1), name="key_rate_per_minute"),
            models.CheckConstraint(condition=Q(quota_per_day=None) | Q(quota_per_day__gte=1), name="key_quota_per_day"),
        ]

    def __str__(self) -> str:
        return f"{self.name} (cs_live_{self.key_id}…)"

    def get_absolute_url(self) -> str:
        return reverse("key", args=[self.pk])

    @property
    def replaced_by(self) -> InferenceKey | None:
        """The key that was issued in its place."""
        found: InferenceKey | None = getattr(self, "successor", None)
        return found

    @property
    def asked_as(self) -> KeyRequest | None:
        """The request by which a second person agreed to it; of a successor that of the key before."""
        found: KeyRequest | None = getattr(self, "request", None)
        return found

    def state(self, now: datetime) -> str:
        """revoked, expired, inactive (its holder is), expiring (within 14 days), stale (unused for 30), or active."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at <= now:
            return "expired"
        if not self.holder.is_active:
            return "inactive"
        if self.expires_at <= now + EXPIRING:
            return "expiring"
        return "stale" if (self.last_used_at or self.created_at) <= now - STALE else "active"


class KeyScope(models.Model):
    """What a key may do at one endpoint."""

    class Action(models.TextChoices):
        METADATA = "metadata", "Read what the model takes and returns"
        INFER = "infer", "Ask for predictions"
        FEEDBACK = "feedback", "Say what turned out to be true"

    key = models.ForeignKey(InferenceKey, models.PROTECT, related_name="scopes")
    endpoint = models.ForeignKey(Endpoint, models.PROTECT, related_name="key_scopes")
    actions = ArrayField(models.CharField(max_length=10, choices=Action))

    class Meta:
        constraints = [models.UniqueConstraint("key", "endpoint", name="key_scope_once")]

    def __str__(self) -> str:
        return f"{self.endpoint}: {', '.join(self.actions)}"
