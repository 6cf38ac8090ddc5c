"""Imports of inventories under `/api/v1/`."""

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

from accounts.asking import asker
from accounts.models import Team
from ledger.refusals import Denied
from registry.api.answers import ModelRef, PersonRef, TeamRef
from registry.api.fields import VisibleUpload
from registry.importing import services
from registry.importing.models import ModelImport


class ImportInput(serializers.Serializer[Any]):
    team = serializers.PrimaryKeyRelatedField(queryset=Team.objects.all())
    upload = VisibleUpload(help_text="Id of the upload with the CSV file")
    columns = serializers.DictField(
        child=serializers.CharField(max_length=200, allow_blank=True),
        help_text="The file's column for each of `name` and `purpose`, and if there are any `owner` and `slug`",
    )


class ImportFaultSerializer(serializers.Serializer[Any]):
    row = serializers.IntegerField(help_text="As a spreadsheet numbers it: the head is row 1")
    column = serializers.CharField()
    sentence = serializers.CharField()


class PlannedModelSerializer(serializers.Serializer[Any]):
    row = serializers.IntegerField()
    name = serializers.CharField()
    purpose = serializers.CharField()
    owner = PersonRef()
    slug = serializers.CharField(allow_blank=True, help_text="Empty: made from the name")


class ImportPlanSerializer(serializers.Serializer[Any]):
    models = PlannedModelSerializer(many=True, help_text="The rows in which nothing is wrong")
    faults = ImportFaultSerializer(many=True)


class ModelImportSerializer(serializers.ModelSerializer[ModelImport]):
    team = TeamRef()
    digest = serializers.CharField(source="artifact.digest")
    imported_by = PersonRef()
    url = serializers.CharField(source="get_absolute_url")

    class Meta:
        model = ModelImport
        fields = ["id", "team", "digest", "filename", "columns", "imported_by", "imported_at", "url"]


class ModelImportDetailSerializer(ModelImportSerializer):
    models = ModelRef(source="brought", many=True)

    class Meta(ModelImportSerializer.Meta):
        fields = [*ModelImportSerializer.Meta.fields, "models"]


def asked(request: Request) -> dict[str, Any]:
    given = ImportInput(data=request.data, context={"request": request})
    given.is_valid(raise_exception=True)
    data: dict[str, Any] = given.validated_data
    return data


class Previews(APIView):
    permissions = {"POST": "registry.register_model"}

    @extend_schema(summary="See what an import would make", request=ImportInput, responses={200: ImportPlanSerializer})
    def post(self, request: Request) -> Response:
        """Nothing is written. Import once `faults` is empty."""
        data = asked(request)
        if not request.user.has_perm("registry.register_model", data["team"]):
            raise Denied("registry.register_model")
        return Response(ImportPlanSerializer(services.preview(by=asker(request), **data)).data)


class Imports(ListAPIView[ModelImport]):
    permissions = {"GET": "registry.view_model", "POST": "registry.register_model"}
    queryset = ModelImport.objects.none()
    serializer_class = ModelImportSerializer
    filterset_fields = ["team"]

    def get_queryset(self) -> Any:
        return ModelImport.objects.visible_to(self.request.user).with_parts()

    @extend_schema(summary="List imports of inventories")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(summary="Import an inventory", request=ImportInput, responses={201: ModelImportDetailSerializer})
    def post(self, request: Request) -> Response:
        """All of its models, or, where any row is wrong, none."""
        made = services.import_models(by=request.user, **asked(request))
        return Response(ModelImportDetailSerializer(made).data, status=201)


class ImportDetail(APIView):
    permissions = {"GET": "registry.view_model"}

    @extend_schema(summary="Look at an import", responses={200: ModelImportDetailSerializer})
    def get(self, request: Request, pk: int) -> Response:
        found = get_object_or_404(ModelImport.objects.visible_to(request.user).with_parts(), pk=pk)
        return Response(ModelImportDetailSerializer(found).data)


routes = [
    path("imports/", Imports.as_view(), name="api-imports"),
    path("imports/previews/", Previews.as_view(), name="api-import-previews"),
    path("imports/<int:pk>/", ImportDetail.as_view(), name="api-import"),
]
