"""What happened to the ways in which somebody proves who they are. Both tables are append-only."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

PERSON = settings.AUTH_USER_MODEL
# How long a change holds back signing, and how long it is shown beside what was signed after it.
HELD = timedelta(hours=24)
SHOWN = timedelta(days=30)


class CredentialChangeQuerySet(models.QuerySet["CredentialChange"]):
    def holding(self) -> CredentialChangeQuerySet:
        """What holds back signing now, by the database's clock: neither a day old nor confirmed."""
        return self.filter(held_until__gt=Now(), confirmation=None)

    def lately(self) -> CredentialChangeQuerySet:
        return self.filter(at__gt=Now() - SHOWN)


class CredentialChange(models.Model):
    """A password, second factor or mail address was replaced by another way than with the old one."""

    class Kind(models.TextChoices):
        PASSWORD_RESET = "password_reset", "the password was reset by a link"
        MAIL_ADDRESS = "mail_address", "the mail address was changed"
        SECOND_FACTOR = "second_factor", "the second factor was changed"

    account = models.ForeignKey(PERSON, models.PROTECT, related_name="credential_changes")
    kind = models.CharField(max_length=20, choices=Kind)
    # Whoever sent the link or made the change; nobody where the account asked by mail, or the console did it.
    caused_by = models.ForeignKey(PERSON, models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField(db_default=Now())
    held_until = models.DateTimeField()

    objects = CredentialChangeQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.get_kind_display()


class CredentialConfirmation(models.Model):
    """A second administrator made sure that a change was the person's own wish. The reason is in the log."""

    change = models.OneToOneField(CredentialChange, models.PROTECT, related_name="confirmation")
    confirmed_by = models.ForeignKey(PERSON, models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.change}, confirmed"
