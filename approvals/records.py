"""A request as it stood, with what the gate said then: `requests/<id>/record/?as_of=2026-11-24`."""

from __future__ import annotations

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from approvals import gate
from approvals.api import visible
from approvals.asof import request_at
from registry.api.records import AS_OF, GateRecordSerializer, answer, moment_asked


class RequestRecord(APIView):
    permissions = {"GET": "approvals.view_request"}

    @extend_schema(summary="Look at a request as it stood", parameters=[AS_OF], responses={200: GateRecordSerializer})
    def get(self, request: Request, pk: int) -> Response:
        found, at = visible(request, pk), moment_asked(request)
        with gate.snapshot():
            then, looked = request_at(found, at)
            artifact = then.request.version.artifact_id
            said = gate.of_dossier(then, at, gate.revoked_elsewhere([artifact], until=at)[artifact])
        return Response(GateRecordSerializer({**answer(looked), "gate": said.as_dict()}).data)


routes = [path("requests/<int:pk>/record/", RequestRecord.as_view(), name="api-request-record")]
