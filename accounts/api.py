"""Accounts under `/api/v1/`: oneself, tokens, people, teams, roles, grants."""

from __future__ import annotations

from typing import Any, cast

from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import services
from accounts.access import abilities
from accounts.models import TOKEN_STATES, ApiToken, Grant, Role, Team, User
from accounts.takeover.holding import holding


class TeamSerializer(serializers.ModelSerializer[Team]):
    class Meta:
        model = Team
        fields = ["id", "name", "slug"]


class RoleSerializer(serializers.ModelSerializer[Role]):
    class Meta:
        model = Role
        fields = ["slug", "name", "permissions"]


class GrantSerializer(serializers.ModelSerializer[Grant]):
    role = serializers.SlugRelatedField[Role](slug_field="slug", read_only=True)
    account = serializers.IntegerField(source="user_id", read_only=True)
    granted_by = serializers.IntegerField(source="granted_by_id", read_only=True, allow_null=True)

    class Meta:
        model = Grant
        fields = [
            "id", "account", "role", "team", "reason", "conflict_reason", "granted_by", "granted_at", "expires_at",
            "revoked_at",
        ]  # fmt: skip


class TokenSerializer(serializers.ModelSerializer[ApiToken]):
    account = serializers.IntegerField(source="user_id", read_only=True)
    scopes = serializers.ListField(child=serializers.CharField(), read_only=True)
    state = serializers.ChoiceField(choices=TOKEN_STATES, read_only=True)

    class Meta:
        model = ApiToken
        fields = [
            "id", "account", "name", "prefix", "scopes", "state", "created_at", "expires_at", "last_used_at",
            "revoked_at",
        ]  # fmt: skip


class NewTokenSerializer(TokenSerializer):
    token = serializers.CharField(help_text="Shown this once", read_only=True)

    class Meta(TokenSerializer.Meta):
        fields = [*TokenSerializer.Meta.fields, "token"]


class AbilitySerializer(serializers.Serializer[Any]):
    permission = serializers.CharField()
    sentence = serializers.CharField()
    # Ids of grants; none for what everybody may.
    because_of = serializers.ListField(child=serializers.IntegerField())


class AccountSerializer(serializers.ModelSerializer[User]):
    class Meta:
        model = User
        fields = ["id", "opaque_id", "kind", "name", "email", "team", "is_active", "joined_at"]


class AccountDetailSerializer(AccountSerializer):
    grants = serializers.SerializerMethodField()
    may = serializers.SerializerMethodField()
    signing_held_until = serializers.SerializerMethodField(help_text="After a change of credentials")

    class Meta(AccountSerializer.Meta):
        fields = [*AccountSerializer.Meta.fields, "grants", "may", "signing_held_until"]

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_signing_held_until(self, user: User) -> Any:
        change = holding(user)
        return change.held_until if change else None

    @extend_schema_field(GrantSerializer(many=True))
    def get_grants(self, user: User) -> Any:
        return GrantSerializer(user.grants.active().select_related("role").order_by("pk"), many=True).data

    @extend_schema_field(AbilitySerializer(many=True))
    def get_may(self, user: User) -> list[dict[str, Any]]:
        return [
            {"permission": one.permission, "sentence": one.sentence, "because_of": [grant.pk for grant in one.sources]}
            for one in abilities(user)
        ]


class MeSerializer(AccountDetailSerializer):
    token_scopes = serializers.SerializerMethodField(help_text="What the token of this request is limited to")

    class Meta(AccountDetailSerializer.Meta):
        fields = [*AccountDetailSerializer.Meta.fields, "token_scopes"]

    @extend_schema_field(serializers.ListField(child=serializers.CharField(), allow_null=True))
    def get_token_scopes(self, user: User) -> list[str] | None:
        return None if user.scopes is None else sorted(user.scopes)


class TokenInput(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=80)
    scopes = serializers.ListField(child=serializers.CharField(max_length=80), max_length=100)
    days = serializers.IntegerField(default=30)


class AccountInput(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=120)
    email = serializers.EmailField()
    kind = serializers.ChoiceField(choices=User.Kind.choices, default=User.Kind.PERSON)
    team = serializers.PrimaryKeyRelatedField(queryset=Team.objects.all(), allow_null=True, default=None)


