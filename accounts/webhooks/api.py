"""Webhooks under `/api/v1/webhooks/`."""

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

from accounts.api import AccessReasonInput, given
from accounts.asking import asker
from accounts.models import Team
from notifications.api import NotificationSerializer
from notifications.kinds import HOOKED
from notifications.models import Notification, NotificationQuerySet, Webhook
from notifications.webhooks import services
from notifications.webhooks.models import WebhookQuerySet

ACT = "notifications.retry_delivery"
SEE = "notifications.view_outbox"


class WebhookSerializer(serializers.ModelSerializer[Webhook]):
    """All that is known of a webhook but its secret, which nobody can show again."""

    team = serializers.IntegerField(source="team_id", allow_null=True, help_text="null where it is the whole house")
    kinds = serializers.ListField(child=serializers.ChoiceField(HOOKED))
    rotated_at = serializers.DateTimeField(help_text="Since when its newest secret signs")
    previous_until = serializers.DateTimeField(allow_null=True, help_text="Until when older secrets sign, or signed")

    class Meta:
        model = Webhook
        fields = [
            "id", "name", "team", "url", "kinds", "state", "gone_at", "rotated_at", "previous_until", "made_by",
            "made_at",
        ]  # fmt: skip
        read_only_fields = fields


class NewWebhookSerializer(WebhookSerializer):
    secret = serializers.SerializerMethodField(help_text="Shown this once: `whsec_` and the key in base64")

    class Meta(WebhookSerializer.Meta):
        fields = [*WebhookSerializer.Meta.fields, "secret"]
        read_only_fields = fields

    def get_secret(self, hook: Webhook) -> str:
        secret: str = self.context["secret"]
        return secret


class WebhookChangeInput(serializers.Serializer[Any]):
    """What is left out stays as it is."""

    name = serializers.CharField(max_length=80, required=False)
    url = serializers.CharField(max_length=500, required=False, help_text="`https://…`, outside of this network")
    kinds = serializers.ListField(child=serializers.ChoiceField(HOOKED), max_length=50, required=False)


class WebhookInput(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=80)
    url = serializers.CharField(max_length=500, help_text="`https://…`, outside of this network")
    kinds = serializers.ListField(child=serializers.ChoiceField(HOOKED), max_length=50)
    team = serializers.IntegerField(
        allow_null=True, default=None, help_text="A team's id; without it, it is told of the whole house"
    )


class WebhookSecretInput(serializers.Serializer[Any]):
    overlap_hours = serializers.IntegerField(
        default=services.OVERLAP_HOURS, help_text="For how long the old secret signs too, a week at most"
    )


def visible(request: Request, pk: int) -> Webhook:
    return get_object_or_404(Webhook.objects.visible_to(asker(request)).prefetch_related("secrets"), pk=pk)


def shown_once(made: tuple[Webhook, str], status: int) -> Response:
    hook, secret = made
    response = Response(NewWebhookSerializer(hook, context={"secret": secret}).data, status=status)
    response.shows_secret = True  # type: ignore[attr-defined]
    return response


class WebhookList(ListAPIView[Webhook]):
    """Webhooks, newest first. Never their secrets."""

    permissions = {"GET": SEE, "POST": ACT}
    queryset = Webhook.objects.none()
    serializer_class = WebhookSerializer
    filterset_fields = ["state"]

    def get_queryset(self) -> WebhookQuerySet:
        return Webhook.objects.visible_to(asker(self.request)).prefetch_related("secrets")

    @extend_schema(summary="List webhooks")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(summary="Add a webhook", request=WebhookInput, responses={201: NewWebhookSerializer})
    def post(self, request: Request) -> Response:
        """The answer shows the secret, once: asked again with the same Idempotency-Key it shows nothing."""
        data = given(WebhookInput, request)
        wanted = data.pop("team")
        team = Team.objects.visible_to(asker(request)).filter(pk=wanted).first()
        if team is None and wanted is not None:
            sentence = "There is no such team that you can see. Check its number."
            raise serializers.ValidationError({"team": [sentence]}, code="does_not_exist")
        return shown_once(services.add_webhook(by=asker(request), team=team, **data), 201)


