"""Connections under `/api/v1/`."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker
from accounts.models import Team
from ledger.refusals import Denied
from registry.api.answers import NOT_MODIFIED, ConnectionOut, DatasetOut, with_etag
from registry.connecting import services
from registry.connecting.models import Connection
from registry.models import Dataset


class ConnectionInput(serializers.Serializer[Any]):
    team = serializers.PrimaryKeyRelatedField(queryset=Team.objects.all())
    url = serializers.CharField(
        max_length=1000, write_only=True, help_text="postgresql://user:password@host:5432/database; never shown again"
    )
    table = serializers.CharField(
        max_length=200, required=False, allow_blank=True, default="", help_text="A table or view, with its schema"
    )
    query = serializers.CharField(
        max_length=10_000, required=False, allow_blank=True, default="", help_text="Or one SELECT"
    )
    snapshot = serializers.CharField(
        max_length=200, required=False, allow_blank=True, default="",
        help_text="What its owner calls this state of the rows, where it has a name",
    )  # fmt: skip


class ConnectionSecretInput(serializers.Serializer[Any]):
    user = serializers.CharField(max_length=200, write_only=True)
    password = serializers.CharField(max_length=500, write_only=True, trim_whitespace=False)


class ConnectedDatasetInput(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=120)
    purpose = serializers.ChoiceField(Dataset.Purpose.choices)
    roles = serializers.DictField(
        child=serializers.CharField(max_length=20), help_text="Role by column; others are `other`"
    )
    positive_class = serializers.CharField(max_length=80, required=False, allow_blank=True, default="")
    source = serializers.CharField(  # type: ignore[assignment]
        max_length=4000, help_text="Where the rows come from, and who confirms it"
    )
    lawful_basis = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")


class ColumnsOut(serializers.Serializer[Any]):
    rows = serializers.IntegerField()
    columns = serializers.JSONField(help_text="Name, type and number of missing values of each")


def visible(request: Request, pk: int) -> Connection:
    rows = Connection.objects.visible_to(request.user).select_related("team", "added_by")
    connection: Connection = get_object_or_404(rows, pk=pk)
    return connection


def read(serializer: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    given = serializer(data=request.data, context={"request": request})
    given.is_valid(raise_exception=True)
    data: dict[str, Any] = given.validated_data
    return data


class Connections(ListAPIView[Connection]):
    """Databases that your teams have connected: where they are and what is read, never with whose password."""

    permissions = {"GET": "registry.view_model", "POST": "registry.register_dataset"}
    queryset = Connection.objects.none()
    serializer_class = ConnectionOut
    filterset_fields = ["team"]

    def get_queryset(self) -> Any:
        return Connection.objects.visible_to(self.request.user).select_related("team", "added_by")

    @extend_schema(summary="List connections")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(summary="Connect a database", request=ConnectionInput, responses={201: ConnectionOut})
    def post(self, request: Request) -> Response:
        made = services.connect(by=asker(request), **read(ConnectionInput, request))
        return Response(ConnectionOut(made).data, status=201)


class ConnectionDetail(APIView):
    permissions = {"GET": "registry.view_model"}

    @extend_schema(summary="Look at a connection", responses={200: ConnectionOut, 304: NOT_MODIFIED})
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        return with_etag(request, ConnectionOut(visible(request, pk)).data)


class ConnectionColumns(APIView):
    """Asks the database which columns there are now, for choosing their roles."""

    permissions = {"GET": "registry.register_dataset"}

    @extend_schema(summary="Look which columns a connection has", responses={200: ColumnsOut})
    def get(self, request: Request, pk: int) -> Response:
        connection = visible(request, pk)
        if not asker(request).has_perm("registry.register_dataset", connection):
            raise Denied("registry.register_dataset")
        return Response(ColumnsOut(services.described(connection)).data)


class ConnectionCheck(APIView):
    """Asks the database again; that it does not answer is an answer too, under `problem`."""

    permissions = {"POST": "registry.register_dataset"}

    @extend_schema(summary="Check a connection", request=None, responses={200: ConnectionOut})
    def post(self, request: Request, pk: int) -> Response:
        checked = services.check(by=asker(request), connection=visible(request, pk))
        return Response(ConnectionOut(checked).data)


class ConnectionSecret(APIView):
    """Another user and password, which are tried before they replace those before them."""

    permissions = {"POST": "registry.register_dataset"}

    @extend_schema(
        summary="Replace a connection's password", request=ConnectionSecretInput, responses={200: ConnectionOut}
    )
    def post(self, request: Request, pk: int) -> Response:
        given = read(ConnectionSecretInput, request)
        connection = services.replace_secret(by=asker(request), connection=visible(request, pk), **given)
        return Response(ConnectionOut(connection).data)


class ConnectionDatasets(APIView):
    """Registers what is there as a dataset, whose rows stay there."""

    permissions = {"POST": "registry.register_dataset"}

    @extend_schema(
        summary="Register a connection as a dataset", request=ConnectedDatasetInput, responses={201: DatasetOut}
    )
    def post(self, request: Request, pk: int) -> Response:
        given = read(ConnectedDatasetInput, request)
        made = services.register_connected(by=asker(request), connection=visible(request, pk), **given)
        return Response(DatasetOut(made).data, status=201)


routes = [
    path("connections/", Connections.as_view(), name="api-connections"),
    path("connections/<int:pk>/", ConnectionDetail.as_view(), name="api-connection"),
    path("connections/<int:pk>/columns/", ConnectionColumns.as_view(), name="api-connection-columns"),
    path("connections/<int:pk>/check/", ConnectionCheck.as_view(), name="api-connection-check"),
    path("connections/<int:pk>/secret/", ConnectionSecret.as_view(), name="api-connection-secret"),
    path("connections/<int:pk>/datasets/", ConnectionDatasets.as_view(), name="api-connection-datasets"),
]
