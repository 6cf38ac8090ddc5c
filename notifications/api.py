"""The outbox under `/api/v1/notifications/`."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from notifications.models import Notification, NotificationQuerySet
from notifications.services import retry


class NotificationSerializer(serializers.ModelSerializer[Notification]):
    class Meta:
        model = Notification
        fields = [
            "id", "number", "channel", "webhook", "kind", "about", "address", "recipient", "subject", "path", "state",
            "attempt", "error", "answer", "created_at", "due_at", "ended_at",
        ]  # fmt: skip
        read_only_fields = fields


def visible(request: Request, pk: int) -> Notification:
    return get_object_or_404(Notification.objects.visible_to(request.user), pk=pk)


class NotificationList(ListAPIView[Notification]):
    """What the portal told and has to tell, newest first, without the texts."""

    permissions = {"GET": "notifications.view_outbox"}
    serializer_class = NotificationSerializer
    filterset_fields = ["state", "kind", "channel"]

    def get_queryset(self) -> NotificationQuerySet:
        return Notification.objects.visible_to(self.request.user).defer("body")

    @extend_schema(summary="List notifications")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class NotificationDetail(APIView):
    permissions = {"GET": "notifications.view_outbox"}

    @extend_schema(summary="Look at a notification", responses={200: NotificationSerializer})
    def get(self, request: Request, pk: int) -> Response:
        return Response(NotificationSerializer(visible(request, pk)).data)


class NotificationRetry(APIView):
    """Try one again that was given up."""

    permissions = {"POST": "notifications.retry_delivery"}

    @extend_schema(summary="Try a notification again", request=None, responses={202: NotificationSerializer})
    def post(self, request: Request, pk: int) -> Response:
        row = retry(by=request.user, notification=visible(request, pk))
        return Response(NotificationSerializer(row).data, status=202)


routes = [
    path("notifications/", NotificationList.as_view(), name="api-notifications"),
    path("notifications/<int:pk>/", NotificationDetail.as_view(), name="api-notification"),
    path("notifications/<int:pk>/retry/", NotificationRetry.as_view(), name="api-notification-retry"),
]
