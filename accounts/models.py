"""Accounts and what they may do: the answer to `has_perm` comes from grants of roles, and from nowhere else."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import AnonymousUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import CharField, DateTimeField, ExpressionWrapper, Max, Q, SlugField
from django.db.models.functions import Coalesce, Lower, Now
from django.utils import timezone

from accounts.catalogue import EVERYBODY
from accounts.factors.models import BrowserSession as BrowserSession
from accounts.factors.models import Factor as Factor
from accounts.factors.models import RecoveryCode as RecoveryCode
from accounts.factors.models import SpentChallenge as SpentChallenge
from accounts.granting.models import ProposedGrant as ProposedGrant
from accounts.granting.models import Recertification as Recertification
from accounts.preferences.models import Preference as Preference
from accounts.takeover.models import CredentialChange as CredentialChange
from accounts.takeover.models import CredentialConfirmation as CredentialConfirmation
from ledger.actors import ANONYMOUS, Identity
from ledger.prepared import Prepared


class TeamQuerySet(models.QuerySet["Team"]):
    def visible_to(self, user: User) -> TeamQuerySet:
        """Teams in which somebody holds a role, and all of them for whoever looks after people."""
        scope = user.scope("accounts.view_people")
        held = user.grants.active().values("team")
        everywhere = scope.everywhere or user.grants.active().filter(team=None).exists()
        return self if everywhere else self.filter(Q(pk__in=held) | Q(pk__in=scope.teams) | Q(pk=user.team_id))


class Team(models.Model):
    # By their own names: a team has `models`, which a type checker takes for the module in here.
    name = CharField(max_length=80, unique=True)
    slug = SlugField(max_length=40, unique=True)

    objects = TeamQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def team_id(self) -> int:
        """A team is governed by its own roles."""
        return self.pk


@dataclass(frozen=True)
class Scope:
    """Where somebody holds a permission: everywhere, or in some teams."""

    everywhere: bool
    teams: frozenset[int]

    def covers(self, team: int | None) -> bool:
        return self.everywhere or (team is not None and team in self.teams)

    def __and__(self, other: Scope) -> Scope:
        if self.everywhere or other.everywhere:
            return other if self.everywhere else self
        return Scope(False, self.teams & other.teams)

    def q(self, path: str = "team") -> Q:
        """Filter for rows whose team, at this path, is within the scope."""
        return Q() if self.everywhere else Q(**{f"{path}__in": self.teams})


NOWHERE = Scope(False, frozenset())


class UserQuerySet(models.QuerySet["User"]):
    def visible_to(self, user: User) -> UserQuerySet:
        """Oneself; with `accounts.view_people` everybody, or those with a role in the teams it is held for."""
        scope = user.scope("accounts.view_people")
        if scope.everywhere:
            return self
        colleagues = Grant.objects.active().filter(team__in=scope.teams).values("user")
        return self.filter(Q(pk=user.pk) | Q(pk__in=colleagues) | Q(team__in=scope.teams))


class UserManager(BaseUserManager.from_queryset(UserQuerySet)):  # type: ignore[misc]
    def get_by_natural_key(self, username: str | None) -> User:
        found: User = self.get(email__iexact=username or "")
        return found


class User(AbstractBaseUser):
    """A person or a service account. Nobody is a superuser; `opaque_id` is all the log ever shows of them."""

    class Kind(models.TextChoices):
        PERSON = "person", "Person"
        SERVICE = "service_account", "Service account"

    opaque_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=20, choices=Kind, default=Kind.PERSON)
    name = models.CharField(max_length=120)
    email = models.EmailField(unique=True)
    team = models.ForeignKey(Team, models.PROTECT, null=True, blank=True, related_name="service_accounts")
    is_active = models.BooleanField(default=True)
    is_demo = models.BooleanField(default=False, editable=False)
    joined_at = models.DateTimeField(db_default=Now())
    password_changed_at = models.DateTimeField(null=True)
    failed_sign_ins = models.PositiveIntegerField(default=0)
    locked_until = models.DateTimeField(null=True)

    objects = UserManager()
    USERNAME_FIELD = "email"
    is_superuser = False
    is_staff = False

    # What the token of this request is limited to; None where the person came with a session.
    scopes: frozenset[str] | None = None
    # What `keep_scopes` keeps; None where each question is asked anew.
    kept: list[tuple[int | None, list[str]]] | None = None

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(kind="service_account") | Q(team__isnull=False), name="service_account_has_a_team"
            ),
            models.UniqueConstraint(Lower("email"), name="mail_address_once"),
        ]
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_person(self) -> bool:
        return self.kind == self.Kind.PERSON

    @property
    def is_service(self) -> bool:
        return not self.is_person

    @property
    def identity(self) -> Identity:
        return Identity(self.kind, str(self.opaque_id), {"name": self.name, "email": self.email})

    def scope(self, perm: str) -> Scope:
        """Where this account holds a permission now, by the database's clock and the token's scopes."""
        if not self.is_active or (self.scopes is not None and perm not in self.scopes):
            return NOWHERE
        if perm in EVERYBODY:
            return Scope(True, frozenset())
        granted = GRANTED(self.pk) if self.kept is None else self.kept
        teams = {team for team, permissions in granted if perm in permissions}
        return Scope(None in teams, frozenset(team for team in teams if team is not None))

    def keep_scopes(self) -> None:
        """Ask once for what is granted: for a request that only reads, and wants to know again and again."""
        self.kept = GRANTED(self.pk)

    def has_perm(self, perm: str, obj: object | None = None) -> bool:
        """Whether a role grants the permission for the object's team; without an object: for the whole house."""
        if perm in EVERYBODY:
            owner = obj.pk if isinstance(obj, User) else getattr(obj, "user_id", None)
            return owner == self.pk and self.scope(perm).everywhere
        return self.scope(perm).covers(getattr(obj, "team_id", None))

    def may_somewhere(self, perm: str) -> bool:
        """Whether to offer the way to an act at all; the act itself asks again, for its object."""
        scope = self.scope(perm)
        return scope.everywhere or bool(scope.teams)

    def has_perms(self, perms: Iterable[str], obj: object | None = None) -> bool:
        return all(self.has_perm(perm, obj) for perm in perms)

    def roles_in(self, team: int | None) -> set[str]:
        """Slugs of the roles held for a team, granted there or everywhere."""
        held = self.grants.active().filter(Q(team=None) | Q(team_id=team))
        return set(held.values_list("role__slug", flat=True)) if self.is_active else set()


