"""Datasets."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker
from accounts.models import Team
from registry.api.answers import BYTES, NOT_MODIFIED, DatasetOut, with_etag
from registry.api.fields import VisibleUpload
from registry.downloads import attachment
from registry.filters import DatasetFilter
from registry.models import Dataset
from registry.services import first_rows, record_dataset_download, register_dataset


class DatasetInput(serializers.Serializer[Any]):
    team = serializers.PrimaryKeyRelatedField(queryset=Team.objects.all())
    upload = VisibleUpload(help_text="Id of the upload with the CSV or Parquet file")
    name = serializers.CharField(max_length=120)
    purpose = serializers.ChoiceField(Dataset.Purpose.choices)
    roles = serializers.DictField(
        child=serializers.CharField(max_length=20), help_text="Role by column; others are `other`"
    )
    positive_class = serializers.CharField(
        max_length=80, required=False, allow_blank=True, default="",
        help_text="The outcome's value that counts as yes; none where the outcome is a number or there is none",
    )  # fmt: skip
    source = serializers.CharField(  # type: ignore[assignment]
        max_length=4000, help_text="Where the rows come from, and who confirms it"
    )
    lawful_basis = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")


class RowsOut(serializers.Serializer[Any]):
    columns = serializers.ListField(child=serializers.CharField())
    rows = serializers.ListField(child=serializers.ListField(child=serializers.CharField(allow_null=True)))


def visible(request: Request, pk: int) -> Dataset:
    rows = Dataset.objects.visible_to(request.user).with_parts()
    dataset: Dataset = get_object_or_404(rows, pk=pk)
    return dataset


class Datasets(ListAPIView[Dataset]):
    """Datasets of your teams."""

    permissions = {"GET": "registry.view_model", "POST": "registry.register_dataset"}
    queryset = Dataset.objects.none()
    serializer_class = DatasetOut
    filterset_class = DatasetFilter

    def get_queryset(self) -> Any:
        return Dataset.objects.visible_to(self.request.user).with_parts().prefetch_related("processing__recorded_by")

    @extend_schema(summary="List datasets")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(summary="Register a dataset", request=DatasetInput, responses={201: DatasetOut})
    def post(self, request: Request) -> Response:
        given = DatasetInput(data=request.data, context={"request": request})
        given.is_valid(raise_exception=True)
        return Response(DatasetOut(register_dataset(by=asker(request), **given.validated_data)).data, status=201)


class DatasetDetail(APIView):
    """One dataset: columns with their roles, gaps and groups, but no row."""

    permissions = {"GET": "registry.view_model"}

    @extend_schema(summary="Look at a dataset", responses={200: DatasetOut, 304: NOT_MODIFIED})
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        return with_etag(request, DatasetOut(visible(request, pk)).data)


class DatasetRows(APIView):
    """The first rows; opening them is recorded."""

    permissions = {"GET": "registry.read_rows"}

    @extend_schema(summary="Open a dataset's first rows", responses={200: RowsOut})
    def get(self, request: Request, pk: int) -> Response:
        columns, rows = first_rows(by=asker(request), dataset=visible(request, pk))
        return Response({"columns": columns, "rows": rows})


class DatasetContent(APIView):
    """All rows as they were uploaded; each download is recorded."""

    permissions = {"GET": "registry.read_rows"}

    @extend_schema(summary="Download a dataset", responses=BYTES)
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        dataset = visible(request, pk)
        return attachment(record_dataset_download(by=request.user, dataset=dataset), dataset.filename)