class WebhookDetail(APIView):
    permissions = {"GET": SEE, "PATCH": ACT}

    @extend_schema(summary="Look at a webhook", responses={200: WebhookSerializer})
    def get(self, request: Request, pk: int) -> Response:
        return Response(WebhookSerializer(visible(request, pk)).data)

    @extend_schema(summary="Change a webhook", request=WebhookChangeInput, responses={200: WebhookSerializer})
    def patch(self, request: Request, pk: int) -> Response:
        hook = visible(request, pk)
        changed = services.change_webhook(by=asker(request), webhook=hook, **given(WebhookChangeInput, request))
        return Response(WebhookSerializer(changed).data)


class WebhookSecret(APIView):
    """Make a new secret. The answer shows it, once."""

    permissions = {"POST": ACT}

    @extend_schema(
        summary="Rotate a webhook's secret", request=WebhookSecretInput, responses={200: NewWebhookSerializer}
    )
    def post(self, request: Request, pk: int) -> Response:
        hook = visible(request, pk)
        made = services.rotate_secret(by=asker(request), webhook=hook, **given(WebhookSecretInput, request))
        return shown_once(made, 200)


class WebhookPausing(APIView):
    permissions = {"POST": ACT}

    @extend_schema(summary="Pause a webhook", request=AccessReasonInput, responses={200: WebhookSerializer})
    def post(self, request: Request, pk: int) -> Response:
        hook = visible(request, pk)
        paused = services.pause_webhook(by=asker(request), webhook=hook, **given(AccessReasonInput, request))
        return Response(WebhookSerializer(paused).data)


class WebhookResuming(APIView):
    permissions = {"POST": ACT}

    @extend_schema(summary="Resume a webhook", request=None, responses={200: WebhookSerializer})
    def post(self, request: Request, pk: int) -> Response:
        resumed = services.resume_webhook(by=asker(request), webhook=visible(request, pk))
        return Response(WebhookSerializer(resumed).data)


class WebhookTest(APIView):
    """Send a message of kind `ping`; its delivery says what came of it."""

    permissions = {"POST": ACT}

    @extend_schema(summary="Send a webhook a test", request=None, responses={202: NotificationSerializer})
    def post(self, request: Request, pk: int) -> Response:
        row = services.send_test(by=asker(request), webhook=visible(request, pk))
        return Response(NotificationSerializer(row).data, status=202)


class WebhookRemoval(APIView):
    """With its secret and its deliveries."""

    permissions = {"POST": ACT}

    @extend_schema(summary="Remove a webhook", request=AccessReasonInput, responses={204: None})
    def post(self, request: Request, pk: int) -> Response:
        hook = visible(request, pk)
        services.remove_webhook(by=asker(request), webhook=hook, **given(AccessReasonInput, request))
        return Response(status=204)


class WebhookDeliveries(ListAPIView[Notification]):
    """What a webhook was told, waits or failed, newest first, without the texts."""

    permissions = {"GET": SEE}
    queryset = Notification.objects.none()
    serializer_class = NotificationSerializer
    filterset_fields = ["state", "kind"]

    def get_queryset(self) -> NotificationQuerySet:
        hook = visible(self.request, self.kwargs["pk"])
        return Notification.objects.filter(webhook=hook).defer("body")

    @extend_schema(summary="List a webhook's deliveries")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


routes = [
    path("webhooks/", WebhookList.as_view(), name="api-webhooks"),
    path("webhooks/<int:pk>/", WebhookDetail.as_view(), name="api-webhook"),
    path("webhooks/<int:pk>/secret/", WebhookSecret.as_view(), name="api-webhook-secret"),
    path("webhooks/<int:pk>/pausing/", WebhookPausing.as_view(), name="api-webhook-pausing"),
    path("webhooks/<int:pk>/resuming/", WebhookResuming.as_view(), name="api-webhook-resuming"),
    path("webhooks/<int:pk>/test/", WebhookTest.as_view(), name="api-webhook-test"),
    path("webhooks/<int:pk>/removal/", WebhookRemoval.as_view(), name="api-webhook-removal"),
    path("webhooks/<int:pk>/deliveries/", WebhookDeliveries.as_view(), name="api-webhook-deliveries"),
]
