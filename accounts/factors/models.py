"""Second factors and browser sessions of people. No secret stands here in the clear."""

from __future__ import annotations

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

PERSON = settings.AUTH_USER_MODEL


class FactorQuerySet(models.QuerySet["Factor"]):
    def standing(self) -> FactorQuerySet:
        """Those not removed, the oldest first."""
        return self.filter(removed_at=None).order_by("id")


class Factor(models.Model):
    """A passkey or an authenticator app. It stays when it is removed, without its secret: signatures refer to it."""

    class Kind(models.TextChoices):
        PASSKEY = "passkey", "Passkey"
        TOTP = "totp", "Authenticator app"

    user = models.ForeignKey(PERSON, models.PROTECT, related_name="factors")
    kind = models.CharField(max_length=10, choices=Kind)
    name = models.CharField(max_length=80)
    # Of an app: its secret, sealed; and the last step of time whose code was used.
    secret = models.BinaryField(default=b"")
    last_step = models.BigIntegerField(default=0)
    # Of a passkey: what its device attested (id and public key), SHA-256 of the id, and how often it said it signed.
    attested = models.BinaryField(default=b"")
    credential = models.CharField(max_length=71, blank=True)
    sign_count = models.BigIntegerField(default=0)
    added_at = models.DateTimeField(db_default=Now())
    last_used_at = models.DateTimeField(null=True)
    removed_at = models.DateTimeField(null=True)

    objects = FactorQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint("credential", condition=~Q(credential=""), name="one_factor_a_credential"),
            models.UniqueConstraint("user", "name", condition=Q(removed_at=None), name="one_factor_a_name"),
        ]

    def __str__(self) -> str:
        return self.name


class RecoveryCode(models.Model):
    """One way in for whoever has lost their factors: a keyed hash, good once. New codes take the place of all old."""

    user = models.ForeignKey(PERSON, models.PROTECT, related_name="recovery_codes")
    digest = models.BinaryField(max_length=32)
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint("user", "digest", name="one_recovery_code")]

    def __str__(self) -> str:
        return f"Recovery code {self.pk}"


class SpentChallenge(models.Model):
    """A challenge that a passkey has answered: it is answered once. Kept until it would have run out anyway."""

    digest = models.CharField(max_length=71, unique=True)
    at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.digest


class BrowserSessionQuerySet(models.QuerySet["BrowserSession"]):
    def open(self) -> BrowserSessionQuerySet:
        """Those that still let somebody in, the newest first."""
        alive = Session.objects.filter(session_key=OuterRef("key"), expire_date__gt=Now())
        return self.filter(Exists(alive)).order_by("-id")


class BrowserSession(models.Model):
    """A session that was opened by signing in, as long as Django has it.

    Browser and address are disclosures of the event that opened it, so that they can be erased.
    """

    user = models.ForeignKey(PERSON, models.PROTECT, related_name="browser_sessions")
    # Of Django's session, which is deleted when this one is ended.
    key = models.CharField(max_length=40, unique=True)
    event = models.UUIDField()
    opened_at = models.DateTimeField(db_default=Now())

    objects = BrowserSessionQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Session {self.pk}"