class Anonymous(AnonymousUser):
    """DRF's unauthenticated user, as an actor of the log."""

    identity = ANONYMOUS.identity

    def scope(self, perm: str) -> Scope:
        return NOWHERE

    def may_somewhere(self, perm: str) -> bool:
        return ANONYMOUS.has_perm(perm)

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        return ANONYMOUS.has_perm(perm, obj)


class Role(models.Model):
    """A named set of permissions."""

    slug = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=80)
    permissions = ArrayField(models.CharField(max_length=80))

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class GrantQuerySet(models.QuerySet["Grant"]):
    def visible_to(self, user: User) -> GrantQuerySet:
        """One's own, and those of the accounts that somebody may see."""
        return self.filter(user__in=User.objects.visible_to(user))

    def active(self) -> GrantQuerySet:
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=Now()), revoked_at=None)

    def with_due(self) -> GrantQuerySet:
        """Each with `confirmed_at`, when somebody last found it right, and `due_at`, by when somebody has to again."""
        since = Coalesce("confirmed_at", "granted_at") + timedelta(days=settings.RECERTIFY_DAYS)
        found = self.annotate(confirmed_at=Max("recertifications__at"))
        return found.annotate(due_at=ExpressionWrapper(since, output_field=DateTimeField()))

    def due(self) -> GrantQuerySet:
        """What has to be confirmed within a month or should have been, the oldest first."""
        return self.with_due().filter(due_at__lte=Now() + DUE_SOON).order_by("due_at", "pk")  # type: ignore[misc]


# Where an account holds what; asked many times in each act.
GRANTED: Prepared[tuple[int | None, list[str]]] = Prepared(
    lambda user: Grant.objects.active().filter(user=user).order_by().values_list("team_id", "role__permissions"), int
)
DUE_SOON = timedelta(days=30)


class Grant(models.Model):
    """A role given to an account, for one team or everywhere, for a reason, perhaps until a day."""

    user = models.ForeignKey(User, models.PROTECT, related_name="grants")
    role = models.ForeignKey(Role, models.PROTECT, related_name="grants")
    team = models.ForeignKey(Team, models.PROTECT, null=True, blank=True, related_name="grants")
    reason = models.CharField(max_length=500)
    # Why one account may do what is meant for two, where this grant lets it.
    conflict_reason = models.CharField(max_length=500, blank=True)
    granted_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    granted_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True)

    objects = GrantQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.role} for {self.team or 'everything'}"

    @property
    def due_state(self) -> str:
        """For showing, of a grant read `with_due`: "overdue", "due_soon" or ""."""
        left = self.due_at - timezone.now()  # type: ignore[attr-defined]
        return "overdue" if left <= timedelta(0) else "due_soon" if left <= DUE_SOON else ""


TOKEN_STATES = ("active", "expired", "revoked")


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def visible_to(self, user: User) -> ApiTokenQuerySet:
        """One's own, and those of service accounts that somebody makes tokens for."""
        served = Q(user__kind=User.Kind.SERVICE) & user.scope("accounts.issue_service_token").q("user__team")
        return self.filter(Q(user=user) | served)

    def usable(self) -> ApiTokenQuerySet:
        return self.filter(revoked_at=None, expires_at__gt=Now(), user__is_active=True)


class ApiToken(models.Model):
    """A bearer token for the REST API: only its SHA-256 is kept, it is scoped, and it always expires."""

    user = models.ForeignKey(User, models.PROTECT, related_name="tokens")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12, unique=True)
    digest = models.BinaryField(max_length=32)
    scopes = ArrayField(models.CharField(max_length=80))
    created_at = models.DateTimeField(db_default=Now())
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    objects = ApiTokenQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.name} (cst_{self.prefix}…)"

    @property
    def team_id(self) -> int | None:
        return self.user.team_id

    @property
    def state(self) -> str:
        """For showing; `usable` decides, by the database's clock."""
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at <= timezone.now() else "active"
