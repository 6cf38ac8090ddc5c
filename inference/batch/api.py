"""Batches under `/api/v1/`: asking gives a job, the result is downloaded from where the batch says."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.asking import asker, given
from inference.batch import scheduling, services
from inference.batch.checking import MOST_KEYS
from inference.batch.models import STATES, Batch, BatchExtract, BatchSchedule
from inference.batch.services import CHUNK_ROWS, MOST_CHUNK_ROWS
from inference.batch.views import as_file
from inference.models import Endpoint
from jobs.api import JobError
from jobs.services import cancel
from ledger.refusals import Refusal
from registry.api.answers import PersonRef
from registry.models import Dataset, Upload


class BatchExtractSerializer(serializers.ModelSerializer[BatchExtract]):
    """Which rows of a connection were read. `digest` is SHA-256 of the batch's own file of them, which goes when the
    batch has ended; `rows_hash` is that of a connection.
    """

    class Meta:
        model = BatchExtract
        fields = ["read_at", "rows", "rows_hash", "digest", "size"]
        read_only_fields = fields


class BatchSerializer(serializers.ModelSerializer[Batch]):
    """`state` is the job's, `stopped` where the gate said no before the last row, or `removed` once the file's time
    was over. `rows` are those that were scored; `digest` is SHA-256 of the Parquet file. `extract` is null for a file,
    and until a connection was read.
    """

    endpoint = serializers.CharField(source="endpoint.name", read_only=True)
    state = serializers.ChoiceField(choices=STATES, read_only=True)
    complete = serializers.BooleanField(read_only=True, help_text="Whether every row was scored")
    keys = serializers.ListField(child=serializers.CharField(), read_only=True)
    extract = BatchExtractSerializer(read_only=True, allow_null=True)
    progress = serializers.IntegerField(source="job.progress", read_only=True)
    phase = serializers.CharField(source="job.phase", read_only=True)
    error = serializers.SerializerMethodField()
    asked_by = PersonRef()
    url = serializers.SerializerMethodField()
    content_url = serializers.SerializerMethodField()

    class Meta:
        model = Batch
        fields = [
            "id", "endpoint", "version", "dataset", "upload", "keys", "extract", "schedule", "chunk_rows", "revision",
            "state", "complete", "progress", "phase", "error", "rows", "digest", "size", "job", "asked_by", "asked_at",
            "ended_at", "url", "content_url",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(JobError(allow_null=True))
    def get_error(self, batch: Batch) -> dict[str, str] | None:
        if batch.stopped_code:
            return {"code": batch.stopped_code, "sentence": batch.stopped_sentence}
        job = batch.job
        return {"code": job.error_code, "sentence": job.error_sentence} if job.error_code else None

    def get_url(self, batch: Batch) -> str:
        return reverse("api-batch", args=[batch.pk])

    @extend_schema_field(OpenApiTypes.STR)
    def get_content_url(self, batch: Batch) -> str | None:
        return reverse("api-batch-content", args=[batch.pk]) if batch.file else None


class KeysInput(serializers.Serializer[Any]):
    keys = serializers.ListField(
        child=serializers.CharField(max_length=200), required=False, default=list, max_length=MOST_KEYS,
        help_text="Columns of a connected dataset by which its rows are ordered and known in the result",
    )  # fmt: skip


class BatchInput(KeysInput):
    """The rows to score: a dataset, whose rows may be in a connected database, or an upload."""

    dataset = serializers.IntegerField(required=False, allow_null=True, default=None, help_text="A dataset's id")
    upload = serializers.IntegerField(required=False, allow_null=True, default=None, help_text="An upload's id")
    chunk_rows = serializers.IntegerField(
        required=False, default=CHUNK_ROWS, min_value=1, max_value=MOST_CHUNK_ROWS, help_text="How many at once"
    )


class BatchCancellationInput(serializers.Serializer[Any]):
    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=500)


class BatchScheduleSerializer(serializers.ModelSerializer[BatchSchedule]):
    endpoint = serializers.CharField(source="endpoint.name", read_only=True)
    keys = serializers.ListField(child=serializers.CharField(), read_only=True)
    created_by = PersonRef()
    ended_by = PersonRef(allow_null=True)

    class Meta:
        model = BatchSchedule
        fields = [
            "id", "endpoint", "dataset", "keys", "cron", "next_at", "created_by", "created_at", "ended_by", "ended_at"
        ]  # fmt: skip
        read_only_fields = fields


class BatchScheduleInput(KeysInput):
    dataset = serializers.IntegerField(help_text="A dataset's id")
    cron = serializers.CharField(max_length=100, help_text="Minute, hour, day, month, day of week, in UTC")


def endpoint_of(request: Request, pk: int) -> Endpoint:
    return get_object_or_404(Endpoint.objects.visible_to(request.user).with_parts(), pk=pk)


def visible(request: Request, pk: int) -> Batch:
    found: Batch = get_object_or_404(Batch.objects.visible_to(request.user).with_parts(), pk=pk)
    return found


def named(request: Request, model: type[Dataset] | type[Upload], pk: int | None, field: str) -> Any:
    """What a body names by its id; None where it names none. Raises Refusal where there is none to be seen."""
    if pk is None:
        return None
    rows = model.objects.visible_to(request.user).select_related("artifact")
    found = (rows.select_related("connection") if model is Dataset else rows).filter(pk=pk).first()
    if found is None:
        raise Refusal(f"unknown_{field}", f"There is no such {field} that you can see. Check its number.", field)
    return found


class BatchList(ListAPIView[Batch]):
    """Batches of your teams' endpoints, newest first."""

    permissions = {"GET": "inference.view_endpoint"}
    queryset = Batch.objects.none()
    serializer_class = BatchSerializer
    filterset_fields = ["endpoint", "version", "dataset", "schedule"]

    def get_queryset(self) -> Any:
        return Batch.objects.visible_to(self.request.user).with_parts()

    @extend_schema(summary="List batches")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class EndpointBatches(APIView):
    permissions = {"POST": services.PERMISSION}

    @extend_schema(summary="Run a batch", request=BatchInput, responses={202: BatchSerializer})
    def post(self, request: Request, pk: int) -> Response:
        """Of the version that the endpoint is bound to, while the gate allows it. The same asked twice is one batch; of
        a connected database only while it is under way, because each batch reads the rows as they are then.
        """
        endpoint, asked = endpoint_of(request, pk), given(BatchInput, request)
        made = services.request_batch(
            by=asker(request), endpoint=endpoint, chunk_rows=asked["chunk_rows"], keys=asked["keys"],
            dataset=named(request, Dataset, asked["dataset"], "dataset"),
            upload=named(request, Upload, asked["upload"], "upload"),
        )  # fmt: skip
        body = BatchSerializer(visible(request, made.pk)).data
        return Response(body, status=202, headers={"Location": body["url"]})


