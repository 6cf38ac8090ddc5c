"""Jobs under `/api/v1/jobs/`."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils.cache import get_conditional_response
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from jobs.models import Job, JobQuerySet
from jobs.services import cancel, retry
from ledger.canonical import sha256


class JobError(serializers.Serializer[Any]):
    code = serializers.CharField()
    sentence = serializers.CharField()


class JobSerializer(serializers.ModelSerializer[Job]):
    error = serializers.SerializerMethodField()
    url = serializers.CharField(source="get_absolute_url", read_only=True)

    class Meta:
        model = Job
        fields = [
            "id", "kind", "subject", "subject_url", "team_id", "inputs_digest", "state", "progress", "phase", "attempt",
            "cancel_requested", "error", "result_url", "asked_by", "created_at", "started_at", "finished_at", "url",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(JobError(allow_null=True))
    def get_error(self, job: Job) -> dict[str, str] | None:
        return {"code": job.error_code, "sentence": job.error_sentence} if job.error_code else None


class CancellationInput(serializers.Serializer[Any]):
    reason = serializers.CharField(required=False, allow_blank=True, default="", max_length=500)


def visible(request: Request, pk: int) -> Job:
    return get_object_or_404(Job.objects.visible_to(request.user), pk=pk)


class JobList(ListAPIView[Job]):
    """Jobs of your teams, newest first."""

    permissions = {"GET": "jobs.view_job"}
    serializer_class = JobSerializer
    filterset_fields = ["state", "kind"]

    def get_queryset(self) -> JobQuerySet:
        return Job.objects.visible_to(self.request.user)

    @extend_schema(summary="List jobs")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)


class JobDetail(APIView):
    """One job: state, progress, and either where its result is or why it failed."""

    permissions = {"GET": "jobs.view_job"}

    @extend_schema(
        summary="Look at a job", responses={200: JobSerializer, 304: OpenApiResponse(description="As before")}
    )
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        job = visible(request, pk)
        etag = f'"{sha256(f"{job.attempt} {job.shown_state} {job.progress} {job.phase}".encode())[7:39]}"'
        response = Response(JobSerializer(job).data, headers={"ETag": etag})
        return get_conditional_response(request._request, etag=etag, response=response) or response


class JobCancellation(APIView):
    """A queued job ends now, a running one at its next step."""

    permissions = {"POST": "jobs.cancel_job"}

    @extend_schema(summary="Cancel a job", request=CancellationInput, responses={200: JobSerializer})
    def post(self, request: Request, pk: int) -> Response:
        given = CancellationInput(data=request.data)
        given.is_valid(raise_exception=True)
        job = cancel(by=request.user, job=visible(request, pk), reason=given.validated_data["reason"])
        return Response(JobSerializer(job).data)


class JobRetry(APIView):
    """Queue a job again that failed or was cancelled."""

    permissions = {"POST": "jobs.cancel_job"}

    @extend_schema(summary="Try a job again", request=None, responses={202: JobSerializer})
    def post(self, request: Request, pk: int) -> Response:
        return Response(JobSerializer(retry(by=request.user, job=visible(request, pk))).data, status=202)


routes = [
    path("jobs/", JobList.as_view(), name="api-jobs"),
    path("jobs/<int:pk>/", JobDetail.as_view(), name="api-job"),
    path("jobs/<int:pk>/cancellation/", JobCancellation.as_view(), name="api-job-cancellation"),
    path("jobs/<int:pk>/retry/", JobRetry.as_view(), name="api-job-retry"),
]
