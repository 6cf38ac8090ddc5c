"""Links for new passwords, mail addresses and their confirmation under `/api/v1/`."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api import AccessReasonInput, AccountDetailSerializer, AccountSerializer, given, person
from accounts.asking import asker
from accounts.forms import PASSWORD
from accounts.takeover import services
from accounts.takeover.factors import send_factor_link
from accounts.takeover.links import factors_link, reset_link


class LinkSerializer(serializers.Serializer[Any]):
    """`link` is shown this once where the portal sends no mail, and null where the link was mailed."""

    mailed = serializers.BooleanField()
    link = serializers.CharField(allow_null=True)


class AddressInput(AccessReasonInput):
    email = serializers.EmailField()


class OwnAddressInput(serializers.Serializer[Any]):
    email = serializers.EmailField()
    password = serializers.CharField(max_length=PASSWORD, trim_whitespace=False, write_only=True)


class PersonLink(APIView):
    """A link by which a person sets a new password, once, within a day. Nobody sets a password for another."""

    permissions = {"POST": "accounts.manage_credentials"}

    @extend_schema(summary="Send a link for a new password", request=AccessReasonInput, responses={201: LinkSerializer})
    def post(self, request: Request, pk: int) -> Response:
        account, wanted = person(request, pk), given(AccessReasonInput, request)
        text = services.send_reset_link(by=asker(request), account=account, **wanted)
        response = Response({"mailed": not text, "link": reset_link(text) if text else None}, 201)
        response.shows_secret = bool(text)  # type: ignore[attr-defined]
        return response


class PersonFactorLink(APIView):
    """A link by which a person removes second factors that they have lost, once, within a day, with their password."""

    permissions = {"POST": "accounts.manage_credentials"}

    @extend_schema(
        summary="Send a link for lost second factors", request=AccessReasonInput, responses={201: LinkSerializer}
    )
    def post(self, request: Request, pk: int) -> Response:
        account, wanted = person(request, pk), given(AccessReasonInput, request)
        text = send_factor_link(by=asker(request), account=account, **wanted)
        response = Response({"mailed": not text, "link": factors_link(text) if text else None}, 201)
        response.shows_secret = bool(text)  # type: ignore[attr-defined]
        return response


class PersonAddress(APIView):
    """Signing is held back for 24 hours, and the old address is told."""

    permissions = {"POST": "accounts.manage_credentials"}

    @extend_schema(summary="Change somebody's mail address", request=AddressInput, responses={200: AccountSerializer})
    def post(self, request: Request, pk: int) -> Response:
        account, wanted = person(request, pk), given(AddressInput, request)
        return Response(AccountSerializer(services.change_address(by=asker(request), account=account, **wanted)).data)


class PersonCredentials(APIView):
    """By another administrator than whoever sent the link or changed the address."""

    permissions = {"POST": "accounts.manage_credentials"}

    @extend_schema(
        summary="Confirm changed credentials, so that they may sign at once", request=AccessReasonInput,
        responses={200: AccountDetailSerializer},
    )  # fmt: skip
    def post(self, request: Request, pk: int) -> Response:
        account, wanted = person(request, pk), given(AccessReasonInput, request)
        confirmed = services.confirm_credentials(by=asker(request), account=account, **wanted)
        return Response(AccountDetailSerializer(confirmed).data)


class OwnAddress(APIView):
    """With one's password, also where a token asks. Signing is held back for 24 hours."""

    permissions = {"POST": "accounts.manage_own_access"}

    @extend_schema(summary="Change one's mail address", request=OwnAddressInput, responses={200: AccountSerializer})
    def post(self, request: Request) -> Response:
        changed = services.change_own_address(by=asker(request), **given(OwnAddressInput, request))
        return Response(AccountSerializer(changed).data)


routes = [
    path("me/mail-address/", OwnAddress.as_view(), name="api-me-address"),
    path("people/<int:pk>/reset-link/", PersonLink.as_view(), name="api-person-link"),
    path("people/<int:pk>/factor-link/", PersonFactorLink.as_view(), name="api-person-factor-link"),
    path("people/<int:pk>/mail-address/", PersonAddress.as_view(), name="api-person-address"),
    path("people/<int:pk>/credentials-confirmation/", PersonCredentials.as_view(), name="api-person-credentials"),
]