class TeamInput(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=80)
    slug = serializers.SlugField(max_length=40)


class GrantInput(serializers.Serializer[Any]):
    account = serializers.PrimaryKeyRelatedField(queryset=User.objects.all())
    role = serializers.SlugRelatedField(slug_field="slug", queryset=Role.objects.all())
    team = serializers.PrimaryKeyRelatedField(
        queryset=Team.objects.all(), allow_null=True, help_text="null is the whole house"
    )
    reason = serializers.CharField(max_length=500)
    expires_at = serializers.DateTimeField(allow_null=True, default=None)
    accept_conflict = serializers.BooleanField(default=False)
    conflict_reason = serializers.CharField(
        max_length=500, default="", allow_blank=True, help_text="Why one account may do what is meant for two"
    )


class AccessReasonInput(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=500)


def given(serializer: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """The checked body. Raises ValidationError with field paths."""
    body = serializer(data=request.data)
    body.is_valid(raise_exception=True)
    return dict(body.validated_data)


def shown_once(made: tuple[ApiToken, str]) -> Response:
    token, text = made
    token.token = text  # type: ignore[attr-defined]
    response = Response(NewTokenSerializer(token).data, status=201)
    response.shows_secret = True  # type: ignore[attr-defined]
    return response


class Me(APIView):
    """Who asks, and what they may do."""

    permissions = {"GET": None}

    @extend_schema(summary="Look at oneself", responses=MeSerializer)
    def get(self, request: Request) -> Response:
        return Response(MeSerializer(cast(User, request.user)).data)


class TokenList(ListAPIView[ApiToken]):
    """One's own API tokens, and those of the service accounts one makes tokens for."""

    permissions = {"GET": None, "POST": "accounts.manage_own_access"}
    serializer_class = TokenSerializer
    queryset = ApiToken.objects.none()

    def get_queryset(self) -> Any:
        fake = getattr(self, "swagger_fake_view", False)
        return ApiToken.objects.none() if fake else ApiToken.objects.visible_to(self.request.user)  # type: ignore[arg-type]

    @extend_schema(summary="List API tokens")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(
        summary="Make an API token of one's own",
        description="Only from a browser's session: a token cannot make tokens.",
        request=TokenInput,
        responses={201: NewTokenSerializer},
    )
    def post(self, request: Request) -> Response:
        return shown_once(
            services.create_own_token(by=request.user, account=request.user, **given(TokenInput, request))
        )


class TokenRevocation(APIView):
    """One's own token, or that of a service account. It ends at once."""

    permissions = {"POST": "accounts.manage_own_access"}

    @extend_schema(summary="Revoke an API token", request=None, responses={200: TokenSerializer})
    def post(self, request: Request, pk: int) -> Response:
        token = get_object_or_404(ApiToken.objects.visible_to(request.user), pk=pk)  # type: ignore[arg-type]
        revoke = services.revoke_own_token if token.user == request.user else services.revoke_service_token
        return Response(TokenSerializer(revoke(by=request.user, token=token)).data)


class PersonList(ListAPIView[User]):
    """The accounts one may see."""

    permissions = {"GET": "accounts.view_people", "POST": "accounts.add_account"}
    serializer_class = AccountSerializer
    filterset_fields = ["kind", "is_active"]
    queryset = User.objects.none()

    def get_queryset(self) -> Any:
        fake = getattr(self, "swagger_fake_view", False)
        return User.objects.none() if fake else User.objects.visible_to(self.request.user)

    @extend_schema(summary="List people and service accounts")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(
        summary="Add a person or a service account", request=AccountInput, responses={201: AccountSerializer}
    )
    def post(self, request: Request) -> Response:
        return Response(
            AccountSerializer(services.add_account(by=request.user, **given(AccountInput, request))).data, 201
        )


def person(request: Request, pk: int) -> User:
    account: User = get_object_or_404(User.objects.visible_to(request.user), pk=pk)
    return account


class PersonDetail(APIView):
    permissions = {"GET": "accounts.view_people"}

    @extend_schema(summary="Look at an account, what it may do and why", responses=AccountDetailSerializer)
    def get(self, request: Request, pk: int) -> Response:
        return Response(AccountDetailSerializer(person(request, pk)).data)


class PersonDeactivation(APIView):
    """They are signed out everywhere and their tokens end. What they signed keeps counting."""

    permissions = {"POST": "accounts.deactivate_account"}

    @extend_schema(summary="Deactivate an account", request=AccessReasonInput, responses={200: AccountSerializer})
    def post(self, request: Request, pk: int) -> Response:
        account = services.deactivate_account(
            by=request.user, account=person(request, pk), **given(AccessReasonInput, request)
        )
        return Response(AccountSerializer(account).data)


class PersonTokens(APIView):
    permissions = {"POST": "accounts.issue_service_token"}

    @extend_schema(
        summary="Make an API token for a service account", request=TokenInput, responses={201: NewTokenSerializer}
    )
    def post(self, request: Request, pk: int) -> Response:
        account, wanted = person(request, pk), given(TokenInput, request)
        return shown_once(services.issue_service_token(by=request.user, account=account, **wanted))


class TeamList(ListAPIView[Team]):
    """The teams in which one holds a role; all of them for a role that holds everywhere."""

    permissions = {"GET": None, "POST": "accounts.add_team"}
    serializer_class = TeamSerializer
    queryset = Team.objects.none()

    def get_queryset(self) -> Any:
        fake = getattr(self, "swagger_fake_view", False)
        return Team.objects.none() if fake else Team.objects.visible_to(self.request.user)  # type: ignore[arg-type]

    @extend_schema(summary="List teams")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(summary="Add a team", request=TeamInput, responses={201: TeamSerializer})
    def post(self, request: Request) -> Response:
        return Response(TeamSerializer(services.add_team(by=request.user, **given(TeamInput, request))).data, 201)


class RoleList(ListAPIView[Role]):
    """The roles of the house and what each allows."""

    permissions = {"GET": None}
    serializer_class = RoleSerializer
    queryset = Role.objects.all()

    @extend_schema(summary="List roles")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class GrantList(ListAPIView[Grant]):
    """Roles granted, past ones included: one's own, and those of the people one may see."""

    permissions = {"GET": None, "POST": "accounts.grant_role"}
    serializer_class = GrantSerializer
    filterset_fields = {"user": ["exact"], "team": ["exact"], "role__slug": ["exact"], "revoked_at": ["isnull"]}
    queryset = Grant.objects.none()

    def get_queryset(self) -> Any:
        if getattr(self, "swagger_fake_view", False):
            return Grant.objects.none()
        return Grant.objects.visible_to(self.request.user).select_related("role")  # type: ignore[arg-type]

    @extend_schema(summary="List grants of roles")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(summary="Grant a role", request=GrantInput, responses={201: GrantSerializer})
    def post(self, request: Request) -> Response:
        return Response(GrantSerializer(services.grant_role(by=request.user, **given(GrantInput, request))).data, 201)


class GrantRevocation(APIView):
    permissions = {"POST": "accounts.grant_role"}

    @extend_schema(summary="Revoke a grant", request=AccessReasonInput, responses={200: GrantSerializer})
    def post(self, request: Request, pk: int) -> Response:
        grant = get_object_or_404(Grant.objects.visible_to(request.user), pk=pk)  # type: ignore[arg-type]
        return Response(
            GrantSerializer(
                services.revoke_grant(by=request.user, grant=grant, **given(AccessReasonInput, request))
            ).data
        )


routes = [
    path("me/", Me.as_view(), name="api-me"),
    path("tokens/", TokenList.as_view(), name="api-tokens"),
    path("tokens/<int:pk>/revocation/", TokenRevocation.as_view(), name="api-token-revocation"),
    path("people/", PersonList.as_view(), name="api-people"),
    path("people/<int:pk>/", PersonDetail.as_view(), name="api-person"),
    path("people/<int:pk>/deactivation/", PersonDeactivation.as_view(), name="api-person-deactivation"),
    path("people/<int:pk>/tokens/", PersonTokens.as_view(), name="api-person-tokens"),
    path("teams/", TeamList.as_view(), name="api-teams"),
    path("roles/", RoleList.as_view(), name="api-roles"),
    path("grants/", GrantList.as_view(), name="api-grants"),
    path("grants/<int:pk>/revocation/", GrantRevocation.as_view(), name="api-grant-revocation"),
]
