"""One's own choice of notifications under `/api/v1/me/notifications/`."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api import given
from accounts.asking import asker
from accounts.models import User
from accounts.preferences import services
from accounts.preferences.telling import ways_of
from notifications.kinds import KINDS, WAYS


class NotificationWaySerializer(serializers.Serializer[Any]):
    kind = serializers.CharField()
    title = serializers.CharField()
    way = serializers.ChoiceField(choices=list(WAYS.items()))
    ways = serializers.ListField(
        child=serializers.CharField(), help_text="What it can be; one where there is no choice"
    )


class NotificationWaysSerializer(serializers.Serializer[Any]):
    kinds = NotificationWaySerializer(many=True)


class NotificationWaysInput(serializers.Serializer[Any]):
    ways = serializers.DictField(
        child=serializers.CharField(), allow_empty=False,
        help_text="By kind `at_once`, `digest` or `off`; kinds that are left out stay as they are",
    )  # fmt: skip


def told(account: User) -> dict[str, Any]:
    ways = ways_of(account)
    return {
        "kinds": [
            {"kind": kind.slug, "title": kind.title, "way": ways[kind.slug], "ways": list(kind.ways)}
            for kind in KINDS.values()
        ]
    }


class OwnNotifications(APIView):
    """What the portal mails to you. Receipts and what protects your account are always sent."""

    permissions = {"GET": "accounts.manage_own_access", "PATCH": "accounts.manage_own_access"}

    @extend_schema(summary="Look at one's own choice of notifications", responses={200: NotificationWaysSerializer})
    def get(self, request: Request) -> Response:
        return Response(NotificationWaysSerializer(told(asker(request))).data)

    @extend_schema(
        summary="Choose how to be told", request=NotificationWaysInput, responses={200: NotificationWaysSerializer}
    )
    def patch(self, request: Request) -> Response:
        user = asker(request)
        services.choose(by=user, account=user, ways=given(NotificationWaysInput, request)["ways"])
        return Response(NotificationWaysSerializer(told(user)).data)


routes = [path("me/notifications/", OwnNotifications.as_view(), name="api-me-notifications")]