class BatchDetail(APIView):
    """One batch: how far it is, and once it has ended what came of it."""

    permissions = {"GET": "inference.view_endpoint"}

    @extend_schema(summary="Look at a batch", responses={200: BatchSerializer})
    def get(self, request: Request, pk: int) -> Response:
        return Response(BatchSerializer(visible(request, pk)).data)


class BatchContent(APIView):
    """The Parquet file; each download is recorded. Of a batch that was stopped, the rows that were scored."""

    permissions = {"GET": "registry.read_rows"}

    @extend_schema(
        summary="Download a batch's result",
        responses={(200, "application/vnd.apache.parquet"): OpenApiResponse(OpenApiTypes.BINARY, "The file")},
    )
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        return as_file(asker(request), visible(request, pk))


class BatchCancellation(APIView):
    """It stops at its next step. Nothing of it is stored, and it can be tried again by its job."""

    permissions = {"POST": "jobs.cancel_job"}

    @extend_schema(summary="Cancel a batch", request=BatchCancellationInput, responses={200: BatchSerializer})
    def post(self, request: Request, pk: int) -> Response:
        found, reason = visible(request, pk), given(BatchCancellationInput, request)["reason"]
        cancel(by=asker(request), job=found.job, reason=reason)
        return Response(BatchSerializer(visible(request, pk)).data)


class EndpointSchedules(APIView):
    """What has batches of an endpoint run again and again, newest first, ended ones too."""

    permissions = {"GET": "inference.view_endpoint", "POST": services.PERMISSION}

    @extend_schema(summary="List an endpoint's schedules", responses={200: BatchScheduleSerializer(many=True)})
    def get(self, request: Request, pk: int) -> Response:
        rows = BatchSchedule.objects.filter(endpoint=endpoint_of(request, pk)).with_parts()[:200]
        return Response(BatchScheduleSerializer(rows, many=True).data)

    @extend_schema(
        summary="Run batches on a schedule", request=BatchScheduleInput, responses={201: BatchScheduleSerializer}
    )
    def post(self, request: Request, pk: int) -> Response:
        """Each run is a batch of its own, of the version bound then, on your behalf. The gate is asked each time."""
        endpoint, asked = endpoint_of(request, pk), given(BatchScheduleInput, request)
        dataset = named(request, Dataset, asked["dataset"], "dataset")
        made = scheduling.add_schedule(
            by=asker(request), endpoint=endpoint, dataset=dataset, cron=asked["cron"], keys=asked["keys"]
        )
        return Response(BatchScheduleSerializer(made).data, status=201)


def visible_schedule(request: Request, pk: int) -> BatchSchedule:
    rows = BatchSchedule.objects.visible_to(request.user).with_parts()
    found: BatchSchedule = get_object_or_404(rows, pk=pk)
    return found


class ScheduleDetail(APIView):
    permissions = {"GET": "inference.view_endpoint"}

    @extend_schema(summary="Look at a schedule of batches", responses={200: BatchScheduleSerializer})
    def get(self, request: Request, pk: int) -> Response:
        return Response(BatchScheduleSerializer(visible_schedule(request, pk)).data)


class ScheduleEnding(APIView):
    permissions = {"POST": services.PERMISSION}

    @extend_schema(summary="End a schedule of batches", request=None, responses={200: BatchScheduleSerializer})
    def post(self, request: Request, pk: int) -> Response:
        ended = scheduling.end_schedule(by=asker(request), schedule=visible_schedule(request, pk))
        return Response(BatchScheduleSerializer(ended).data)


routes = [
    path("batches/", BatchList.as_view(), name="api-batches"),
    path("batches/<int:pk>/", BatchDetail.as_view(), name="api-batch"),
    path("batches/<int:pk>/content/", BatchContent.as_view(), name="api-batch-content"),
    path("batches/<int:pk>/cancellation/", BatchCancellation.as_view(), name="api-batch-cancellation"),
    path("endpoints/<int:pk>/batches/", EndpointBatches.as_view(), name="api-endpoint-batches"),
    path("endpoints/<int:pk>/batch-schedules/", EndpointSchedules.as_view(), name="api-endpoint-batch-schedules"),
    path("batch-schedules/<int:pk>/", ScheduleDetail.as_view(), name="api-batch-schedule"),
    path("batch-schedules/<int:pk>/ending/", ScheduleEnding.as_view(), name="api-batch-schedule-ending"),
]
